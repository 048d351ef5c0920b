#include "storage/base/coding.hpp"
#include "storage/base/fault_env.hpp"
#include "storage/base/posix_env.hpp"
#include "storage/block/allocation_log.hpp"
#include "tests/storage/block/drive_rig.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

using namespace troupe;
using namespace troupe::test;
using namespace troupe::block_format;

namespace {

const std::string path = drive_directory + "/" + block_file_name;

std::uint64_t some_bytes() {
  return file_bytes_for(500, tiny_log_bytes);
}

void overwrite(env& files, std::uint64_t offset, byte_view bytes) {
  auto f = files.open(path, open_mode::read_write);
  REQUIRE(f);
  REQUIRE((*f)->write_at(offset, bytes));
  REQUIRE((*f)->sync());
}

byte_vector read_bytes(env& files, std::uint64_t offset, std::size_t count) {
  auto f = files.open(path, open_mode::read_only);
  REQUIRE(f);
  byte_vector out(count);
  REQUIRE(*(*f)->read_at(offset, out) == count);
  return out;
}

run_ref store_one(blocking_drive& drive, std::uint64_t id, std::uint32_t blocks) {
  auto answer = drive.store(store_of(id, blocks));
  REQUIRE(answer);
  return answer->run;
}

errc read_code(blocking_drive& drive, const run_ref& run, std::uint64_t id) {
  auto data = drive.read({run, 0, run.block_count});
  if (!data)
    return data.error().code;
  CHECK(same(data->data, content(id, run.block_count)));
  return errc::none;
}

} // namespace

TEST_CASE("drive_mount: a fresh drive is empty, and every mount is a new incarnation",
          "[unit][drive_mount]") {
  memory_env files;
  REQUIRE(format(files, some_bytes()));
  files.crash(0); // formatting is durable
  for (std::uint64_t n = 1; n <= 3; ++n) {
    auto drive = mount(files);
    REQUIRE(drive);
    auto report = drive->state.report();
    CHECK(report.mount == incarnation{n});
    CHECK(report.blocks_free == report.blocks_total);
    CHECK(report.blocks_total == plan_geometry(some_bytes(), tiny_log_bytes)->block_count);
    CHECK(report.state == drive_state::healthy);
    CHECK(drive->superblock.node == node_id{1});
  }
}

TEST_CASE("drive_mount: what is not this drive is refused and left alone", "[unit][drive_mount]") {
  memory_env files;
  SECTION("nothing there: it is not made") {
    auto none = mount(files);
    CHECK(none.error().code == errc::not_found);
    CHECK(none.error().id == trp::drive_missing);
    REQUIRE(files.make_directory(drive_directory));
    CHECK(mount(files).error().id == trp::drive_missing);
    CHECK(files.list(drive_directory)->empty());
    CHECK(inspect_drive(files, drive_directory).error().id == trp::drive_missing);
  }
  SECTION("a drive of another cluster, or another drive") {
    REQUIRE(format(files, some_bytes()));
    auto other_cluster = some_cluster();
    other_cluster.bytes[15] = 1;
    auto foreign = mount_drive(files, drive_directory, {other_cluster, some_drive()});
    CHECK(foreign.error().code == errc::wrong_cluster);
    CHECK(foreign.error().id == trp::foreign_data_directory);
    auto other_drive = some_drive();
    other_drive.bytes[15] = 1;
    auto swapped = mount_drive(files, drive_directory, {some_cluster(), other_drive});
    CHECK(swapped.error().code == errc::not_found);
    CHECK(swapped.error().id == trp::drive_missing);
    CHECK(mount_drive(files, drive_directory, {some_cluster(), drive_uuid{}}, tiny_options()));
  }
  SECTION("a newer format") {
    REQUIRE(format(files, some_bytes()));
    byte_vector two;
    byte_writer{two}.put(std::uint32_t{2});
    overwrite(files, 8, two);
    CHECK(mount(files)); // one copy still says what it is
    overwrite(files, 4096 + 8, two);
    auto newer = mount(files);
    CHECK(newer.error().code == errc::wrong_version);
    CHECK(newer.error().id == trp::newer_format);
  }
  SECTION("a file that was cut short, or is something else") {
    REQUIRE(format(files, some_bytes()));
    {
      auto f = files.open(path, open_mode::read_write);
      REQUIRE((*f)->truncate(some_bytes() - 1));
    }
    CHECK(mount(files).error().code == errc::corrupt);
    CHECK(mount(files).error().id == trp::drive_damaged);
    {
      auto f = files.open(path, open_mode::read_write);
      REQUIRE((*f)->truncate(0));
    }
    CHECK(mount(files).error().code == errc::corrupt);
  }
  SECTION("mounted already") {
    REQUIRE(format(files, some_bytes()));
    auto first = mount(files);
    REQUIRE(first);
    CHECK(mount(files).error().code == errc::busy);
    CHECK(inspect_drive(files, drive_directory)->drive == some_drive());
  }
  SECTION("no permission") {
    REQUIRE(format(files, some_bytes()));
    fault_env faulty{files};
    faulty.add({.call = env_call::open, .code = errc::permission_denied});
    auto refused = mount(faulty);
    CHECK(refused.error().code == errc::permission_denied);
    CHECK(refused.error().id == trp::no_permission);
  }
  SECTION("options that do not fit the drive") {
    REQUIRE(format(files, some_bytes()));
    CHECK(mount(files, {}).error().code == errc::invalid_argument); // batches of 64 KiB
    auto few_pages = tiny_options();
    few_pages.cache_pages_max = 10;
    CHECK(mount(files, few_pages).error().code == errc::invalid_argument);
  }
}

