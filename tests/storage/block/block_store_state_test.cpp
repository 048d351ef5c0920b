#include "tests/storage/block/drive_rig.hpp"

#include <catch2/catch.hpp>

using namespace troupe;
using namespace troupe::test;
using block_format::table_page_blocks;

namespace {

struct fresh_drive {
  memory_env files;
  explicit fresh_drive(std::uint64_t blocks = 400) {
    REQUIRE(format(files, file_bytes_for(blocks, tiny_log_bytes)));
  }
  drive_rig rig(const block_store_options& options = tiny_options()) {
    auto drive = mount(files, options);
    REQUIRE(drive);
    return drive_rig{std::move(*drive)};
  }
};

run_ref stored(const drive_rig& rig, request_token request) {
  auto* answer = rig.reply<run_stored>(request);
  REQUIRE(answer);
  return answer->run;
}

run_ref store_now(drive_rig& rig, std::uint64_t id, std::uint32_t blocks) {
  auto request = rig.store(store_of(id, blocks));
  rig.run();
  return stored(rig, request);
}

bool reads_back(drive_rig& rig, const run_ref& run, std::uint64_t id) {
  auto request = rig.read(run);
  rig.run();
  auto* answer = rig.reply<run_data>(request);
  return answer && same(answer->data, content(id, run.block_count));
}

errc read_code(drive_rig& rig, const run_ref& run) {
  auto request = rig.read(run);
  rig.run();
  return rig.code(request);
}

} // namespace

TEST_CASE("block_store: a run reads back, whole and in part, with all its checksums",
          "[unit][block_store]") {
  fresh_drive fresh;
  auto rig = fresh.rig();
  auto run = store_now(rig, 7, 16);
  CHECK(run.drive == some_drive());
  CHECK(run.block_count == 16);
  CHECK(run.born);
  CHECK(reads_back(rig, run, 7));
  auto part = rig.read(run, 3, 2);
  rig.run();
  auto* answer = rig.reply<run_data>(part);
  REQUIRE(answer);
  CHECK(same(answer->data, content(7, 16).slice(3 * block_bytes, 2 * block_bytes)));
  CHECK(answer->checksums == store_of(7, 16).checksums);
  auto report = rig.state().report();
  CHECK(report.stores == 1);
  CHECK(report.reads == 2);
  CHECK(report.bytes_read == 18 * block_bytes);
  CHECK(report.state == drive_state::healthy);
  CHECK(report.blocks_free == report.blocks_total - 16);
  CHECK(rig.state().idle());
}

TEST_CASE("block_store: nothing is answered before the sync that covers data and record",
          "[unit][block_store]") {
  fresh_drive fresh;
  auto rig = fresh.rig();
  auto request = rig.store(store_of(1, 4));
  CHECK(rig.writes.empty()); // its table page is read first
  rig.do_read();
  CHECK(rig.writes.size() == 2); // data and batch
  CHECK(rig.syncs.empty());
  rig.do_write(1);
  CHECK(rig.syncs.empty());
  rig.do_write();
  REQUIRE(rig.syncs.size() == 1);
  CHECK_FALSE(rig.answered(request));
  rig.do_sync();
  CHECK(rig.reply<run_stored>(request));
}

TEST_CASE("block_store: what arrives during a sync shares the next one", "[unit][block_store]") {
  fresh_drive fresh;
  auto options = tiny_options();
  options.tasks_max = 8;
  options.cache_pages_max = 64;
  auto rig = fresh.rig(options);
  auto first = rig.store(store_of(1, 2));
  rig.do_all_but_sync();
  REQUIRE(rig.syncs.size() == 1);
  std::vector<request_token> later;
  for (std::uint64_t id = 2; id < 9; ++id)
    later.push_back(rig.store(store_of(id, 2)));
  CHECK(rig.writes.size() == 7); // their data are on the way already
  rig.do_all_but_sync();
  CHECK(rig.syncs.size() == 1);
  rig.do_sync();
  CHECK(rig.answered(first));
  CHECK_FALSE(rig.answered(later[0]));
  rig.do_all_but_sync();
  REQUIRE(rig.syncs.size() == 1);
  rig.do_sync();
  for (auto request : later)
    CHECK(rig.reply<run_stored>(request));
  CHECK(rig.state().report().syncs == 2);
}

