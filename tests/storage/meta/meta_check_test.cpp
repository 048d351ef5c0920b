#include "storage/meta/data_format.hpp"
#include "storage/meta/inode_format.hpp"
#include "storage/meta/meta_keys.hpp"
#include "storage/meta/name_format.hpp"
#include "storage/meta/partition_format.hpp"
#include "storage/meta/session_format.hpp"
#include "storage/meta/versions.hpp"
#include "tests/storage/meta/meta_harness.hpp"
#include "tests/storage/meta/stripe_maker.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

/// A partition with a bit of everything, to be damaged.
struct check_harness : meta_harness {
  check_harness() {
    drives = stripe_maker::drives();
    d = mkdir(root_lin, "d");
    f = create(root_lin, "f");
    s = create(d, "s", file_kind::symlink);
    must<entry_found>(op_link{d, "g", f});
    stripe = must<write_committed>(commit_of(maker, f, 0, 3 * block_bytes)).stripes[0];
    auto gone = create(root_lin, "gone");
    must<write_committed>(commit_of(maker, gone, 0, block_bytes));
    must<done>(op_unlink{root_lin, "gone", {}});
    clean_all();
    auto held = create(root_lin, "held");
    must<done>(op_unlink{root_lin, "held", held});
    REQUIRE(findings() == "");
  }
  /// True if a finding of this kind is among those of the partition.
  bool finds(finding_kind kind) const {
    for (const auto& found : check_partition(rows, nullptr).findings)
      if (found.kind == kind)
        return true;
    return false;
  }
  template <class Row, class Change>
  void change(const std::string& key, expected<Row> (*decode)(std::string_view), Change what) {
    auto row = decode(rows.get(key).value);
    REQUIRE(row);
    what(*row);
    rows.put(key, encode(*row));
  }
  stripe_maker maker;
  lin d;
  lin f;
  lin s;
  stripe_id stripe;
};

} // namespace

TEST_CASE("meta_check: damage to names is named", "[unit][meta_check]") {
  check_harness m;
  SECTION("damaged rows") {
    m.rows.put(inode_key(lin{50}), "rubbish");
    CHECK(m.finds(finding_kind::damaged_row));
  }
  SECTION("unknown tables") {
    m.rows.put("\x63x", "");
    CHECK(m.finds(finding_kind::damaged_row));
  }
  SECTION("a lost inode row") {
    m.rows.erase(inode_key(m.f));
    CHECK(m.finds(finding_kind::dangling_entry));
    CHECK(m.finds(finding_kind::wrong_extent));
    CHECK(m.finds(finding_kind::wrong_slot_counts));
  }
  SECTION("a lost directory row") {
    m.rows.erase(inode_key(m.d));
    CHECK(m.finds(finding_kind::entry_without_directory));
  }
  SECTION("a lost entry") {
    m.rows.erase(entry_key(m.d, "s"));
    CHECK(m.finds(finding_kind::lost_inode));
    CHECK(m.finds(finding_kind::wrong_parent_link));
    CHECK(m.finds(finding_kind::wrong_link_count));
    CHECK(m.finds(finding_kind::wrong_entry_count));
  }
  SECTION("a lost directory entry") {
    m.rows.erase(entry_key(root_lin, "d"));
    CHECK(m.finds(finding_kind::lost_inode));
    CHECK(m.finds(finding_kind::wrong_link_count));
  }
  SECTION("a second entry of a directory") {
    auto entry = m.rows.get(entry_key(root_lin, "d")).value;
    m.rows.put(entry_key(root_lin, "d2"), entry);
    CHECK(m.finds(finding_kind::directory_linked_twice));
  }
  SECTION("an entry of another kind") {
    m.change(entry_key(root_lin, "f"), decode_entry,
             [](entry_row& x) { x.kind = file_kind::fifo; });
    CHECK(m.finds(finding_kind::wrong_entry));
  }
  SECTION("an entry under a wrong hash") {
    auto entry = m.rows.get(entry_key(root_lin, "f")).value;
    m.rows.put(entry_keys(root_lin, 5).begin + std::string{"q"} + '\0', entry);
    CHECK(m.finds(finding_kind::wrong_entry));
  }
  SECTION("two entries with one cookie") {
    auto entry = m.rows.get(entry_key(root_lin, "f")).value;
    m.rows.put(entry_keys(root_lin, name_hash("f")).begin + std::string{"q"} + '\0', entry);
    CHECK(m.finds(finding_kind::duplicate_cookie));
  }
  SECTION("a missing and a stray link") {
    m.rows.erase(parent_key(m.f, root_lin, "f"));
    CHECK(m.finds(finding_kind::wrong_parent_link));
    m.rows.put(parent_key(m.f, root_lin, "f"), encode(parent_row{snapshot_epoch{1}}));
    CHECK_FALSE(m.finds(finding_kind::wrong_parent_link));
    m.rows.put(parent_key(m.f, root_lin, "other"), encode(parent_row{snapshot_epoch{1}}));
    CHECK(m.finds(finding_kind::wrong_parent_link));
  }
  SECTION("another parent") {
    m.change(inode_key(m.d), decode_inode, [&](inode_row& x) { x.parent = m.d; });
    CHECK(m.finds(finding_kind::wrong_parent));
  }
  SECTION("a wrong count of links") {
    m.change(inode_key(m.f), decode_inode, [](inode_row& x) { ++x.link_count; });
    CHECK(m.finds(finding_kind::wrong_link_count));
  }
  SECTION("a linked orphan") {
    m.rows.put(orphan_key(m.f), encode(orphan_row{}));
    CHECK(m.finds(finding_kind::stray_orphan));
  }
  SECTION("an unlinked inode that is no orphan") {
    m.create(root_lin, "x");
    auto x = m.lookup(root_lin, "x");
    m.must<done>(op_unlink{root_lin, "x", x});
    m.rows.erase(orphan_key(x));
    CHECK(m.finds(finding_kind::lost_inode));
  }
  SECTION("a directory that is removed and has entries") {
    m.change(inode_key(m.d), decode_inode, [](inode_row& x) { x.flags |= inode_flag::removing; });
    CHECK(m.finds(finding_kind::wrong_entry));
  }
}

