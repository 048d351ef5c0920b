#include "storage/layout/explain_layout.hpp"
#include "storage/layout/layout_choice.hpp"
#include "storage/layout/level_shape.hpp"

#include <catch2/catch.hpp>

#include <numeric>

using namespace troupe;

namespace {

/// Nodes 1, 2, … with the given drives; the last `nodes_down` have none up.
std::vector<pool_node> pool(std::uint32_t nodes, std::uint32_t drives,
                            std::uint32_t nodes_down = 0) {
  std::vector<pool_node> out;
  for (std::uint32_t i = 0; i < nodes; ++i)
    out.push_back({node_id{i + 1}, drives, i < nodes - nodes_down ? drives : 0});
  return out;
}

constexpr std::uint32_t plenty = stripe_data_units_max * unit_blocks;

std::string full(const std::vector<pool_node>& nodes, protection_level level) {
  auto x = choose_layout(nodes, level, plenty);
  if (!x)
    return "error";
  return to_string(x->notation()) + (x->attained ? "" : " at risk");
}

} // namespace

TEST_CASE("layout_choice: every cell of the table is what a pool of so many nodes gets",
          "[unit][layout_choice]") {
  for (const auto& row : layout_table())
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      auto level = layout_table_levels[i];
      INFO(row.nodes << " nodes, " << to_string(level));
      auto x = choose_layout(pool(row.nodes, 4), level, plenty);
      REQUIRE(x);
      bool too_few_nodes = row.nodes < 5 && row.nodes <= shape_of(level).parity_units
                           && shape_of(level).units_per_node_max == 1; // +3n, +4n: no m+1 nodes
      CHECK(x->attained == !too_few_nodes);
      CHECK(x->parity_units == shape_of(level).parity_units);
      CHECK((too_few_nodes || x->units_per_node_max == shape_of(level).units_per_node_max));
      CHECK(x->data_units == std::max(row.cells[i].data_units, 1u));
      CHECK(x->unit_blocks == unit_blocks);
      CHECK(x->data_blocks == x->data_units * unit_blocks);
      CHECK((x->source == layout_source::none) == (row.cells[i].data_units == 0));
      CHECK((x->copies() != 0) == (row.cells[i].data_units == 0));
    }
}

TEST_CASE("layout_choice: the fallback of an impossible cell is a mirror that reaches the level",
          "[unit][layout_choice]") {
  CHECK(full(pool(4, 4), protection_level::plus_2n) == "1+2");
  CHECK(full(pool(3, 4), protection_level::plus_4d_2n) == "1+4/2");
  CHECK(full(pool(4, 4), protection_level::plus_3n) == "1+3");
  CHECK(full(pool(8, 4), protection_level::plus_4n) == "1+4");
  auto x = choose_layout(pool(4, 4), protection_level::plus_2n, plenty);
  CHECK(explain_layout(*x)
        == "+2n survives the loss of 2 drives or 2 nodes.\n"
           "A full stripe is 3x, overhead 67%: the level has no stripe on 4 nodes: files are "
           "mirrored instead.\n");
}

TEST_CASE("layout_choice: mirrors copy over different nodes", "[unit][layout_choice]") {
  for (std::uint32_t k = 2; k <= 8; ++k) {
    auto level = *parse_protection_level(std::to_string(k) + "x");
    CHECK(full(pool(k, 1), level) == "1+" + std::to_string(k - 1));
    CHECK(layout_column(*choose_layout(pool(k, 1), level, 1)) == std::to_string(k) + "x");
    CHECK_FALSE(check_level(pool(k - 1, 9), level));
  }
}