TEST_CASE("block_store: a repeated store gets the same run", "[unit][block_store]") {
  fresh_drive fresh;
  run_ref run;
  {
    auto rig = fresh.rig();
    auto first = rig.store(store_of(1, 4));
    auto second = rig.store(store_of(1, 4));
    rig.run();
    auto third = rig.store(store_of(1, 4));
    run = stored(rig, first);
    CHECK(stored(rig, second) == run);
    CHECK(stored(rig, third) == run);
    CHECK(rig.state().report().stores == 1);
    store_now(rig, 2, 1); // or the run would be in the newest batch
  }
  auto rig = fresh.rig(); // the log still knows
  auto again = rig.store(store_of(1, 4));
  CHECK(stored(rig, again) == run);
  CHECK(reads_back(rig, run, 1));
}

TEST_CASE("block_store: a record that survived without its data answers no repeat",
          "[unit][block_store]") {
  fresh_drive fresh;
  std::uint64_t total = 0;
  {
    auto rig = fresh.rig();
    store_now(rig, 50, 1); // its table page is here now
    rig.store(store_of(1, 4));
    REQUIRE(rig.writes.size() == 2); // data and log batch, under way together
    auto data_offset = rig.drive().superblock.geometry.data_offset;
    rig.do_write(rig.writes[0].offset < data_offset ? 0 : 1);
    total = rig.state().report().blocks_total;
  }
  auto mounts = GENERATE(1, 2); // the mounts after it do not make it believable
  fresh.files.crash(1);
  for (int i = 1; i < mounts; ++i)
    fresh.rig();
  auto rig = fresh.rig();
  SECTION("a repeat is stored anew") {
    auto again = rig.store(store_of(1, 4));
    CHECK_FALSE(rig.answered(again));
    rig.run();
    CHECK(reads_back(rig, stored(rig, again), 1));
    CHECK(rig.state().report().blocks_free == total - 1 - 4 - 4); // the leak
  }
  SECTION("who abandons the write gets the run freed") {
    auto abandoned = rig.abandon(key_of(1));
    rig.run();
    CHECK(rig.reply<runs_freed>(abandoned));
    if (mounts == 1)
      CHECK(rig.state().report().blocks_free == total - 1);
  }
}

TEST_CASE("block_store: bytes with a wrong checksum are not stored", "[unit][block_store]") {
  fresh_drive fresh;
  auto rig = fresh.rig();
  auto what = store_of(1, 4);
  what.checksums[2] ^= 1;
  auto request = rig.store(what);
  CHECK(rig.code(request) == errc::corrupt);
  CHECK(rig.io_count() == 0);
  CHECK(rig.state().report().blocks_free == rig.state().report().blocks_total);
  auto right = rig.store(store_of(1, 4)); // the same key, with the right bytes
  rig.run();
  CHECK(rig.reply<run_stored>(right));
}

TEST_CASE("block_store: requests that make no sense are refused", "[unit][block_store]") {
  fresh_drive fresh;
  auto rig = fresh.rig();
  auto run = store_now(rig, 1, 4);
  auto refused = [&](request_token request) {
    CHECK(rig.io_count() == 0);
    return rig.code(request);
  };
  auto odd = store_of(2, 1);
  odd.data = odd.data.slice(0, 8191);
  CHECK(refused(rig.store(odd)) == errc::invalid_argument);
  auto none = store_of(2, 1);
  none.data = {};
  none.checksums.clear();
  CHECK(refused(rig.store(none)) == errc::invalid_argument);
  auto list = store_of(2, 2);
  list.checksums.pop_back();
  CHECK(refused(rig.store(list)) == errc::invalid_argument);
  CHECK(refused(rig.store(store_of(2, 257))) == errc::invalid_argument);
  auto elsewhere = store_of(2, 1);
  elsewhere.drive.bytes[3] ^= 1;
  CHECK(refused(rig.store(elsewhere)) == errc::not_found);
  CHECK(refused(rig.read(run, 0, 0)) == errc::invalid_argument);
  CHECK(refused(rig.read(run, 0, 5)) == errc::invalid_argument);
  CHECK(refused(rig.read(run, 4, 1)) == errc::invalid_argument);
  CHECK(refused(rig.read(run, 0xffffffff, 2)) == errc::invalid_argument);
  auto far = run;
  far.start_block = UINT64_MAX - 1;
  CHECK(refused(rig.read(far)) == errc::stale);
  far.block_count = 300;
  CHECK(refused(rig.read(far)) == errc::stale);
  auto other = run;
  other.drive.bytes[0] ^= 1;
  CHECK(refused(rig.read(other)) == errc::not_found);
  auto many = rig.free(std::vector<run_ref>(tiny_options().free_runs_max + 1, run));
  CHECK(refused(many) == errc::too_large);
  CHECK(reads_back(rig, run, 1));
}

