#include "tests/cluster/partition/partition_harness.hpp"

using namespace troupe;
using namespace troupe::test;

TEST_CASE("partition: without room for metadata files are removed, not made", "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  auto before = h.send(h.make(alice, h.creates("f")));
  h.commit_all();
  REQUIRE(h.code(before) == errc::none);
  h.now.metadata_full = true;
  auto request = h.make(alice, h.creates("g"));
  auto refused = h.send(request);
  h.commit_all();
  CHECK(h.code(refused) == errc::no_space);
  CHECK(h.answer(refused).definite); // its units can be freed: it will never happen
  auto removed = h.send(h.make(alice, op_unlink{root_lin, "f", {}}));
  h.commit_all();
  CHECK(h.code(removed) == errc::none);
  h.now.metadata_full = false;
  auto again = h.send(request);
  h.commit_all();
  CHECK(h.code(again) == errc::no_space);
  auto later = h.send(h.make(alice, h.creates("g")));
  h.commit_all();
  CHECK(h.code(later) == errc::none);
}
