#include "storage/consensus/consensus.hpp"
#include "storage/meta/data_format.hpp"
#include "storage/meta/meta_keys.hpp"
#include "storage/meta/partition_entry_format.hpp"
#include "storage/meta/partition_format.hpp"
#include "tests/storage/meta/meta_harness.hpp"
#include "tests/storage/meta/stripe_maker.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

struct data_harness : meta_harness {
  data_harness() {
    drives = stripe_maker::drives();
    file = create(root_lin, "f");
  }
  layout_is layout(std::uint64_t offset = 0, std::uint64_t bytes = 1ull << 50) {
    return must<layout_is>(op_get_layout{file, offset, bytes});
  }
  write_committed commit(std::uint64_t offset, std::uint64_t bytes) {
    return must<write_committed>(commit_of(maker, file, offset, bytes));
  }
  void truncate(std::uint64_t size) {
    op_commit_write op;
    op.id = file;
    op.truncate_to = size;
    must<write_committed>(op);
  }
  /// "[begin, end)" of every valid extent.
  std::string ranges(std::uint64_t offset = 0, std::uint64_t bytes = 1ull << 50) {
    std::string out;
    for (const auto& e : layout(offset, bytes).extents)
      out += "[" + std::to_string(e.file_offset / block_bytes) + ","
             + std::to_string((e.file_offset + e.bytes) / block_bytes) + ")";
    return out;
  }
  std::uint64_t pending_runs() {
    std::uint64_t sum = 0;
    auto found = list_drives(rows);
    for (const auto& d : *std::get<expected<std::vector<drive_frees>>>(found))
      sum += d.pending_runs;
    return sum;
  }
  stripe_maker maker;
  lin file;
};

constexpr std::uint64_t block = block_bytes;

} // namespace

TEST_CASE("meta_data: a committed stripe is the file's layout and is charged whole",
          "[unit][meta_data]") {
  data_harness m;
  auto op = commit_of(m.maker, m.file, 0, 100 * block - 5);
  auto committed = m.must<write_committed>(op);
  REQUIRE(committed.stripes.size() == 1);
  CHECK(committed.attributes.size == 100 * block - 5);
  CHECK(committed.attributes.physical_blocks == 13 * 10);
  CHECK(committed.attributes.modify_time == m.context.now);
  auto layout = m.layout();
  REQUIRE(layout.extents.size() == 1);
  CHECK(layout.extents[0] == extent{0, 100 * block, committed.stripes[0], 0});
  REQUIRE(layout.stripes.size() == 1);
  CHECK(layout.stripes[0].layout == op.stripes[0]);
  CHECK(layout.stripes[0].version == 0);
  CHECK_FALSE(layout.more);
  CHECK(m.findings() == "");
  op.modify_time = wall_time{5};
  op = commit_of(m.maker, m.file, 100 * block, block);
  op.modify_time = wall_time{5};
  CHECK(m.must<write_committed>(op).attributes.modify_time == wall_time{5});
}

TEST_CASE("meta_data: new extents cut, split and replace old ones", "[unit][meta_data]") {
  data_harness m;
  m.commit(0, 100 * block);
  m.commit(40 * block, 10 * block);
  CHECK(m.ranges() == "[0,40)[40,50)[50,100)");
  auto layout = m.layout();
  CHECK(layout.extents[2].stripe == layout.extents[0].stripe);
  CHECK(layout.extents[2].stripe_offset == 50 * block);
  CHECK(m.ranges(45 * block, 1) == "[40,50)");
  CHECK(m.ranges(50 * block - 1, 2) == "[40,50)[50,100)");
  CHECK(m.ranges(100 * block, 100) == "");
  CHECK(m.pending_runs() == 0); // dead weight stays while a part is used
  m.commit(0, 45 * block);
  CHECK(m.ranges() == "[0,45)[45,50)[50,100)");
  CHECK(m.findings() == "");
  m.commit(30 * block, 70 * block);
  CHECK(m.ranges() == "[0,30)[30,100)");
  CHECK(m.pending_runs() == 13); // the first stripe (8+2) and the second (1+2)
  CHECK(m.findings() == "");
}