TEST_CASE("block_store: more requests than the limit are told so", "[unit][block_store]") {
  fresh_drive fresh;
  auto rig = fresh.rig();
  std::vector<request_token> requests;
  for (std::uint64_t id = 1; id <= 70; ++id)
    requests.push_back(rig.store(store_of(id, 1)));
  for (std::size_t i = 0; i < requests.size(); ++i)
    CHECK(rig.code(requests[i]) == (i < 64 ? errc::none : errc::busy));
  rig.run();
  for (std::size_t i = 0; i < 64; ++i)
    CHECK(rig.reply<run_stored>(requests[i]));
  CHECK(rig.state().idle());
}

TEST_CASE("block_store: a freed run is gone, and its place serves again", "[unit][block_store]") {
  fresh_drive fresh;
  auto rig = fresh.rig();
  auto total = rig.state().report().blocks_total;
  auto run = store_now(rig, 1, 16);
  auto freed = rig.free({run});
  rig.run();
  REQUIRE(rig.reply<runs_freed>(freed));
  CHECK(rig.reply<runs_freed>(freed)->freed_count == 1);
  CHECK(read_code(rig, run) == errc::stale);
  CHECK(rig.state().report().blocks_free == total);
  // Go round the drive until the place is used again: the old name still means nothing.
  run_ref again;
  for (std::uint64_t id = 2; again.start_block != run.start_block || !again.born; ++id) {
    if (again.born)
      rig.free({again});
    again = store_now(rig, id, 16);
    CHECK(again.born > run.born);
  }
  CHECK(read_code(rig, run) == errc::stale);
  auto stale = rig.free({run, run});
  rig.run();
  CHECK(rig.reply<runs_freed>(stale)->freed_count == 0);
  CHECK(read_code(rig, again) == errc::none);
  auto shifted = again;
  ++shifted.start_block;
  auto shorter = again;
  --shorter.block_count;
  auto wrong = rig.free({shifted, shorter, {some_drive(), total + 5, 1, again.born}});
  rig.run();
  CHECK(rig.reply<runs_freed>(wrong)->freed_count == 0);
  CHECK(read_code(rig, shifted) == errc::stale);
  CHECK(read_code(rig, shorter) == errc::stale);
  CHECK(read_code(rig, again) == errc::none);
  auto twice = rig.free({again, again});
  rig.run();
  CHECK(rig.reply<runs_freed>(twice)->freed_count == 1);
}

TEST_CASE("block_store: a block is used again only when its free is durable",
          "[unit][block_store]") {
  fresh_drive fresh{100};
  auto rig = fresh.rig();
  auto total = rig.state().report().blocks_total;
  std::vector<run_ref> runs;
  std::uint64_t id = 1;
  while (rig.state().report().blocks_free != 0) {
    auto blocks = std::min<std::uint64_t>(rig.state().report().blocks_free, 16);
    runs.push_back(store_now(rig, id++, static_cast<std::uint32_t>(blocks)));
  }
  auto freed = rig.free({runs[0]});
  rig.do_all_but_sync();
  auto early = rig.store(store_of(900, 16));
  CHECK(rig.code(early) == errc::no_space);
  rig.run();
  CHECK(rig.reply<runs_freed>(freed));
  auto later = rig.store(store_of(901, 16));
  rig.run();
  CHECK(stored(rig, later).start_block == runs[0].start_block);
  CHECK(rig.state().report().blocks_total == total);
}