TEST_CASE("meta_check: damage to data is named", "[unit][meta_check]") {
  check_harness m;
  auto extent = extent_key(m.f, 3 * block_bytes);
  SECTION("a lost stripe") {
    m.rows.erase(stripe_key(m.stripe));
    CHECK(m.finds(finding_kind::wrong_extent));
    CHECK(m.finds(finding_kind::wrong_physical_blocks));
  }
  SECTION("a lost extent") {
    m.rows.erase(extent);
    CHECK(m.finds(finding_kind::wrong_references));
  }
  SECTION("wrong references") {
    m.change(stripe_key(m.stripe), decode_stripe, [](stripe_row& x) { ++x.references; });
    CHECK(m.finds(finding_kind::wrong_references));
  }
  SECTION("overlapping extents") {
    m.rows.put(extent_key(m.f, 2 * block_bytes),
               encode(extent_row{snapshot_epoch{1}, block_bytes, m.stripe, 0}));
    CHECK(m.finds(finding_kind::overlapping_extents));
  }
  SECTION("an extent beyond the size") {
    m.change(inode_key(m.f), decode_inode, [](inode_row& x) { x.size = block_bytes; });
    CHECK(m.finds(finding_kind::wrong_extent));
  }
  SECTION("an extent that is not made of blocks") {
    m.change(extent, decode_extent, [](extent_row& x) { x.bytes -= 1; });
    CHECK(m.finds(finding_kind::wrong_extent));
  }
  SECTION("an extent beyond its stripe") {
    m.change(extent, decode_extent, [](extent_row& x) { x.stripe_offset = 5 * block_bytes; });
    CHECK(m.finds(finding_kind::wrong_extent));
  }
  SECTION("a stripe of another file") {
    m.change(stripe_key(m.stripe), decode_stripe, [&](stripe_row& x) { x.owner = m.s; });
    CHECK(m.finds(finding_kind::wrong_stripe));
  }
  SECTION("two units on one drive") {
    m.change(stripe_key(m.stripe), decode_stripe,
             [](stripe_row& x) { x.layout.units[1].run.drive = x.layout.units[0].run.drive; });
    CHECK(m.finds(finding_kind::wrong_stripe));
  }
  SECTION("a run in two stripes") {
    auto other = m.must<write_committed>(commit_of(m.maker, m.f, 10 * block_bytes, block_bytes));
    auto first = *decode_stripe(m.rows.get(stripe_key(m.stripe)).value);
    m.change(stripe_key(other.stripes[0]), decode_stripe, [&](stripe_row& x) {
      x.layout.units[0].run.start_block = first.layout.units[0].run.start_block + 2;
    });
    CHECK(m.finds(finding_kind::shared_run));
  }
  SECTION("a run in use that is to be freed") {
    auto unit = decode_stripe(m.rows.get(stripe_key(m.stripe)).value)->layout.units[0];
    m.rows.put(pending_free_key(unit.run.drive, 9),
               encode(pending_free_row{{{unit.run.start_block, 3, unit.run.born}}}));
    CHECK(m.finds(finding_kind::shared_run));
    CHECK(m.finds(finding_kind::wrong_pending_frees));
  }
  SECTION("inline data where it cannot be") {
    m.rows.put(inline_key(m.f), encode(inline_row{snapshot_epoch{1}, "x"}));
    CHECK(m.finds(finding_kind::wrong_inline_data));
  }
  SECTION("inline data of nobody") {
    m.rows.put(inline_key(lin{999}), encode(inline_row{snapshot_epoch{1}, "x"}));
    CHECK(m.finds(finding_kind::wrong_inline_data));
  }
  SECTION("a symlink without target") {
    m.rows.erase(inline_key(m.s));
    CHECK(m.finds(finding_kind::wrong_inline_data));
  }
  SECTION("trims") {
    m.rows.put(trim_key(m.f), encode(trim_row{}));
    CHECK(m.finds(finding_kind::stray_trim));
    m.rows.erase(trim_key(m.f));
    m.change(inode_key(m.f), decode_inode, [](inode_row& x) {
      x.trimmed = {block_bytes, 2 * block_bytes, snapshot_epoch{1}};
    });
    CHECK(m.finds(finding_kind::stray_trim));
    CHECK(m.finds(finding_kind::wrong_extent));
  }
  SECTION("at-risk rows") {
    m.rows.put(at_risk_key(m.stripe), encode(at_risk_row{m.f, 1}));
    CHECK(m.finds(finding_kind::wrong_stripe));
    m.rows.erase(at_risk_key(m.stripe));
    m.change(stripe_key(m.stripe), decode_stripe, [](stripe_row& x) { x.layout.at_risk = true; });
    CHECK(m.finds(finding_kind::wrong_stripe));
  }
}