TEST_CASE("meta_data: a layout is given in pages", "[unit][meta_data]") {
  data_harness m;
  for (int i = 0; i < 10; ++i)
    m.commit(static_cast<std::uint64_t>(i) * 2 * block, block);
  std::vector<extent> all;
  std::uint64_t offset = 0;
  while (true) {
    auto page = m.must<layout_is>(op_get_layout{m.file, offset, 1ull << 40, 3});
    CHECK(page.extents.size() <= 3);
    CHECK(page.stripes.size() == page.extents.size());
    all.insert(all.end(), page.extents.begin(), page.extents.end());
    if (!page.more)
      break;
    offset = all.back().file_offset + all.back().bytes;
  }
  CHECK(all == m.layout().extents);
  CHECK(all.size() == 10);
  CHECK(m.refused(op_get_layout{m.file, 0, 1, 0}) == errc::invalid_argument);
  CHECK(m.refused(op_get_layout{root_lin, 0, 1}) == errc::is_directory);
  CHECK(m.refused(op_get_layout{lin{999}, 0, 1}) == errc::stale_handle);
  auto link = m.create(root_lin, "s", file_kind::symlink);
  CHECK(m.refused(op_get_layout{link, 0, 1}) == errc::invalid_argument);
}

TEST_CASE("meta_data: the first block is inline or in an extent, never both", "[unit][meta_data]") {
  data_harness m;
  auto text = as_bytes("hello");
  op_commit_write op;
  op.id = m.file;
  op.inline_data.emplace(text.begin(), text.end());
  CHECK(m.must<write_committed>(op).attributes.size == 5);
  CHECK(m.layout().inline_data == op.inline_data);
  CHECK(m.layout().attributes.physical_blocks == 0);
  // Data further out leaves it alone; an extent at 0 takes its place.
  m.commit(4 * block, block);
  CHECK(m.layout().inline_data == op.inline_data);
  CHECK(m.findings() == "");
  CHECK(m.refused(op) == errc::invalid_argument); // the file is longer than a block
  m.commit(0, block);
  CHECK_FALSE(m.layout().inline_data);
  CHECK(m.findings() == "");
  m.truncate(3);
  CHECK(m.ranges() == "[0,1)");
  m.must<write_committed>(op);
  CHECK(m.ranges() == "");
  CHECK(m.layout().inline_data == op.inline_data);
  CHECK(m.layout().attributes.physical_blocks == 0);
  CHECK(m.findings() == "");
  m.truncate(2);
  CHECK(m.layout().inline_data->size() == 2);
  m.truncate(0);
  CHECK_FALSE(m.layout().inline_data);
  op.inline_data = byte_vector(inline_bytes_max + 1);
  CHECK(m.refused(op) == errc::invalid_argument);
  op.inline_data = byte_vector(inline_bytes_max);
  CHECK(m.must<write_committed>(op).attributes.size == inline_bytes_max);
  op.size_at_least = inline_bytes_max + 1;
  CHECK(m.refused(op) == errc::invalid_argument);
}

TEST_CASE("meta_data: a commit that cannot be right is refused for good", "[unit][meta_data]") {
  data_harness m;
  auto refuse = [&](auto change, errc code) {
    auto op = commit_of(m.maker, m.file, 0, 20 * block);
    change(op);
    CHECK(m.refused(op) == code);
    CHECK(m.last_recorded);
    CHECK(m.layout().extents.empty());
  };
  using op_t = op_commit_write;
  refuse([](op_t& op) { op.stripes[0].units.pop_back(); }, errc::invalid_argument);
  refuse([](op_t& op) { op.stripes[0].units[1].run.drive = op.stripes[0].units[0].run.drive; },
         errc::invalid_argument);
  refuse([](op_t& op) { op.stripes[0].units[1].run.block_count = 1; }, errc::invalid_argument);
  refuse([](op_t& op) { op.stripes[0].units[1].run.born = {}; }, errc::invalid_argument);
  refuse([](op_t& op) { op.stripes[0].shape.per_node = 1; }, errc::invalid_argument);
  refuse([](op_t& op) { op.stripes[0].shape.per_node = 0; }, errc::invalid_argument);
  refuse([](op_t& op) { op.stripes[0].unit_blocks = 0; }, errc::invalid_argument);
  refuse([](op_t& op) { op.stripes[0].unit_blocks = 17; }, errc::invalid_argument);
  refuse([](op_t& op) { op.stripes.push_back(op.stripes[0]); }, errc::invalid_argument);
  refuse([](op_t& op) { op.stripes[0].units[3].run.drive = stripe_maker::drive(99); },
         errc::below_floor);
  refuse([](op_t& op) { op.extents[0].stripe_index = 1; }, errc::invalid_argument);
  refuse([](op_t& op) { op.extents[0].bytes += 1; }, errc::invalid_argument);
  refuse([](op_t& op) { op.extents[0].bytes = 0; }, errc::invalid_argument);
  refuse([](op_t& op) { op.extents[0].file_offset = 5; }, errc::invalid_argument);
  refuse([](op_t& op) { op.extents[0].bytes += 8 * block; }, errc::invalid_argument);
  refuse([](op_t& op) { op.extents[0].stripe_offset = 8 * block; }, errc::invalid_argument);
  refuse([](op_t& op) { op.extents.push_back(op.extents[0]); }, errc::invalid_argument);
  refuse([](op_t& op) { op.extents.clear(); }, errc::invalid_argument);
  refuse([](op_t& op) { op.size_at_least = block; }, errc::invalid_argument);
  refuse([](op_t& op) { op.inline_data.emplace(); }, errc::invalid_argument);
  refuse([](op_t& op) { op.extents[0].file_offset = ~0ull - 5 * block + 1; }, errc::too_large);
  refuse([](op_t& op) { op.size_at_least = ~0ull; }, errc::too_large);
  refuse([](op_t& op) { op.id = root_lin; }, errc::is_directory);
  refuse([](op_t& op) { op.id = lin{777}; }, errc::stale_handle);
  refuse([&](op_t&) { m.drives[stripe_maker::drive(2)].writable = false; }, errc::below_floor);
  m.drives[stripe_maker::drive(2)].writable = true;
  refuse([&](op_t&) { m.context.limits.commit_stripes_max = 0; }, errc::too_large);
  m.context.limits.commit_stripes_max = 10;
  m.context.lease_valid = false;
  refuse([](op_t&) {}, errc::stale);
  CHECK(m.pending_runs() == 0);
  CHECK(m.findings() == "");
}