TEST_CASE("block_store: a read that was overtaken by a free gives no bytes",
          "[unit][block_store]") {
  fresh_drive fresh;
  auto rig = fresh.rig();
  auto run = store_now(rig, 1, 4);
  auto read = rig.read(run);
  REQUIRE(rig.reads.size() == 1);
  auto freed = rig.free({run});
  while (!rig.writes.empty())
    rig.do_write();
  rig.do_sync();
  REQUIRE(rig.answered(freed));
  rig.run();
  CHECK(rig.code(read) == errc::stale);
}

TEST_CASE("block_store: abandoning works before the write arrives", "[unit][block_store]") {
  fresh_drive fresh;
  {
    auto rig = fresh.rig();
    auto abandoned = rig.abandon(key_of(1));
    auto early = rig.store(store_of(1, 4)); // overtakes the record
    CHECK(rig.code(early) == errc::interrupted);
    rig.run();
    CHECK(rig.reply<runs_freed>(abandoned)->freed_count == 0);
    CHECK(rig.code(rig.store(store_of(1, 4))) == errc::interrupted);
  }
  auto rig = fresh.rig();
  CHECK(rig.code(rig.store(store_of(1, 4))) == errc::interrupted);
  CHECK(rig.state().report().blocks_free == rig.state().report().blocks_total);
  rig.state().forget_client(client_id{1}, incarnation{0});
  CHECK(rig.code(rig.store(store_of(1, 4))) == errc::interrupted);
  rig.state().forget_client(client_id{1}, incarnation{1});
  auto now = rig.store(store_of(1, 4));
  rig.run();
  CHECK(rig.reply<run_stored>(now));
}

TEST_CASE("block_store: abandoning works while the write is under way", "[unit][block_store]") {
  fresh_drive fresh;
  auto options = tiny_options();
  options.tasks_max = 8;
  options.cache_pages_max = 64;
  auto rig = fresh.rig(options);
  auto total = rig.state().report().blocks_total;
  auto warm = store_now(rig, 50, 1);
  auto write = rig.store(store_of(1, 4));
  request_token abandoned;
  SECTION("its table page is on the way") {
    auto cold = fresh_drive{};
    auto rig2 = cold.rig();
    auto write2 = rig2.store(store_of(1, 4));
    REQUIRE(rig2.reads.size() == 1);
    auto abandoned2 = rig2.abandon(key_of(1));
    CHECK(rig2.code(write2) == errc::interrupted);
    rig2.run();
    CHECK(rig2.reply<runs_freed>(abandoned2));
    CHECK(rig2.state().report().blocks_free == rig2.state().report().blocks_total);
    CHECK(rig2.state().idle());
    abandoned = rig.abandon(key_of(1));
  }
  SECTION("its record is in the round") {
    // The store joined a round at once: it is answered, then undone.
    REQUIRE(rig.writes.size() == 2);
    abandoned = rig.abandon(key_of(1));
    CHECK_FALSE(rig.answered(write));
  }
  SECTION("a sync is under way, its data are not written") {
    rig.run();
    auto blocker = rig.store(store_of(60, 1));
    rig.do_all_but_sync();
    auto second = rig.store(store_of(2, 4));
    REQUIRE(rig.writes.size() == 1);
    auto place = rig.writes[0].offset;
    abandoned = rig.abandon(key_of(2));
    CHECK(rig.code(second) == errc::interrupted);
    // Its place is not given out while the device may still write there.
    auto third = rig.store(store_of(3, 4));
    REQUIRE(rig.writes.size() == 2);
    CHECK(rig.writes[1].offset != place);
    CHECK(rig.state().report().blocks_free == total - 1 - 4 - 1 - 4 - 4);
    rig.run();
    CHECK(rig.reply<run_stored>(third));
    CHECK(rig.reply<run_stored>(blocker));
    rig.free({stored(rig, third)});
    rig.free({stored(rig, blocker)});
    rig.abandon(key_of(1));
  }
  rig.run();
  CHECK(rig.reply<runs_freed>(abandoned));
  CHECK(rig.state().report().blocks_free == total - 1);
  CHECK(rig.code(rig.store(store_of(1, 4))) == errc::interrupted);
  CHECK(reads_back(rig, warm, 50));
  CHECK(rig.state().idle());
}

