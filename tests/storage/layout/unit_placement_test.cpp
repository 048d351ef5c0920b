#include "storage/layout/unit_placement.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>

using namespace troupe;

namespace {

drive_uuid drive(std::uint32_t n) {
  drive_uuid x;
  x.bytes[0] = static_cast<std::uint8_t>(n >> 8);
  x.bytes[1] = static_cast<std::uint8_t>(n);
  x.bytes[15] = 1;
  return x;
}

std::vector<drive_candidate> drives(std::uint32_t nodes, std::uint32_t per_node,
                                    std::uint64_t free_blocks = 1000) {
  std::vector<drive_candidate> out;
  for (std::uint32_t i = 0; i < nodes; ++i)
    for (std::uint32_t k = 0; k < per_node; ++k)
      out.push_back({drive(i * per_node + k), node_id{i + 1}, free_blocks, false});
  return out;
}

std::vector<placed_unit> units_at(const std::vector<drive_candidate>& from,
                                  const std::vector<std::size_t>& chosen) {
  std::vector<placed_unit> out;
  for (auto i : chosen)
    out.push_back({from[i].drive, from[i].node, true});
  return out;
}

/// A loss of whole drives is tolerated if it costs at most m: a node at most b, a drive 1.
bool tolerated(const level_shape& shape, const std::map<node_id, std::uint32_t>& lost_on_node) {
  std::uint32_t cost = 0;
  for (auto [node, n] : lost_on_node)
    cost += std::min(n, shape.units_per_node_max);
  return cost <= shape.parity_units;
}

} // namespace

TEST_CASE("level_shape: says what each level survives", "[unit][level_shape]") {
  std::string all;
  for (auto level : all_protection_levels())
    all += to_string(level) + ": " + tolerance_text(level) + "\n";
  CHECK(all
        == "+1n: 1 drive or 1 node\n+2d:1n: 2 drives or 1 node\n+2n: 2 drives or 2 nodes\n"
           "+3d:1n: 3 drives or 1 node\n+3d:1n1d: 3 drives, or 1 node and 1 drive\n"
           "+3n: 3 drives or 3 nodes\n+4d:1n: 4 drives or 1 node\n+4d:2n: 4 drives or 2 nodes\n"
           "+4n: 4 drives or 4 nodes\n2x: 1 drive or 1 node\n3x: 2 drives or 2 nodes\n"
           "4x: 3 drives or 3 nodes\n5x: 4 drives or 4 nodes\n6x: 5 drives or 5 nodes\n"
           "7x: 6 drives or 6 nodes\n8x: 7 drives or 7 nodes\n");
}

TEST_CASE("level_shape: the worst loss is the worst of all losses", "[unit][level_shape]") {
  // Goal: the greedy answer equals enumeration. Method: all sets of 0…3 members on each of 4
  // nodes, one per drive; for every subset of drives that the level tolerates, the members lost.
  for (auto level : all_protection_levels()) {
    auto shape = shape_of(level);
    for (std::uint32_t code = 0; code < 256; ++code) {
      std::vector<std::uint32_t> counts;
      std::vector<node_id> members;
      for (std::uint32_t i = 0; i < 4; ++i) {
        counts.push_back(code >> (2 * i) & 3);
        members.insert(members.end(), counts.back(), node_id{i + 1});
      }
      std::uint32_t worst = 0;
      for (std::uint32_t lost = 0; lost < 1u << members.size(); ++lost) {
        std::map<node_id, std::uint32_t> on_node;
        std::uint32_t count = 0;
        for (std::size_t i = 0; i < members.size(); ++i)
          if (lost >> i & 1) {
            ++on_node[members[i]];
            ++count;
          }
        if (count > worst && tolerated(shape, on_node))
          worst = count;
      }
      if (worst != worst_loss(shape, counts)) {
        CAPTURE(to_string(level), code);
        CHECK(worst == worst_loss(shape, counts));
      }
    }
  }
}