TEST_CASE("meta_data: what one commit may replace is bounded", "[unit][meta_data]") {
  data_harness m;
  for (int i = 0; i < 10; ++i)
    m.commit(static_cast<std::uint64_t>(i) * block, block);
  m.context.limits.replaced_extents_max = 9;
  auto op = commit_of(m.maker, m.file, 0, 10 * block);
  CHECK(m.refused(op) == errc::too_large);
  CHECK(m.last_recorded);
  m.context.limits.replaced_extents_max = 10;
  m.must<write_committed>(commit_of(m.maker, m.file, 0, 10 * block));
  CHECK(m.ranges() == "[0,10)");
  CHECK(m.pending_runs() == 30);
}

TEST_CASE("meta_data: the biggest commit that is allowed fits one proposal", "[unit][meta_data]") {
  // Goal: no change is evaluated that consensus then never takes. Method: each replaced block is a
  // stripe of its own (5 copies), a snapshot keeps all of them, as many new stripes as may be.
  data_harness m;
  m.forgetful_every = 1000; // only the bytes matter here
  m.context.epoch = snapshot_epoch{1};
  const auto& limits = m.context.limits;
  for (std::uint64_t at = 0; at < limits.replaced_extents_max; at += limits.commit_stripes_max) {
    op_commit_write op;
    op.id = m.file;
    for (std::uint32_t i = 0; i < limits.commit_stripes_max; ++i) {
      op.stripes.push_back(m.maker.make(1, 4, 1));
      op.extents.push_back({(at + i) * block, block, i, 0});
    }
    op.size_at_least = (at + limits.commit_stripes_max) * block;
    m.must<write_committed>(op);
  }
  std::vector<snapshot_epoch> snapshots{snapshot_epoch{1}};
  m.context.epoch = snapshot_epoch{2};
  m.context.snapshots = snapshots;
  op_commit_write op;
  op.id = m.file;
  auto blocks_each = limits.replaced_extents_max / limits.commit_stripes_max;
  for (std::uint32_t i = 0; i < limits.commit_stripes_max; ++i) {
    op.stripes.push_back(m.maker.make(8, 4, 1));
    op.extents.push_back({std::uint64_t{i} * blocks_each * block, blocks_each * block, i, 0});
  }
  m.must<write_committed>(op);
  auto bytes = encode(partition_entry{m.last_batch, {}, {}}).size();
  CHECK(bytes > 500'000);
  CHECK(bytes <= consensus_options{}.batch_bytes_max);
}

TEST_CASE("meta_data: a stripe below its level is in the at-risk table while it lives",
          "[unit][meta_data]") {
  data_harness m;
  auto op = commit_of(m.maker, m.file, 0, block);
  op.stripes[0].at_risk = true;
  op.stripes[0].requested_level = 4;
  auto id = m.must<write_committed>(op).stripes[0];
  auto row = m.rows.get(at_risk_key(id));
  REQUIRE(row.state == row_state::found);
  CHECK(decode_at_risk(row.value)->owner == m.file);
  CHECK(decode_at_risk(row.value)->requested_level == 4);
  CHECK(m.findings() == "");
  m.truncate(0);
  CHECK(m.rows.get(at_risk_key(id)).state == row_state::absent);
  CHECK(m.findings() == "");
}

TEST_CASE("meta_data: a small truncate is one entry, a big one is cut and cleaned",
          "[unit][meta_data]") {
  data_harness m;
  m.context.limits.clean_extents_max = 4;
  auto fill = [&](int count) {
    for (int i = 0; i < count; ++i)
      m.commit(static_cast<std::uint64_t>(i) * 2 * block, 2 * block);
  };
  fill(5);
  m.truncate(3 * block + 1); // four blocks stay, three extents go
  CHECK(m.ranges() == "[0,2)[2,4)");
  CHECK(m.pending_runs() == 9);
  CHECK_FALSE(m.first_clean_item());
  CHECK(m.findings() == "");

  fill(20);
  m.truncate(3 * block);
  CHECK(m.ranges() == "[0,2)[2,3)");
  CHECK(m.stat(m.file).size == 3 * block);
  REQUIRE(m.first_clean_item() == clean_item{m.file, false});
  CHECK(m.findings() == "");
  // Growing again shows zeros, not what was cut off.
  op_commit_write grow;
  grow.id = m.file;
  grow.size_at_least = 40 * block;
  m.must<write_committed>(grow);
  CHECK(m.ranges() == "[0,2)[2,3)");
  // Writing just behind the cut clears what is in the way, far behind waits for the cleaner.
  m.commit(3 * block, 4 * block);
  CHECK(m.ranges() == "[0,2)[2,3)[3,7)");
  auto far = commit_of(m.maker, m.file, 30 * block, block);
  CHECK(m.refused(far) == errc::busy);
  CHECK_FALSE(m.last_recorded);
  // Behind the end of the old data nothing is in the way.
  m.commit(60 * block, block);
  CHECK(m.findings() == "");
  auto entries = m.clean_all();
  CHECK(entries == 5); // 17 extents and a rest of one, four at a time
  CHECK(m.findings() == "");
  m.must<write_committed>(far);
  CHECK(m.ranges() == "[0,2)[2,3)[3,7)[30,31)[60,61)");
  CHECK(m.findings() == "");
}

TEST_CASE("meta_data: cuts unite or wait", "[unit][meta_data]") {
  data_harness m;
  m.context.limits.clean_extents_max = 2;
  for (int i = 0; i < 20; ++i)
    m.commit(static_cast<std::uint64_t>(i) * block, block);
  m.truncate(15 * block);
  m.truncate(10 * block);
  CHECK(m.ranges(9 * block) == "[9,10)");
  CHECK(m.findings() == "");
  for (int i = 20; i < 30; ++i)
    m.commit(static_cast<std::uint64_t>(i) * block, block);
  op_commit_write op;
  op.id = m.file;
  op.truncate_to = 22 * block; // valid data lie between the cut and this
  CHECK(m.refused(op) == errc::busy);
  op.truncate_to = 28 * block; // few enough to go at once
  m.must<write_committed>(op);
  CHECK(m.findings() == "");
  op.truncate_to = 18 * block; // inside the earlier cut: one range
  m.must<write_committed>(op);
  CHECK(m.ranges(9 * block) == "[9,10)");
  CHECK(m.findings() == "");
  m.truncate(0);
  CHECK(m.ranges() == "");
  m.clean_all();
  CHECK(m.stat(m.file).physical_blocks == 0);
  CHECK(m.findings() == "");
}

TEST_CASE("meta_data: a file with extents goes through the orphan table", "[unit][meta_data]") {
  data_harness m;
  m.context.limits.clean_extents_max = 3;
  for (int i = 0; i < 10; ++i)
    m.commit(static_cast<std::uint64_t>(i) * block, block);
  m.must<done>(op_unlink{root_lin, "f", {}});
  CHECK(m.stat(m.file).link_count == 0);
  CHECK(m.refused(commit_of(m.maker, m.file, 0, block)) == errc::stale_handle);
  CHECK(m.findings() == "");
  CHECK(m.clean_all() == 4);
  CHECK(m.refused(op_get_attributes{m.file}) == errc::stale_handle);
  CHECK(m.pending_runs() == 30);
  CHECK(m.findings() == "");
  m.must<done>(op_release_orphan{m.file});
}

TEST_CASE("meta_data: an open orphan can be read and written until its client is gone",
          "[unit][meta_data]") {
  data_harness m;
  m.commit(0, block);
  m.must<done>(op_unlink{root_lin, "f", m.file});
  CHECK_FALSE(m.first_clean_item());
  m.commit(block, block);
  CHECK(m.ranges() == "[0,1)[1,2)");
  m.context.client = client_id{8};
  m.call(op_register_client{});
  auto sequences = std::exchange(m.sequences, {});
  CHECK(m.refused(commit_of(m.maker, m.file, 0, block)) == errc::stale_handle);
  SECTION("closed") {
    m.context.client = client_id{7};
    m.sequences = sequences;
    m.must<done>(op_release_orphan{m.file});
  }
  slot_set few{0xff}; // the sessions of every own slot are looked at when a client expires
  m.context.slots = &few;
  SECTION("expired") {
    auto out = m.both_ways([&](const table_view& view) {
      return expire_client(client_id{7}, incarnation{1}, m.context, view);
    });
    m.rows.apply(out.batch);
  }
  SECTION("restarted") {
    m.context.client = client_id{7};
    m.context.client_incarnation = incarnation{2};
    m.call(op_register_client{});
  }
  REQUIRE(m.first_clean_item() == clean_item{m.file, true});
  m.clean_all();
  CHECK(m.refused(op_get_attributes{m.file}) == errc::stale_handle);
  CHECK(m.findings() == "");
}

TEST_CASE("meta_data: frees are listed per drive and acknowledged", "[unit][meta_data]") {
  data_harness m;
  std::set<run_ref> freed;
  for (int i = 0; i < 3; ++i) {
    auto op = commit_of(m.maker, m.file, 0, block);
    for (const auto& unit : op.stripes[0].units)
      freed.insert(unit.run);
    m.must<write_committed>(op);
    m.truncate(0);
  }
  CHECK(m.pending_runs() == 9);
  std::set<run_ref> listed;
  for (std::uint8_t i = 0; i < 3; ++i) {
    auto drive = stripe_maker::drive(i);
    auto found = list_frees(m.rows, drive, 2);
    auto& frees = *std::get<expected<std::vector<pending_free>>>(found);
    CHECK(frees.size() == 2);
    std::vector<std::string> keys;
    for (const auto& f : frees) {
      keys.push_back(f.key);
      listed.insert(f.runs.begin(), f.runs.end());
    }
    for (int twice = 0; twice < 2; ++twice) {
      auto out =
        m.both_ways([&](const table_view& view) { return frees_done(keys, m.context, view); });
      CHECK(out.batch.empty() == (twice == 1));
      m.rows.apply(out.batch);
    }
    CHECK(m.findings() == "");
  }
  CHECK(listed.size() == 6);
  CHECK(std::includes(freed.begin(), freed.end(), listed.begin(), listed.end()));
  auto gone = stripe_maker::drive(0);
  auto out =
    m.both_ways([&](const table_view& view) { return drop_frees(gone, 10, m.context, view); });
  m.rows.apply(out.batch);
  CHECK(m.pending_runs() == 2);
  CHECK(m.findings() == "");
  auto bad = frees_done({"rubbish"}, m.context, m.rows);
  CHECK(std::holds_alternative<error>(std::get<evaluation>(bad).outcome));
}

TEST_CASE("meta_data: frees beyond the bound are left to Collect", "[unit][meta_data]") {
  data_harness m;
  m.context.limits.pending_runs_max = 2;
  for (int i = 0; i < 4; ++i) {
    m.commit(0, block);
    m.truncate(0);
  }
  CHECK(m.pending_runs() == 6);
  auto found = list_drives(m.rows);
  for (const auto& d : *std::get<expected<std::vector<drive_frees>>>(found)) {
    CHECK(d.pending_runs == 2);
    CHECK(d.needs_collect);
  }
  CHECK(m.findings() == "");
}

TEST_CASE("meta_data: a commit that changes nothing leaves the inode alone", "[unit][meta_data]") {
  data_harness m;
  auto before = m.stat(m.file);
  op_commit_write op;
  op.id = m.file;
  op.release_lease = true;
  m.must<write_committed>(op);
  CHECK(m.stat(m.file) == before);
  op.modify_time = wall_time{3};
  m.must<write_committed>(op);
  CHECK(m.stat(m.file).modify_time == wall_time{3});
}