TEST_CASE("drive_mount: formatting touches no drive and leaves none half made",
          "[unit][drive_mount]") {
  SECTION("a drive is there") {
    memory_env files;
    REQUIRE(format(files, some_bytes()));
    blocking_drive{*mount(files)}.store(store_of(1, 4)).operator bool();
    CHECK(format(files, some_bytes()).error().code == errc::already_exists);
    CHECK(blocking_drive{*mount(files)}.list()->size() == 1);
  }
  SECTION("no room, or too small") {
    memory_env files{1 * mib};
    CHECK(format(files, some_bytes()).error().code == errc::no_space);
    CHECK(files.list(drive_directory)->empty());
    CHECK(format(files, 300 * kib).error().code == errc::invalid_argument);
  }
  SECTION("a power cut at every step") {
    auto made = 0;
    for (std::uint64_t changes = 0; made < 2; ++changes) {
      memory_env files;
      fault_env faulty{files};
      faulty.stop_after(changes);
      auto done = format(faulty, some_bytes());
      files.crash(changes);
      auto drive = mount(files);
      if (drive) {
        CHECK(drive->state.report().blocks_free == drive->state.report().blocks_total);
      } else {
        CHECK(drive.error().id == trp::drive_missing);
        CHECK_FALSE(done);
        CHECK(format(files, some_bytes())); // left-overs are no obstacle
        CHECK(mount(files));
      }
      made += done ? 1 : 0;
      REQUIRE(changes < 100);
    }
  }
}

TEST_CASE("drive_mount: real files do as well", "[unit][drive_mount]") {
  posix_env files;
  char name[] = "/tmp/troupe-drive-XXXXXX";
  REQUIRE(::mkdtemp(name));
  std::string directory = std::string{name} + "/drive";
  drive_format_request what{
    .cluster = some_cluster(), .drive = some_drive(), .node = node_id{3}, .file_bytes = 16 * mib};
  REQUIRE(format_drive(files, directory, what));
  run_ref run;
  {
    auto drive = mount_drive(files, directory, {some_cluster(), some_drive()});
    REQUIRE(drive);
    CHECK(mount_drive(files, directory, {some_cluster(), {}}).error().code == errc::busy);
    blocking_drive blocking{std::move(*drive)};
    run = store_one(blocking, 1, 16);
    CHECK(read_code(blocking, run, 1) == errc::none);
  }
  {
    blocking_drive blocking{*mount_drive(files, directory, {some_cluster(), some_drive()})};
    CHECK(blocking.report().mount == incarnation{2});
    CHECK(read_code(blocking, run, 1) == errc::none);
  }
  for (const auto* file : {"/blocks", "/lock"})
    REQUIRE(files.remove_file(directory + file));
  REQUIRE(files.remove_directory(directory));
  REQUIRE(files.remove_directory(name));
}