TEST_CASE("block_store: abandoning works after the write, and after a restart",
          "[unit][block_store]") {
  fresh_drive fresh;
  run_ref one;
  run_ref two;
  {
    auto rig = fresh.rig();
    one = store_now(rig, 1, 4);
    two = store_now(rig, 2, 4);
    auto abandoned = rig.abandon(key_of(1));
    auto again = rig.abandon(key_of(1));
    rig.run();
    CHECK(rig.reply<runs_freed>(abandoned)->freed_count == 1);
    CHECK(rig.reply<runs_freed>(again)->freed_count == 0);
    CHECK(read_code(rig, one) == errc::stale);
  }
  auto rig = fresh.rig();
  auto abandoned = rig.abandon(key_of(2));
  rig.run();
  CHECK(rig.reply<runs_freed>(abandoned)->freed_count == 1);
  CHECK(read_code(rig, two) == errc::stale);
  CHECK(rig.state().report().blocks_free == rig.state().report().blocks_total);
}

TEST_CASE("block_store: abandoned writes stay refused while the log goes round",
          "[unit][block_store]") {
  fresh_drive fresh;
  auto rig = fresh.rig();
  rig.abandon(key_of(7));
  rig.run();
  for (std::uint64_t id = 100; id < 200; ++id) { // a batch each: the log has room for 16
    auto run = store_now(rig, id, 1);
    rig.free({run});
    rig.run();
  }
  auto next = fresh.files.clone();
  auto drive = mount(*next);
  REQUIRE(drive);
  drive_rig after{std::move(*drive)};
  CHECK(after.code(after.store(store_of(7, 1))) == errc::interrupted);
}

TEST_CASE("block_store: the log is kept until the pages in place are durable",
          "[unit][block_store]") {
  // Goal: a crash that keeps everything but the pages just put in place loses nothing. Method: the
  // device loses exactly those writes, then takes one more batch.
  fresh_drive fresh{900};
  std::map<std::uint64_t, run_ref> runs;
  {
    auto rig = fresh.rig();
    const auto& g = rig.drive().superblock.geometry;
    auto installing = [&] {
      return std::find_if(rig.writes.begin(), rig.writes.end(), [&](const drive_write& x) {
        return x.offset >= g.bitmap_offset && x.offset < g.data_offset;
      });
    };
    std::uint64_t id = 0;
    while (installing() == rig.writes.end()) {
      REQUIRE(++id < 20); // more than half of the dirty pages begin a checkpoint
      auto request = rig.store(store_of(id, 200));
      while (!rig.answered(request)) {
        rig.do_all_but_sync();
        rig.do_sync();
      }
      runs[id] = stored(rig, request);
    }
    while (installing() != rig.writes.end())
      rig.lose_write(static_cast<std::size_t>(installing() - rig.writes.begin()));
    rig.store(store_of(90, 1));
    rig.do_all_but_sync();
  }
  fresh.files.crash(1);
  auto rig = fresh.rig();
  for (const auto& [id, run] : runs)
    CHECK(reads_back(rig, run, id));
}

TEST_CASE("block_store: a checkpoint does not write down what is not logged",
          "[unit][block_store]") {
  fresh_drive fresh{900};
  {
    auto rig = fresh.rig();
    const auto& g = rig.drive().superblock.geometry;
    auto shadows = [&] {
      return std::any_of(rig.writes.begin(), rig.writes.end(),
                         [&](const drive_write& x) { return x.offset == g.shadow_offset; });
    };
    for (std::uint64_t id = 1; !shadows(); ++id) {
      REQUIRE(id < 20);
      rig.store(store_of(id, 200));
      rig.store(store_of(id + 100, 3)); // placed while the other's round is under way
      while (!rig.writes.empty() && !shadows())
        rig.do_write();
      if (!shadows() && !rig.reads.empty())
        rig.do_read();
      if (!shadows() && !rig.syncs.empty())
        rig.do_sync();
    }
    // The images are durable and go to their places; what was not in the round is lost.
    rig.do_all_but_sync();
    rig.do_sync();
    while (!rig.writes.empty())
      rig.do_write();
  }
  fresh.files.crash(1);
  blocking_drive drive{*mount(fresh.files)};
  std::uint64_t used = 0;
  auto listed = drive.list();
  for (const auto& entry : *listed)
    used += entry.run.block_count;
  CHECK(used == drive.report().blocks_total - drive.report().blocks_free);
}

