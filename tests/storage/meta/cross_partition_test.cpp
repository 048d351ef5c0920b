#include "storage/meta/meta_keys.hpp"
#include "tests/storage/meta/meta_harness.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

/// Two partitions: the first has slots 0 to 3, the second 4 to 7.
struct two_partitions {
  two_partitions() {
    for (std::size_t i = 0; i < 4; ++i) {
      first_slots.set(i);
      second_slots.set(4 + i);
    }
    first.context.slots = &first_slots;
    second.context.slots = &second_slots;
    for (const auto& change : root_directory_rows(0, 0, 0755, wall_time{1}))
      second.rows.erase(change.key);
  }
  std::string across() {
    std::vector<check_report> reports{check_partition(first.rows, &first_slots),
                                      check_partition(second.rows, &second_slots)};
    std::string out;
    for (const auto& report : reports)
      for (const auto& f : report.findings)
        out += std::string{to_string(f.kind)} + "! ";
    for (const auto& f : check_across(reports))
      out += std::string{to_string(f.kind)} + (is_leak(f.kind) ? " (leak) " : " ");
    return out;
  }
  lin make_detached() {
    return second
      .must<entry_found>(
        op_create_detached_directory{slot_id{5}, root_lin, {file_kind::directory, 0755}})
      .child;
  }
  slot_set first_slots;
  slot_set second_slots;
  meta_harness first;
  meta_harness second;
};

} // namespace

TEST_CASE("meta_across: mkdir in another partition is two steps, a crash between is a leak",
          "[unit][meta_across]") {
  two_partitions p;
  auto d = p.make_detached();
  CHECK(slot_of(d) == slot_id{5});
  CHECK(p.across() == "detached_directory (leak) ");
  auto linked = p.first.must<entry_found>(op_link_directory{root_lin, "d", d});
  CHECK_FALSE(linked.attributes);
  CHECK(p.across() == "");
  CHECK(p.first.stat(root_lin).link_count == 3);
  auto found = p.first.must<entry_found>(op_lookup{root_lin, "d"});
  CHECK(found.child == d);
  CHECK_FALSE(found.attributes);
  auto page = p.first.must<directory_page>(op_read_directory{root_lin, 0, 10, true});
  CHECK_FALSE(page.entries[0].attributes);
  CHECK(p.first.refused(op_link_directory{root_lin, "d", d}) == errc::already_exists);
  p.second.create(d, "f");
  CHECK(p.second.stat(d).parent == root_lin);
  CHECK(p.across() == "");
  CHECK(p.first.refused(op_remove_directory{root_lin, "d"}) == errc::cross_partition);
  CHECK(p.first.refused(op_unlink{root_lin, "d", {}}) == errc::is_directory);
}

TEST_CASE("meta_across: a name that was taken meanwhile leaves a directory to take back",
          "[unit][meta_across]") {
  two_partitions p;
  auto d = p.make_detached();
  p.first.create(root_lin, "d");
  CHECK(p.first.refused(op_link_directory{root_lin, "d", d}) == errc::already_exists);
  p.second.must<done>(op_remove_inode{d});
  CHECK(p.across() == "");
  CHECK(p.second.refused(op_create_detached_directory{slot_id{5}, root_lin, {}})
        == errc::invalid_argument);
  CHECK(p.second.refused(op_create_detached_directory{slot_id{5}, {}, {file_kind::directory}})
        == errc::invalid_argument);
}