// Damage.

TEST_CASE("drive_mount: a flipped bit in the middle of the log quarantines the drive",
          "[unit][drive_mount]") {
  memory_env files;
  REQUIRE(format(files, some_bytes()));
  {
    blocking_drive drive{*mount(files)};
    for (std::uint64_t id = 1; id <= 6; ++id)
      store_one(drive, id, 2);
  }
  // 0: formatted, 1: mounted; both before the log's start by now. 2 to 7: the stores.
  std::uint64_t log = superblock_bytes;
  for (std::uint64_t batch = 2; batch < 7; ++batch)
    for (std::uint64_t at : {0, 16, 40, 60, 64, 100}) {
      auto copy = files.clone();
      REQUIRE(copy->flip_bits(path, log + batch * 4096 + at, 1));
      auto refused = mount(*copy);
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code == errc::quarantined);
      CHECK(refused.error().id == trp::drive_damaged);
    }
}

TEST_CASE("drive_mount: a torn last batch is cut, what came before holds", "[unit][drive_mount]") {
  memory_env files;
  REQUIRE(format(files, some_bytes()));
  std::vector<run_ref> runs;
  birth last_born;
  {
    blocking_drive drive{*mount(files)};
    for (std::uint64_t id = 1; id <= 3; ++id)
      runs.push_back(store_one(drive, id, 2));
    last_born = runs.back().born;
  }
  REQUIRE(files.flip_bits(path, superblock_bytes + 4 * 4096 + 70, 1));
  blocking_drive drive{*mount(files)};
  CHECK(drive.found().tail_cut);
  CHECK(read_code(drive, runs[0], 1) == errc::none);
  CHECK(read_code(drive, runs[1], 2) == errc::none);
  // This one was answered, and then its record rotted: nothing can tell that from a torn batch.
  // Its name must never come back with other bytes behind it.
  CHECK(read_code(drive, runs[2], 3) == errc::stale);
  auto next = store_one(drive, 4, 2);
  CHECK(next.born > last_born);
  CHECK(drive.free({{runs[2]}})->freed_count == 0);
  CHECK(read_code(drive, next, 4) == errc::none);
}

TEST_CASE("drive_mount: a log without any batch, or with an older one behind a newer",
          "[unit][drive_mount]") {
  memory_env files;
  REQUIRE(format(files, some_bytes()));
  SECTION("empty") {
    overwrite(files, superblock_bytes, byte_vector(tiny_log_bytes));
    CHECK(mount(files).error().code == errc::quarantined);
  }
  SECTION("incarnations going back") {
    {
      blocking_drive drive{*mount(files)};
      store_one(drive, 1, 1);
    }
    // A batch that a former process left in flight: whole, in its place, but of an older mount.
    auto stale = encode_batch({.lsn = tiny_log_bytes + 3 * 4096,
                               .mount = incarnation{0},
                               .log_start = tiny_log_bytes + 4096,
                               .next_birth = birth{1}},
                              drive_tag(some_drive()), {});
    overwrite(files, superblock_bytes + 3 * 4096, stale);
    CHECK(mount(files).error().code == errc::quarantined);
  }
  SECTION("a record of blocks that are not there") {
    byte_vector payload;
    encode_record(freed_record{birth{5}, 1 << 20, 4}, payload);
    auto wild = encode_batch({.lsn = tiny_log_bytes + 4096,
                              .mount = incarnation{0},
                              .log_start = tiny_log_bytes,
                              .next_birth = birth{6},
                              .record_count = 1},
                             drive_tag(some_drive()), payload);
    overwrite(files, superblock_bytes + 4096, wild);
    CHECK(mount(files).error().code == errc::quarantined);
  }
}

namespace {

/// A drive whose table pages are in place: 20 runs, then a remount.
struct settled_drive {
  memory_env files;
  std::map<std::uint64_t, run_ref> runs;
  block_geometry geometry;

  settled_drive() {
    REQUIRE(format(files, some_bytes()));
    {
      blocking_drive drive{*mount(files)};
      for (std::uint64_t id = 1; id <= 20; ++id)
        runs[id] = store_one(drive, id, 12);
      geometry = drive.superblock().geometry;
    }
    REQUIRE(mount(files));
  }
};

} // namespace