TEST_CASE("block_store: a full drive says so, and what it holds is whole", "[unit][block_store]") {
  fresh_drive fresh{200};
  auto options = tiny_options();
  options.reserve_permille = 100;
  auto rig = fresh.rig(options);
  auto total = rig.state().report().blocks_total;
  std::map<std::uint64_t, run_ref> runs;
  std::uint64_t id = 1;
  errc code = errc::none;
  for (; code == errc::none; ++id) {
    auto request = rig.store(store_of(id, 7));
    rig.run();
    code = rig.code(request);
    if (code == errc::none)
      runs[id] = stored(rig, request);
    else
      CHECK(rig.reply<error>(request)->id == trp::cluster_full);
  }
  CHECK(code == errc::no_space);
  CHECK(runs.size() == (total - total / 10) / 7);
  CHECK(rig.state().report().blocks_free < 7);
  auto repair = rig.store(store_of(id, 7), store_class::repair); // F31: the reserve is for these
  rig.run();
  CHECK(rig.reply<run_stored>(repair));
  for (const auto& [number, run] : runs)
    CHECK(reads_back(rig, run, number));
  auto freed = rig.free({runs.at(2), runs.at(3)}); // freeing always works
  rig.run();
  CHECK(rig.reply<runs_freed>(freed)->freed_count == 2);
  auto again = rig.store(store_of(id + 1, 7));
  rig.run();
  CHECK(rig.reply<run_stored>(again));
}

TEST_CASE("block_store: a failed write or sync ends the drive", "[unit][block_store]") {
  fresh_drive fresh;
  auto rig = fresh.rig();
  auto run = store_now(rig, 1, 4);
  auto first = rig.store(store_of(2, 4));
  request_token second;
  request_token reading;
  SECTION("data or log write") {
    second = rig.store(store_of(3, 4));
    reading = rig.read(run);
    rig.fail(rig.writes, GENERATE(0, 1));
  }
  SECTION("sync") {
    rig.do_all_but_sync();
    second = rig.store(store_of(3, 4));
    reading = rig.read(run);
    rig.fail(rig.syncs);
  }
  CHECK(rig.died);
  CHECK(rig.code(first) == errc::may_have_happened);
  CHECK(rig.code(second) == errc::unavailable);
  CHECK(rig.code(reading) == errc::unavailable);
  CHECK(rig.reply<error>(first)->id == trp::drive_failed);
  auto ordered = rig.io_count();
  CHECK(rig.code(rig.store(store_of(4, 1))) == errc::unavailable);
  CHECK(rig.code(rig.read(run)) == errc::unavailable);
  CHECK(rig.code(rig.free({run})) == errc::unavailable);
  CHECK(rig.code(rig.abandon(key_of(2))) == errc::unavailable);
  CHECK(rig.code(rig.list(0)) == errc::unavailable);
  CHECK(rig.io_count() == ordered);
  rig.do_all_but_sync(); // late completions of the dead drive change nothing
  CHECK(rig.io_count() == 0);
  CHECK(rig.state().report().state == drive_state::dead);
  CHECK(rig.state().report().io_errors == 1);
}

TEST_CASE("block_store: an unreadable block is an error of that read alone",
          "[unit][block_store]") {
  fresh_drive fresh;
  auto rig = fresh.rig();
  auto run = store_now(rig, 1, 4);
  auto broken = rig.read(run);
  rig.fail(rig.reads);
  CHECK(rig.code(broken) == errc::io_error);
  CHECK_FALSE(rig.died);
  CHECK(rig.state().report().state == drive_state::suspect);
  CHECK(reads_back(rig, run, 1));
}