TEST_CASE("unit_placement: every cell of the table survives every tolerated loss",
          "[unit][unit_placement]") {
  std::string at_risk;
  for (const auto& row : layout_table())
    for (auto level : layout_table_levels) {
      auto from = drives(row.nodes, 4);
      auto x = choose_layout(pool_of(from), level, 4096);
      REQUIRE(x);
      auto chosen = place_units(*x, from, 7);
      REQUIRE(chosen);
      auto units = units_at(from, *chosen);
      INFO(row.nodes << " nodes, " << to_string(level) << ", " << to_string(x->notation()));
      CHECK(check_placement(x->notation(), units));
      CHECK(attains(level, x->data_units, units) == x->attained);
      auto shape = shape_of(level);
      auto nodes = shape.parity_units / shape.units_per_node_max;
      CHECK((node_losses_max(x->data_units, units) >= nodes) == x->attained);
      at_risk += x->attained ? "" : std::to_string(row.nodes) + to_string(level) + " ";
    }
  CHECK(at_risk == "3+3n 3+4n 4+4n "); // m+1 copies on as many nodes do not fit
}

TEST_CASE("unit_placement: losing exactly what is tolerated leaves the stripe readable, one more "
          "does not",
          "[unit][unit_placement]") {
  // Method: all subsets of the drives of a full 8+2/2, 5+3/2 and 3+2 stripe; a subset that takes
  // more than m units is unreadable, every tolerated one is readable.
  struct shape_case {
    protection_level level;
    std::uint32_t nodes;
  };
  for (auto c :
       {shape_case{protection_level::plus_2d_1n, 5}, shape_case{protection_level::plus_3d_1n1d, 4},
        shape_case{protection_level::plus_2n, 5}, shape_case{protection_level::mirror_3x, 3}}) {
    auto from = drives(c.nodes, 3);
    auto x = choose_layout(pool_of(from), c.level, 4096);
    auto units = units_at(from, *place_units(*x, from, 3));
    for (std::uint32_t lost = 0; lost < 1u << units.size(); ++lost) {
      std::map<node_id, std::uint32_t> on_node;
      std::vector<drive_uuid> gone;
      for (std::size_t i = 0; i < units.size(); ++i)
        if (lost >> i & 1) {
          ++on_node[units[i].node];
          gone.push_back(units[i].drive);
        }
      bool can_read = readable(x->data_units, units, gone, {});
      if (tolerated(shape_of(c.level), on_node))
        REQUIRE(can_read);
      REQUIRE(can_read == (gone.size() <= x->parity_units));
    }
  }
}

TEST_CASE("unit_placement: units go to different drives, spread over nodes first",
          "[unit][unit_placement]") {
  auto from = drives(5, 4);
  auto x = choose_layout(pool_of(from), protection_level::plus_2d_1n, 1);
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    auto chosen = place_units(*x, from, seed);
    REQUIRE(chosen);
    auto units = units_at(from, *chosen);
    REQUIRE(check_placement({1, 2, 1, 1}, units)); // stricter than 1+2/2
  }
}

TEST_CASE("unit_placement: the same seed gives the same drives in any order of candidates",
          "[unit][unit_placement]") {
  auto from = drives(5, 4);
  auto x = choose_layout(pool_of(from), protection_level::plus_2d_1n, 4096);
  auto turned = from;
  std::rotate(turned.begin(), turned.begin() + 7, turned.end());
  int different = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    auto a = place_units(*x, from, seed);
    auto b = place_units(*x, turned, seed);
    auto c = place_units(*x, from, seed + 1);
    for (std::size_t i = 0; i < a->size(); ++i)
      CHECK(from[(*a)[i]].drive == turned[(*b)[i]].drive);
    different += *a != *c ? 1 : 0;
  }
  CHECK(different > 40);
}