TEST_CASE("drive_mount: a damaged table page costs its runs, not the drive",
          "[unit][drive_mount]") {
  settled_drive settled;
  auto where = GENERATE(0, 24, 60, 64 + 24 * 30, 4095);
  SECTION("flipped") {
    REQUIRE(settled.files.flip_bits(
      path, settled.geometry.table_offset + static_cast<std::uint64_t>(where), 0x80));
  }
  SECTION("zeroed: an empty page that the bitmap contradicts") {
    overwrite(settled.files, settled.geometry.table_offset, byte_vector(4096));
  }
  blocking_drive drive{*mount(settled.files)};
  auto free_before = drive.report().blocks_free;
  for (const auto& [id, run] : settled.runs) {
    auto touched = run.start_block < table_page_blocks;
    CHECK(read_code(drive, run, id) == (touched ? errc::corrupt : errc::none));
  }
  CHECK(drive.report().checksum_errors > 0);
  CHECK(drive.report().state == drive_state::suspect);
  // Nobody gets the blocks whose owner is not known, not even by a free that claims them.
  CHECK(drive.free({{settled.runs.at(1)}})->freed_count == 0);
  CHECK(drive.report().blocks_free == free_before);
  std::map<std::uint64_t, run_ref> more;
  for (std::uint64_t id = 100;; ++id) {
    auto stored = drive.store(store_of(id, 12));
    if (!stored) {
      CHECK(stored.error().code == errc::no_space);
      break;
    }
    more[id] = stored->run;
  }
  CHECK(more.size() > 10);
  for (const auto& [id, run] : more) {
    CHECK(read_code(drive, run, id) == errc::none);
    for (const auto& [old_id, old] : settled.runs)
      CHECK((run.start_block + 12 <= old.start_block || old.start_block + 12 <= run.start_block));
  }
  auto lost = std::size_t{0};
  auto listed = drive.list();
  for (const auto& entry : *listed)
    lost += entry.run.born ? 0 : 1;
  CHECK(lost == table_page_blocks);
}

TEST_CASE("drive_mount: a damaged bitmap page is rebuilt from the table", "[unit][drive_mount]") {
  settled_drive settled;
  SECTION("flipped") {
    REQUIRE(settled.files.flip_bits(path, settled.geometry.bitmap_offset + 70, 1));
  }
  SECTION("zeroed") {
    overwrite(settled.files, settled.geometry.bitmap_offset, byte_vector(4096));
  }
  for (int round = 0; round < 2; ++round) {
    blocking_drive drive{*mount(settled.files)};
    CHECK(drive.found().damaged_pages == (round == 0 ? 1 : 0));
    CHECK(drive.report().blocks_free == drive.report().blocks_total - 20 * 12);
    for (const auto& [id, run] : settled.runs)
      CHECK(read_code(drive, run, id) == errc::none);
  }
}

TEST_CASE("drive_mount: a bitmap that forgot a run does not cost the run", "[unit][drive_mount]") {
  settled_drive settled;
  // A bitmap page with a right checksum and wrong contents: a bug, not the device.
  byte_vector page(page_bytes);
  seal_page(page, {page_kind::bitmap, 0}, drive_tag(some_drive()), tiny_log_bytes);
  overwrite(settled.files, settled.geometry.bitmap_offset, page);
  blocking_drive drive{*mount(settled.files)};
  CHECK(drive.report().blocks_free == drive.report().blocks_total);
  std::map<std::uint64_t, run_ref> more;
  for (std::uint64_t id = 100; id < 115; ++id) {
    auto stored = drive.store(store_of(id, 12));
    if (stored)
      more[id] = stored->run;
  }
  CHECK_FALSE(more.empty());
  for (const auto& [id, run] : settled.runs)
    CHECK(read_code(drive, run, id) == errc::none);
  for (const auto& [id, run] : more)
    CHECK(read_code(drive, run, id) == errc::none);
  CHECK(drive.report().state == drive_state::suspect);
}

