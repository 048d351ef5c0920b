#include "storage/meta/in_flight_view.hpp"
#include "tests/storage/meta/meta_harness.hpp"

using namespace troupe;

namespace {
std::string all(const table_view& view) {
  std::string out;
  for (const auto& row : view.scan({"", "z", 100, false}).rows)
    out += row.key + "=" + row.value + " ";
  return out;
}
} // namespace

TEST_CASE("in_flight_view: shows what was proposed until the base has it or it is lost",
          "[unit][in_flight_view]") {
  map_view base;
  base.apply({{"a", "0"}, {"b", "0"}});
  in_flight_view view{base};
  table_batch first{{"a", "1"}, {"c", "1"}};
  table_batch second{{"a", "2"}, {"b", {}}};
  view.add(10, first);
  view.add(11, second);
  CHECK(all(view) == "a=2 c=1 ");
  CHECK(view.get("b").state == row_state::absent);
  base.apply(first);
  view.applied(10);
  CHECK(all(view) == "a=2 c=1 ");
  CHECK(view.entry_count() == 1);
  base.apply(second);
  view.applied(11);
  CHECK(all(view) == "a=2 c=1 ");
  base.put("a", "other"); // nothing of the view hides the base any more
  CHECK(all(view) == "a=other c=1 ");
  view.add(12, {{"d", "3"}});
  view.clear();
  CHECK(all(view) == "a=other c=1 ");
  CHECK(view.entry_count() == 0);
}

TEST_CASE("in_flight_view: operations evaluated ahead of the table come out as one by one",
          "[unit][in_flight_view]") {
  // Method: the same operations on two partitions; one applies at once, the other evaluates up to
  // five entries ahead of its table.
  test::meta_harness at_once;
  test::meta_harness ahead;
  in_flight_view view{ahead.rows};
  std::deque<std::pair<std::uint64_t, table_batch>> log;
  std::uint64_t index = 0;
  auto apply_one = [&] {
    ahead.rows.apply(log.front().second);
    view.applied(log.front().first);
    log.pop_front();
  };
  for (int i = 0; i < 60; ++i) {
    meta_operation op = op_create{root_lin, "f" + std::to_string(i % 7), {}, false};
    if (i % 3 == 1)
      op = op_rename{root_lin, "f" + std::to_string(i % 7), root_lin, "g" + std::to_string(i % 5)};
    if (i % 3 == 2)
      op = op_unlink{root_lin, "g" + std::to_string(i % 5), {}};
    auto expected = at_once.call(op);
    ahead.context.now = at_once.context.now;
    ahead.context.sequence = at_once.context.sequence;
    ahead.context.low_water = at_once.context.low_water;
    auto out = std::get<evaluation>(evaluate(op, ahead.context, view));
    CHECK(test::outcome_bytes(out.outcome) == test::outcome_bytes(expected));
    view.add(++index, out.batch);
    log.emplace_back(index, out.batch);
    if (log.size() > 5)
      apply_one();
  }
  while (!log.empty())
    apply_one();
  CHECK(at_once.rows.rows() == ahead.rows.rows());
}