TEST_CASE("layout_choice: short data give fewer, equal units", "[unit][layout_choice]") {
  auto five = pool(5, 4);
  for (std::uint32_t blocks = 1; blocks <= 300; ++blocks) {
    auto x = choose_layout(five, protection_level::plus_2d_1n, blocks);
    REQUIRE(x);
    INFO(blocks << " blocks");
    CHECK(x->attained);
    CHECK(x->parity_units == 2);
    CHECK(x->full_data_units == 8);
    CHECK(x->data_blocks == std::min(blocks, 128u));
    CHECK(x->data_units == (x->data_blocks + 15) / 16);
    CHECK(x->unit_blocks <= unit_blocks);
    CHECK(x->data_units * x->unit_blocks >= x->data_blocks);
    CHECK(x->data_units * x->unit_blocks
          < x->data_blocks + x->data_units); // less than a block each
  }
  auto small = choose_layout(five, protection_level::plus_2d_1n, 2);
  CHECK(to_string(small->notation()) == "1+2/2");
  CHECK(small->copies() == 3);
  CHECK(small->unit_blocks == 2);
  CHECK(layout_column(*small) == "8+2/2");
  auto odd = choose_layout(five, protection_level::plus_2d_1n, 17);
  CHECK(to_string(odd->notation()) == "2+2/2");
  CHECK(odd->unit_blocks == 9);
  CHECK_FALSE(choose_layout(five, protection_level::plus_2d_1n, 0));
}

TEST_CASE("layout_choice: four nodes at +2d:1n print 6+2/2", "[unit][layout_choice]") {
  auto x = check_level(pool(4, 3), suggested_level);
  REQUIRE(x);
  CHECK(layout_column(*x) == "6+2/2");
}

TEST_CASE("layout_choice: a pool with nodes down narrows and keeps its parity",
          "[unit][layout_choice]") {
  auto level = protection_level::plus_2d_1n;
  CHECK(full(pool(5, 4), level) == "8+2/2");
  CHECK(full(pool(5, 4, 1), level) == "6+2/2");
  CHECK(full(pool(5, 4, 2), level) == "4+2/2");
  CHECK(full(pool(5, 4, 3), level) == "2+2/2");
  CHECK(full(pool(3, 4, 1), level) == "2+2/2"); // F29
  CHECK(full(pool(3, 1, 0), level) == "1+2/2");
  CHECK(full(pool(5, 4, 4), level) == "1+2/3 at risk");
  CHECK(full(pool(5, 1, 3), level) == "1+1 at risk");
  CHECK(full(pool(5, 4, 5), level) == "error");
  // No cell for what is up: the full pool's stripe is narrowed, then copied.
  CHECK(full(pool(5, 4), protection_level::plus_2n) == "3+2");
  CHECK(full(pool(5, 4, 1), protection_level::plus_2n) == "2+2");
  CHECK(full(pool(5, 4, 2), protection_level::plus_2n) == "1+2");
  CHECK(full(pool(5, 4, 3), protection_level::plus_2n) == "1+2/2 at risk");
  CHECK(full(pool(9, 4, 1), protection_level::plus_4n) == "4+4");
  CHECK(full(pool(4, 4), protection_level::plus_2n) == "1+2"); // not degraded: PROT-8
  auto x = choose_layout(pool(5, 4, 1), level, 3);
  CHECK(explain_layout(*x)
        == "+2d:1n survives the loss of 2 drives or 1 node.\n"
           "A full stripe is 6+2/2, overhead 25%: the published table's cell for 4 nodes.\n"
           "Degraded: 4 of 5 nodes have drives that are up.\n"
           "This stripe has 3 blocks: 1+2/2 with units of 3 blocks, which are 3 copies.\n");
  auto risky = choose_layout(pool(5, 4, 4), level, plenty);
  CHECK(risky->at_risk_reason
        == "+2d:1n needs 3 drives on at least 2 nodes; up are 4 drives on 1 node: written as 3 "
           "copies, at most 3 on a node");
  CHECK(explain_layout(*risky).find("AT RISK: +2d:1n needs") != std::string::npos);
}

TEST_CASE("layout_choice: a single drive takes nothing", "[unit][layout_choice]") {
  auto x = choose_layout(pool(5, 1, 4), protection_level::plus_1n, 1);
  REQUIRE_FALSE(x);
  CHECK(x.error().code == errc::unavailable);
  CHECK(x.error().id == trp::level_needs_more);
  CHECK(x.error().context
        == "+1n needs 2 drives on at least 2 nodes; up are 1 drive on 1 node: two drives on any "
           "nodes would do for copies below the level");
}