TEST_CASE("meta_across: rmdir in another partition is three steps, repeatable at each",
          "[unit][meta_across]") {
  two_partitions p;
  auto d = p.make_detached();
  p.first.must<entry_found>(op_link_directory{root_lin, "d", d});
  auto f = p.second.create(d, "f");
  CHECK(p.second.refused(op_mark_removing{d}) == errc::not_empty);
  CHECK(p.second.refused(op_remove_inode{d}) == errc::not_empty);
  CHECK(p.second.refused(op_remove_inode{f}) == errc::not_directory);
  p.second.must<done>(op_unlink{d, "f", {}});
  CHECK(p.second.refused(op_remove_inode{d}) == errc::invalid_argument);
  p.second.must<done>(op_mark_removing{d});
  p.second.must<done>(op_mark_removing{d});
  CHECK(p.second.refused(op_create{d, "late", {}, false}) == errc::not_found);
  CHECK(p.across() == ""); // both are there: a repeated rmdir finishes it
  CHECK(p.first.refused(op_unlink_directory{root_lin, "d", lin{42}}) == errc::not_found);
  p.first.must<done>(op_unlink_directory{root_lin, "d", d});
  CHECK(p.across() == "unfinished_removal (leak) ");
  CHECK(p.first.refused(op_unlink_directory{root_lin, "d", d}) == errc::not_found);
  p.second.must<done>(op_remove_inode{d});
  p.second.must<done>(op_remove_inode{d});
  CHECK(p.across() == "");
  CHECK(p.first.stat(root_lin).link_count == 2);
}

TEST_CASE("meta_across: links and renames between partitions are refused and explained",
          "[unit][meta_across]") {
  two_partitions p;
  auto d = p.make_detached();
  p.first.must<entry_found>(op_link_directory{root_lin, "d", d});
  auto foreign = p.second.create(d, "g");
  auto f = p.first.create(root_lin, "f");
  auto e = p.first.mkdir(root_lin, "e");
  for (meta_operation op : {meta_operation{op_rename{root_lin, "f", d, "f"}},
                            meta_operation{op_link{root_lin, "x", foreign}},
                            meta_operation{op_rename{root_lin, "e", root_lin, "d"}}}) {
    auto outcome = p.first.call(op);
    auto* refusal = std::get_if<error>(&outcome);
    REQUIRE(refusal != nullptr);
    CHECK(refusal->code == errc::cross_partition);
    CHECK(refusal->id == trp::cross_partition_rename);
  }
  CHECK(p.first.lookup(root_lin, "f") == f);
  CHECK(p.first.lookup(root_lin, "e") == e);
  // The entry of a directory elsewhere can change its name, and change places inside its parent.
  p.first.must<done>(op_rename{root_lin, "d", root_lin, "d2"});
  p.first.must<done>(op_rename{root_lin, "d2", root_lin, "f", false, true});
  CHECK(p.first.lookup(root_lin, "f") == d);
  CHECK(p.first.lookup(root_lin, "d2") == f);
  CHECK(p.across() == "");
}

TEST_CASE("meta_across: a directory of the same partition can also be made in two steps",
          "[unit][meta_across]") {
  two_partitions p;
  auto d =
    p.first
      .must<entry_found>(op_create_detached_directory{slot_id{2}, root_lin, {file_kind::directory}})
      .child;
  CHECK(p.across() == "detached_directory! ");
  auto e = p.first.mkdir(root_lin, "e");
  CHECK(p.first.refused(op_link_directory{e, "d", d}) == errc::invalid_argument);
  auto linked = p.first.must<entry_found>(op_link_directory{root_lin, "d", d});
  REQUIRE(linked.attributes);
  CHECK(p.first.refused(op_link_directory{root_lin, "d2", d}) == errc::invalid_argument);
  CHECK(p.first.refused(op_remove_inode{d}) == errc::invalid_argument);
  CHECK(p.first.refused(op_unlink_directory{root_lin, "d", d}) == errc::invalid_argument);
  p.first.must<done>(op_remove_directory{root_lin, "d"});
  CHECK(p.across() == "");
}

TEST_CASE("meta_across: entries and directories that miss each other are named",
          "[unit][meta_across]") {
  two_partitions p;
  auto d = p.make_detached();
  p.first.must<entry_found>(op_link_directory{root_lin, "d", d});
  p.second.create(d, "f");
  auto inode = p.second.rows.get(inode_key(d)).value;
  p.second.rows.erase(inode_key(d));
  CHECK(p.across().find("dangling_entry") != std::string::npos);
  p.second.rows.put(inode_key(d), inode);
  p.first.rows.erase(entry_key(root_lin, "d"));
  CHECK(p.across().find("lost_inode (leak)") != std::string::npos);
}