TEST_CASE("drive_mount: a table page torn in a checkpoint is whole again", "[unit][drive_mount]") {
  settled_drive settled;
  // As a crash between the two syncs leaves it: the image in a slot, the page in place half new.
  auto page = read_bytes(settled.files, settled.geometry.table_offset, page_bytes);
  overwrite(settled.files, settled.geometry.shadow_offset + 5 * page_bytes, page);
  overwrite(settled.files, settled.geometry.table_offset + 2048, byte_vector(2048));
  {
    blocking_drive drive{*mount(settled.files)};
    CHECK(drive.found().restored_pages == 1);
    CHECK(drive.found().damaged_pages == 0);
    for (const auto& [id, run] : settled.runs)
      CHECK(read_code(drive, run, id) == errc::none);
  }
  // An image from a batch that was never durable proves nothing.
  page_id id;
  std::uint64_t lsn = 0;
  REQUIRE(identify_page(page, drive_tag(some_drive()), id, lsn));
  seal_page(page, id, drive_tag(some_drive()), lsn + 100 * page_bytes);
  overwrite(settled.files, settled.geometry.shadow_offset + 5 * page_bytes, page);
  overwrite(settled.files, settled.geometry.table_offset + 2048, byte_vector(2048));
  blocking_drive drive{*mount(settled.files)};
  CHECK(drive.found().restored_pages == 0);
  CHECK(read_code(drive, settled.runs.at(1), 1) == errc::corrupt);
}

TEST_CASE("drive_mount: a kill in a checkpoint and a power cut in the next mount tear no page",
          "[unit][drive_mount]") {
  // Goal: pages that a killed process left in the cache are durable before their images go. Method:
  // a kill when all pages of a checkpoint are written and not synced; then the power fails at every
  // step of the mount.
  memory_env files;
  REQUIRE(format(files, file_bytes_for(900, tiny_log_bytes)));
  std::map<std::uint64_t, run_ref> runs;
  {
    drive_rig rig{*mount(files)};
    const auto& g = rig.drive().superblock.geometry;
    auto installing = [&] {
      return std::find_if(rig.writes.begin(), rig.writes.end(), [&](const drive_write& x) {
        return x.offset >= g.bitmap_offset && x.offset < g.data_offset;
      });
    };
    for (std::uint64_t id = 1; installing() == rig.writes.end(); ++id) {
      REQUIRE(id < 20); // more than half of the dirty pages begin a checkpoint
      auto request = rig.store(store_of(id, 200));
      while (!rig.answered(request)) {
        rig.do_all_but_sync();
        rig.do_sync();
      }
      runs[id] = rig.reply<run_stored>(request)->run;
    }
    while (installing() != rig.writes.end())
      rig.do_write(static_cast<std::size_t>(installing() - rig.writes.begin()));
  }
  auto mounted = false;
  for (std::uint64_t changes = 0; !mounted; ++changes) {
    REQUIRE(changes < 100);
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
      auto copy = files.clone();
      {
        fault_env faulty{*copy};
        faulty.stop_after(changes);
        mounted = static_cast<bool>(mount(faulty));
      }
      copy->crash(seed);
      auto after = mount(*copy);
      REQUIRE(after);
      CHECK(after->found.damaged_pages == 0);
      blocking_drive drive{std::move(*after)};
      for (const auto& [id, run] : runs)
        CHECK(read_code(drive, run, id) == errc::none);
    }
  }
}

TEST_CASE("drive_mount: an I/O error while mounting is reported, and harmless",
          "[unit][drive_mount]") {
  settled_drive settled;
  {
    blocking_drive drive{*mount(settled.files)};
    settled.runs[50] = store_one(drive, 50, 3);
    CHECK(drive.free({{settled.runs.at(7)}})->freed_count == 1);
  }
  settled.runs.erase(7);
  fault_env faulty{settled.files};
  auto kind = GENERATE(env_call::read, env_call::write, env_call::sync);
  for (std::uint64_t after = 0;; ++after) {
    REQUIRE(after < 100);
    faulty.add({.call = kind, .path_part = "blocks", .after = after});
    auto drive = mount(faulty);
    faulty.heal();
    if (drive)
      break;
    CHECK(drive.error().code == errc::io_error);
    settled.files.crash(after + 2);
  }
  blocking_drive drive{*mount(settled.files)};
  CHECK(drive.found().damaged_pages == 0);
  for (const auto& [id, run] : settled.runs)
    CHECK(read_code(drive, run, id) == errc::none);
  CHECK(drive.list()->size() == settled.runs.size());
}