TEST_CASE("meta_check: wrong counters, epochs and places are named", "[unit][meta_check]") {
  check_harness m;
  SECTION("physical blocks of a file") {
    m.change(inode_key(m.f), decode_inode, [](inode_row& x) { ++x.physical_blocks; });
    CHECK(m.finds(finding_kind::wrong_physical_blocks));
  }
  SECTION("counts of a slot") {
    m.change(slot_key(slot_id{0}), decode_slot, [](slot_row& x) { ++x.directory_count; });
    CHECK(m.finds(finding_kind::wrong_slot_counts));
  }
  SECTION("physical blocks of a slot") {
    m.change(slot_key(slot_id{0}), decode_slot, [](slot_row& x) { ++x.physical_blocks; });
    CHECK(m.finds(finding_kind::wrong_physical_blocks));
  }
  SECTION("a LIN that will be given out again") {
    m.change(slot_key(slot_id{0}), decode_slot, [](slot_row& x) { x.next_lin_sequence = 3; });
    CHECK(m.finds(finding_kind::sequence_reused));
  }
  SECTION("a stripe id that will be given out again") {
    m.change(slot_key(slot_id{0}), decode_slot, [](slot_row& x) { x.next_stripe_sequence = 2; });
    CHECK(m.finds(finding_kind::sequence_reused));
  }
  SECTION("pending frees") {
    m.change(drive_frees_key(stripe_maker::drive(0)), decode_drive_frees,
             [](drive_frees_row& x) { x.next_batch = 1; });
    CHECK(m.finds(finding_kind::wrong_pending_frees));
  }
  SECTION("versions") {
    auto live = m.rows.get(inode_key(m.f)).value;
    m.rows.put(version_key(inode_key(m.f), snapshot_epoch{1}), live);
    CHECK(m.finds(finding_kind::wrong_version)); // the live row was written in epoch 1 as well
    m.rows.erase(version_key(inode_key(m.f), snapshot_epoch{1}));
    m.rows.put(version_key(stripe_key(m.stripe), snapshot_epoch{1}), live);
    CHECK(m.finds(finding_kind::damaged_row));
  }
  SECTION("sessions") {
    m.change(session_key(slot_id{0}, client_id{7}), decode_session,
             [](session_row& x) { x.low_water = 1000; });
    CHECK(m.finds(finding_kind::wrong_session));
  }
  SECTION("a row of another partition") {
    slot_set others;
    others.set(1);
    bool found = false;
    for (const auto& one : check_partition(m.rows, &others).findings)
      found = found || one.kind == finding_kind::foreign_slot;
    CHECK(found);
  }
}

TEST_CASE("meta_check: kinds have names and leaks are told from damage", "[unit][meta_check]") {
  CHECK(std::string{to_string(finding_kind::damaged_row)} == "damaged_row");
  CHECK(std::string{to_string(finding_kind::wrong_session)} == "wrong_session");
  CHECK(is_leak(finding_kind::detached_directory));
  CHECK_FALSE(is_leak(finding_kind::dangling_entry));
}