TEST_CASE("unit_placement: drives fill in proportion to their free space",
          "[unit][unit_placement]") {
  // Three of nine nodes have three times the room: 1+2 copies go there three times as often.
  auto from = drives(9, 1, 10'000);
  for (std::size_t i = 0; i < 3; ++i)
    from[i].free_blocks = 30'000;
  auto x = choose_layout(pool_of(from), protection_level::mirror_2x, 1);
  std::vector<int> taken(from.size());
  for (std::uint64_t seed = 0; seed < 9000; ++seed) {
    auto chosen = place_units(*x, from, seed);
    for (auto i : *chosen)
      ++taken[i];
  }
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(taken[i] > 2 * taken[3 + i]);
  CHECK(*std::min_element(taken.begin(), taken.end()) > 800);
}

TEST_CASE("unit_placement: busy drives are taken last, full ones never", "[unit][unit_placement]") {
  auto from = drives(5, 4);
  auto x = choose_layout(pool_of(from), protection_level::plus_2d_1n, 4096);
  for (auto i : {0u, 5u, 10u, 15u})
    from[i].busy = true;
  for (auto i : {1u, 6u, 11u})
    from[i].free_blocks = 15;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    auto chosen = place_units(*x, from, seed);
    REQUIRE(chosen);
    for (auto i : *chosen) {
      CHECK_FALSE(from[i].busy);
      CHECK(from[i].free_blocks >= 16);
    }
  }
  for (auto& y : from)
    y.busy = true; // all busy: then they are taken
  CHECK(place_units(*x, from, 1));
}

TEST_CASE("unit_placement: too little room is an error, and the layout of the rest fits",
          "[unit][unit_placement]") {
  auto from = drives(5, 2);
  auto x = choose_layout(pool_of(from), protection_level::plus_2d_1n, 4096);
  REQUIRE(to_string(x->notation()) == "8+2/2");
  from[0].free_blocks = from[1].free_blocks = 3;
  auto chosen = place_units(*x, from, 1);
  REQUIRE_FALSE(chosen);
  CHECK(chosen.error().code == errc::no_space);
  CHECK(chosen.error().context == "8+2/2: room for 8 of 10 units");
  auto again = choose_layout(pool_of(from), protection_level::plus_2d_1n, 4096);
  CHECK(to_string(again->notation()) == "6+2/2");
  CHECK(again->nodes_all == 5);
  CHECK(place_units(*again, from, 1));
}

TEST_CASE("unit_placement: pool_of counts full drives as not up, and nodes without candidates",
          "[unit][unit_placement]") {
  auto from = drives(2, 3);
  from[0].free_blocks = 15;
  std::vector<pool_node> others{{node_id{9}, 3, 0}};
  auto nodes = pool_of(from, others);
  REQUIRE(nodes.size() == 3);
  CHECK((nodes[0].drives == 3 && nodes[0].drives_up == 2));
  CHECK((nodes[1].drives == 3 && nodes[1].drives_up == 3));
  CHECK((nodes[2].node == node_id{9} && nodes[2].drives == 3 && nodes[2].drives_up == 0));
}

TEST_CASE("unit_placement: the commit check refuses every broken placement",
          "[unit][unit_placement]") {
  stripe_notation shape{2, 2, 2, 1};
  std::vector<placed_unit> good{{drive(1), node_id{1}, true},
                                {drive(2), node_id{1}, true},
                                {drive(3), node_id{2}, true},
                                {drive(4), node_id{2}, true}};
  CHECK(check_placement(shape, good));
  auto missing = good;
  missing.pop_back();
  CHECK(check_placement(shape, missing).error().context == "2+2/2: 3 units instead of 4");
  auto twice = good;
  twice[3].drive = twice[0].drive;
  CHECK(check_placement(shape, twice).error().code == errc::invalid_argument);
  auto crowded = good;
  crowded[2].node = node_id{1};
  auto found = check_placement(shape, crowded);
  CHECK(found.error().code == errc::invalid_argument);
  CHECK(
    found.error().context.find("unit 2 on drive " + to_string(drive(3)) + " of node 1: more than 2")
    != std::string::npos);
  auto dead = good;
  dead[1].writable = false;
  CHECK(check_placement(shape, dead).error().code == errc::stale);
}

TEST_CASE("unit_placement: a stripe at risk is told from one that attains its level",
          "[unit][unit_placement]") {
  auto one_node = drives(1, 4);
  auto x = choose_layout(pool_of(one_node), protection_level::plus_2d_1n, 1);
  REQUIRE_FALSE(x->attained);
  auto units = units_at(one_node, *place_units(*x, one_node, 1));
  CHECK(units.size() == 3);
  CHECK_FALSE(attains(protection_level::plus_2d_1n, 1, units));
  CHECK_FALSE(attains(protection_level::plus_1n, 1, units)); // a node takes all three
  CHECK(node_losses_max(1, units) == 0);
  CHECK(node_losses_max(4, units) == 0);
}