TEST_CASE("block_store: an unreadable table page fails what needs it, nothing else",
          "[unit][block_store]") {
  fresh_drive fresh;
  run_ref run;
  {
    auto rig = fresh.rig();
    run = store_now(rig, 1, 4);
  }
  auto rig = fresh.rig();
  auto store = rig.store(store_of(2, 4));
  auto read = rig.read(run);
  auto freed = rig.free({run});
  auto abandoned = rig.abandon(key_of(1));
  REQUIRE(rig.reads.size() == 1);
  rig.fail(rig.reads);
  for (auto request : {store, read, freed, abandoned})
    CHECK(rig.code(request) == errc::io_error);
  CHECK(rig.state().idle());
  CHECK(reads_back(rig, run, 1));
}

TEST_CASE("block_store: a table page that failed leaves no other page in use",
          "[unit][block_store]") {
  // Goal: the other page of a failed request leaves the full cache as any other. Method: requests
  // that need two pages, of which one fails; later all pages have to be loaded again.
  constexpr std::uint64_t pairs = 32;
  fresh_drive fresh{2 * pairs * table_page_blocks};
  auto rig = fresh.rig();
  auto run = [](std::uint64_t pair) {
    return run_ref{some_drive(), (2 * pair + 1) * table_page_blocks - 8, 16, birth{1}};
  };
  for (std::uint64_t pair = 0; pair < pairs; ++pair) {
    auto request = rig.read(run(pair));
    REQUIRE(rig.reads.size() == 2);
    rig.fail(rig.reads);
    rig.run();
    CHECK(rig.code(request) == errc::io_error);
  }
  REQUIRE(pairs > tiny_options().cache_pages_max);
  for (std::uint64_t pair = 0; pair < pairs; ++pair) {
    auto request = rig.read(run(pair));
    CHECK(rig.reads.size() == 2);
    rig.run();
    CHECK(rig.code(request) == errc::stale);
  }
}

TEST_CASE("block_store: a flipped bit in a block is named, the others are given",
          "[unit][block_store]") {
  fresh_drive fresh;
  auto rig = fresh.rig();
  auto run = store_now(rig, 1, 4);
  auto block = run.start_block + 2;
  auto offset = rig.drive().superblock.geometry.data_offset + block * block_bytes + 77;
  REQUIRE(fresh.files.flip_bits(drive_directory + "/blocks", offset, 4));
  auto read = rig.read(run);
  auto others = rig.read(run, 0, 2);
  rig.run();
  REQUIRE(rig.reply<error>(read));
  CHECK(rig.code(read) == errc::corrupt);
  CHECK(rig.reply<error>(read)->context.find("block " + std::to_string(block))
        != std::string::npos);
  CHECK(rig.reply<error>(read)->context.find(to_string(some_drive())) != std::string::npos);
  CHECK(rig.reply<run_data>(others));
  CHECK(rig.state().report().checksum_errors == 1);
  CHECK(rig.state().report().state == drive_state::suspect);
}

TEST_CASE("block_store: runs can be listed window by window", "[unit][block_store]") {
  fresh_drive fresh{600};
  blocking_drive drive{*mount(fresh.files)};
  std::vector<run_entry> expected_runs;
  for (std::uint64_t id = 1; id < 30; ++id) {
    auto run = drive.store(store_of(id, static_cast<std::uint32_t>(id)));
    REQUIRE(run);
    expected_runs.push_back({run->run, lin{id}});
  }
  auto victim = expected_runs[4].run;
  expected_runs.erase(expected_runs.begin() + 4);
  CHECK(drive.free({{victim}})->freed_count == 1);
  auto found = drive.list();
  REQUIRE(found);
  REQUIRE(found->size() == expected_runs.size());
  for (std::size_t i = 0; i < found->size(); ++i) {
    CHECK((*found)[i].run == expected_runs[i].run);
    CHECK((*found)[i].owner == expected_runs[i].owner);
  }
}
