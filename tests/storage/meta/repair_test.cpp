#include "storage/base/wire.hpp"
#include "storage/meta/data_format.hpp"
#include "storage/meta/meta_keys.hpp"
#include "storage/meta/partition_format.hpp"
#include "tests/storage/meta/hex.hpp"
#include "tests/storage/meta/meta_harness.hpp"
#include "tests/storage/meta/stripe_maker.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

/// A file of one stripe, 4+2 over drives 0 to 5 (nodes 1 to 3, two units each).
struct repair_harness : meta_harness {
  repair_harness() {
    drives = stripe_maker::drives();
    file = create(root_lin, "f");
    op_commit_write op;
    op.id = file;
    op.stripes.push_back(maker.make(4, 2));
    op.extents.push_back({0, 4 * unit_bytes, 0, 0});
    op.size_at_least = 4 * unit_bytes;
    id = must<write_committed>(op).stripes[0];
  }
  stripe_info stripe() { return must<stripe_is>(op_get_stripe{id}).stripe; }
  run_ref run_on(std::uint8_t drive, std::uint64_t born = 9000) {
    return {stripe_maker::drive(drive), born * 100, unit_blocks, birth{born}};
  }
  op_repair_unit repair(std::uint32_t unit, run_ref run) {
    return {id, stripe().version, unit, run};
  }
  /// "drive:birth" of every run that waits to be freed.
  std::string pending() {
    std::string out;
    for (const auto& [drive, fact] : drives) {
      auto found = list_frees(rows, drive, 1000);
      for (const auto& batch : *std::get<expected<std::vector<pending_free>>>(found))
        for (const auto& run : batch.runs)
          out += std::to_string(drive.bytes[15] - 1) + ":" + std::to_string(run.born.value) + " ";
    }
    return out;
  }
  stripe_maker maker;
  lin file;
  stripe_id id;
};

} // namespace

TEST_CASE("meta_repair: the run of one unit is swapped, and nothing else changes",
          "[unit][meta_repair]") {
  repair_harness m;
  auto before = m.stripe();
  auto attributes = m.stat(m.file);
  m.context.epoch = snapshot_epoch{3};
  m.must<done>(m.repair(1, m.run_on(7)));
  auto after = m.stripe();
  CHECK(after.version == before.version + 1);
  CHECK(after.layout.units[1].run == m.run_on(7));
  CHECK(after.layout.units[1].checksum == before.layout.units[1].checksum);
  auto expected_layout = before.layout;
  expected_layout.units[1].run = m.run_on(7);
  CHECK(after.layout == expected_layout);
  CHECK(m.stat(m.file) == attributes); // no times, no change count
  CHECK(m.pending() == "1:2 ");        // the old run, on the drive where it is
  CHECK(m.findings() == "");

  // Another one, on the same drive as the bad one: only a block of it is bad.
  m.must<done>(m.repair(5, m.run_on(5)));
  CHECK(m.stripe().layout.units[5].run == m.run_on(5));
  CHECK(m.pending() == "1:2 5:6 ");

  // The file goes: the runs of now are freed, once.
  m.drain_frees();
  m.must<done>(op_unlink{root_lin, "f", {}});
  m.clean_all();
  CHECK(m.pending() == "0:1 2:3 3:4 4:5 5:9000 7:9000 ");
  CHECK(m.findings() == "");
}

TEST_CASE("meta_repair: a repair of a record that is not the present one is refused",
          "[unit][meta_repair]") {
  repair_harness m;
  auto late = m.repair(2, m.run_on(9));
  auto first = m.repair(2, m.run_on(8));
  m.must<done>(first);
  CHECK(m.refused(late) == errc::stale);
  CHECK(m.last_recorded);                 // definite: the run is its sender's to free
  CHECK(m.refused(first) == errc::stale); // another sequence: another change
  CHECK(m.stripe().layout.units[2].run == m.run_on(8));
  m.must<done>(op_unlink{root_lin, "f", {}});
  m.clean_all();
  CHECK(m.refused(first) == errc::not_found);
  CHECK(m.refused(op_get_stripe{m.id}) == errc::not_found);
}

TEST_CASE("meta_repair: a place that breaks the level is refused", "[unit][meta_repair]") {
  repair_harness m;
  auto before = m.stripe();
  auto refuse = [&](op_repair_unit op, errc code) {
    CHECK(m.refused(op) == code);
    CHECK(m.stripe().layout == before.layout);
    CHECK(m.stripe().version == before.version);
  };
  refuse(m.repair(0, m.run_on(1)), errc::invalid_argument); // another unit's drive
  refuse(m.repair(6, m.run_on(8)), errc::invalid_argument); // no such unit
  refuse(m.repair(0, before.layout.units[0].run), errc::invalid_argument);
  auto run = m.run_on(8);
  run.block_count = 3;
  refuse(m.repair(0, run), errc::invalid_argument);
  run = m.run_on(8);
  run.born = {};
  refuse(m.repair(0, run), errc::invalid_argument);
  refuse(m.repair(0, m.run_on(99)), errc::below_floor); // nobody knows the drive
  m.drives[stripe_maker::drive(8)].writable = false;
  refuse(m.repair(0, m.run_on(8)), errc::below_floor);
  m.drives[stripe_maker::drive(9)].node = node_id{2}; // drives 2 and 3 are there
  refuse(m.repair(0, m.run_on(9)), errc::invalid_argument);
  m.must<done>(m.repair(2, m.run_on(9))); // but instead of one of them it may
  before = m.stripe();
  m.context.below_floor = true;
  refuse(m.repair(0, m.run_on(10)), errc::below_floor);
  CHECK(m.pending() == "2:3 ");
}

TEST_CASE("meta_repair: a repeated repair is answered as the first time", "[unit][meta_repair]") {
  repair_harness m;
  auto op = m.repair(3, m.run_on(11));
  m.must<done>(op);
  auto again = m.both_ways([&](const table_view& view) { return evaluate(op, m.context, view); });
  CHECK(again.recorded);
  CHECK(again.batch.empty());
  CHECK(std::holds_alternative<meta_result>(again.outcome));
}

TEST_CASE("meta_repair: what travels has the bytes it always had", "[unit][meta_repair]") {
  // Sent between versions N and N-1: a change here breaks clusters in the middle of an upgrade.
  auto hex = [](const auto& x) { return to_hex(as_text(wire_encode(x).body)); };
  run_ref run{stripe_maker::drive(4), 0x1122, 16, birth{0x33}};
  CHECK(hex(meta_operation{op_get_stripe{stripe_id{0x0007000000000009}}}) == "160900000000000700");
  CHECK(hex(meta_operation{op_repair_unit{stripe_id{0x0007000000000009}, 5, 2, run}})
        == "170900000000000700"       // operation 23, stripe
           "050000000000000002000000" // version, unit
           "000000000000000000000000000000052211000000000000100000003300000000000000");
  stripe_info info{stripe_id{9}, 5, {{1, 0, 1}, 16, 3, false, {{run, 0xaabbccdd}}}};
  CHECK(hex(meta_result{stripe_is{lin{0x44}, info}})
        == "0a440000000000000009000000000000000500000000000000" // result 10, owner, id, version
           "01000110000000030001000000" // 1+0/1, 16 blocks, level, at risk, one unit
           "000000000000000000000000000000052211000000000000100000003300000000000000ddccbbaa");
}
