#include "storage/meta/meta_keys.hpp"
#include "tests/storage/meta/meta_harness.hpp"

using namespace troupe;
using troupe::test::meta_harness;

TEST_CASE("meta_rename: a file moves inside and between directories", "[unit][meta_rename]") {
  meta_harness m;
  auto d = m.mkdir(root_lin, "d");
  auto f = m.create(root_lin, "f");
  m.must<done>(op_rename{root_lin, "f", root_lin, "g"});
  CHECK(m.refused(op_lookup{root_lin, "f"}) == errc::not_found);
  CHECK(m.lookup(root_lin, "g") == f);
  m.must<done>(op_rename{root_lin, "g", d, "h"});
  CHECK(m.lookup(d, "h") == f);
  CHECK(m.stat(f).change_time == m.context.now);
  CHECK(m.stat(d).size == 1);
  CHECK(m.stat(root_lin).size == 1);
  CHECK(m.refused(op_rename{root_lin, "none", d, "x"}) == errc::not_found);
  CHECK(m.rows.get(parent_key(f, d, "h")).state == row_state::found);
  CHECK(m.rows.get(parent_key(f, root_lin, "g")).state == row_state::absent);
}

TEST_CASE("meta_rename: a file replaces a file, which lives on while it is open",
          "[unit][meta_rename]") {
  meta_harness m;
  auto f = m.create(root_lin, "f");
  auto g = m.create(root_lin, "g");
  m.must<done>(op_rename{root_lin, "f", root_lin, "g"});
  CHECK(m.lookup(root_lin, "g") == f);
  CHECK(m.refused(op_get_attributes{g}) == errc::stale_handle);
  CHECK(m.stat(root_lin).size == 1);
  auto h = m.create(root_lin, "h");
  m.must<done>(op_rename{root_lin, "g", root_lin, "h", false, false, h});
  CHECK(m.stat(h).link_count == 0);
  m.must<done>(op_release_orphan{h});
  CHECK(m.refused(op_get_attributes{h}) == errc::stale_handle);
  CHECK(m.stat(f).link_count == 1);
}

TEST_CASE("meta_rename: kinds must match and a replaced directory must be empty",
          "[unit][meta_rename]") {
  meta_harness m;
  m.create(root_lin, "f");
  auto d = m.mkdir(root_lin, "d");
  auto e = m.mkdir(root_lin, "e");
  auto inside = m.create(e, "x");
  CHECK(m.refused(op_rename{root_lin, "f", root_lin, "d"}) == errc::is_directory);
  CHECK(m.refused(op_rename{root_lin, "d", root_lin, "f"}) == errc::not_directory);
  CHECK(m.refused(op_rename{root_lin, "d", root_lin, "e"}) == errc::not_empty);
  m.must<done>(op_rename{root_lin, "e", root_lin, "d"});
  CHECK(m.lookup(root_lin, "d") == e);
  CHECK(m.lookup(e, "x") == inside);
  CHECK(m.refused(op_get_attributes{d}) == errc::stale_handle);
  CHECK(m.stat(root_lin).link_count == 3);
  CHECK(m.stat(root_lin).size == 2);
}

TEST_CASE("meta_rename: no_replace keeps, exchange swaps", "[unit][meta_rename]") {
  meta_harness m;
  auto d = m.mkdir(root_lin, "d");
  auto f = m.create(root_lin, "f");
  auto g = m.create(d, "g");
  CHECK(m.refused(op_rename{root_lin, "f", d, "g", true}) == errc::already_exists);
  CHECK(m.refused(op_rename{root_lin, "f", root_lin, "f", true}) == errc::already_exists);
  CHECK(m.refused(op_rename{root_lin, "f", d, "g", true, true}) == errc::invalid_argument);
  CHECK(m.refused(op_rename{root_lin, "f", d, "none", false, true}) == errc::not_found);
  m.must<done>(op_rename{root_lin, "f", d, "g", false, true});
  CHECK(m.lookup(root_lin, "f") == g);
  CHECK(m.lookup(d, "g") == f);
  CHECK(m.rows.get(parent_key(f, d, "g")).state == row_state::found);
  CHECK(m.rows.get(parent_key(g, root_lin, "f")).state == row_state::found);
  // A directory and a file of one parent may change places.
  m.must<done>(op_rename{root_lin, "f", root_lin, "d", false, true});
  CHECK(m.lookup(root_lin, "f") == d);
  CHECK(m.lookup(root_lin, "d") == g);
  CHECK(m.stat(root_lin).link_count == 3);
  CHECK(m.stat(root_lin).size == 2);
  m.must<done>(op_rename{root_lin, "d", root_lin, "h", true});
}

TEST_CASE("meta_rename: two names of one inode stay as they are", "[unit][meta_rename]") {
  meta_harness m;
  auto f = m.create(root_lin, "f");
  m.must<entry_found>(op_link{root_lin, "g", f});
  auto before = m.stat(root_lin);
  m.must<done>(op_rename{root_lin, "f", root_lin, "g"});
  m.must<done>(op_rename{root_lin, "f", root_lin, "f"});
  m.must<done>(op_rename{root_lin, "f", root_lin, "g", false, true});
  CHECK(m.lookup(root_lin, "f") == f);
  CHECK(m.lookup(root_lin, "g") == f);
  CHECK(m.stat(root_lin) == before);
}

TEST_CASE("meta_rename: a directory keeps its parent", "[unit][meta_rename]") {
  meta_harness m;
  auto d = m.mkdir(root_lin, "d");
  auto e = m.mkdir(root_lin, "e");
  m.create(root_lin, "f");
  for (op_rename op : {op_rename{root_lin, "e", d, "x"}, op_rename{root_lin, "d", d, "x"},
                       op_rename{root_lin, "e", d, "y", true}}) {
    auto outcome = m.call(op);
    auto* refusal = std::get_if<error>(&outcome);
    REQUIRE(refusal != nullptr);
    CHECK(refusal->code == errc::cross_partition);
    CHECK(refusal->id == trp::cross_partition_rename);
  }
  m.mkdir(d, "sub");
  CHECK(m.refused(op_rename{root_lin, "f", d, "sub", false, true}) == errc::cross_partition);
  m.must<done>(op_rename{root_lin, "e", root_lin, "e2"});
  CHECK(m.lookup(root_lin, "e2") == e);
  CHECK(m.stat(e).change_time == m.context.now);
}

TEST_CASE("meta_rename: a directory being removed takes nothing in", "[unit][meta_rename]") {
  meta_harness m;
  auto d = m.mkdir(root_lin, "d");
  auto f = m.create(root_lin, "f");
  m.must<done>(op_mark_removing{d});
  m.must<done>(op_mark_removing{d});
  CHECK(m.refused(op_rename{root_lin, "f", d, "f"}) == errc::not_found);
  CHECK(m.refused(op_create{d, "x", {}, false}) == errc::not_found);
  CHECK(m.refused(op_link{d, "x", f}) == errc::not_found);
  m.must<done>(op_unlink_directory{root_lin, "d", d});
  CHECK(m.refused(op_unlink_directory{root_lin, "d", d}) == errc::not_found);
  m.must<done>(op_remove_inode{d});
  m.must<done>(op_remove_inode{d});
  CHECK(m.stat(root_lin).link_count == 2);
}