TEST_CASE("layout_choice: a level that a pool cannot hold is refused with those that it can",
          "[unit][layout_choice]") {
  auto x = check_level(pool(2, 2), protection_level::plus_2n);
  REQUIRE_FALSE(x);
  CHECK(x.error().code == errc::invalid_argument);
  CHECK(x.error().id == trp::level_needs_more);
  CHECK(x.error().context
        == "+2n needs 3 drives on at least 3 nodes; this pool has 4 drives on 2 nodes; what would "
           "work: +1n, +2d:1n, +3d:1n, +3d:1n1d, 2x");
  auto single = check_level(pool(1, 1), protection_level::plus_1n);
  REQUIRE_FALSE(single);
  CHECK(single.error().context.find("no level works on one drive; add drives or nodes")
        != std::string::npos);
  CHECK(check_level(pool(5, 4, 4), protection_level::plus_2n)); // down is not missing
}

TEST_CASE("layout_choice: table and rule, and where they differ", "[unit][layout_choice]") {
  auto level = protection_level::plus_4n;
  auto printed = choose_layout(pool(12, 1), level, plenty);
  auto rule = choose_layout(pool(12, 1), level, plenty, layout_table_mode::rule);
  CHECK(to_string(printed->notation()) == "6+4");
  CHECK(to_string(rule->notation()) == "8+4");
  CHECK(explain_layout(*printed)
        == "+4n survives the loss of 4 drives or 4 nodes.\n"
           "A full stripe is 6+4, overhead 40%: the published table's cell for 12 nodes.\n"
           "Here table and rule differ: +4n at 12 nodes: the table prints 6+4, its rule gives 8+4 "
           "(setting layout.table).\n");
  CHECK(explain_layout_differences()
        == "+4n at 12 nodes: the table prints 6+4, its rule gives 8+4\n"
           "+4n at 20 nodes: the table prints 14+4, its rule gives 16+4\n"
           "+4n at 30 nodes: the table prints 14+4, its rule gives 16+4\n");
}

TEST_CASE("layout_choice: in every small pool the choice fits, and is at risk only if it must be",
          "[unit][layout_choice]") {
  // Goal: no pool gives a stripe without a place, fewer parity units than the level where it fits,
  // or an at-risk stripe where the level was attainable.
  // Method: every pool of up to 5 nodes with 0…4 drives up of 4.
  for (std::uint32_t code = 0; code < 3125; ++code) {
    std::vector<pool_node> nodes;
    for (std::uint32_t i = 0, rest = code; i < 5; ++i, rest /= 5)
      nodes.push_back({node_id{i + 1}, 4, rest % 5});
    auto drives = unit_places(nodes, 4);
    for (auto level : all_protection_levels()) {
      auto shape = shape_of(level);
      auto x = choose_layout(nodes, level, plenty);
      if (drives < 2) {
        CHECK_FALSE(x);
        continue;
      }
      REQUIRE(x);
      bool attainable = unit_places(nodes, shape.units_per_node_max) >= 1 + shape.parity_units;
      bool fits = unit_places(nodes, x->units_per_node_max) >= x->units();
      bool honest = x->attained == attainable && x->attained == x->at_risk_reason.empty();
      bool kept = x->parity_units == shape.parity_units
                  && (x->units_per_node_max == shape.units_per_node_max || !attainable);
      bool most = x->units() == std::min(shape.parity_units + 1, drives) && x->data_units == 1
                  && unit_places(nodes, x->units_per_node_max - 1) < x->units();
      bool never_bare = x->parity_units >= 1 && x->data_units >= 1;
      if (!(fits && honest && never_bare && (attainable ? kept : most))) {
        CAPTURE(code, to_string(level), to_string(x->notation()));
        CHECK(fits);
        CHECK(honest);
        CHECK(never_bare);
        CHECK((attainable ? kept : most));
      }
    }
  }
}
