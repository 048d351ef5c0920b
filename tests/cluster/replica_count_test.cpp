#include "cluster/replica_count.hpp"
#include "storage/layout/layout_table.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <numeric>

using namespace troupe;

namespace {

using counts = std::vector<std::uint32_t>;

/// Every tolerated loss, hit by hit: each node loses nothing, some single replicas (one drive each)
/// or everything (a whole node, cost b; whether it has further drives does not matter).
/// @returns the most replicas lost; only losses with at most `down_max` whole nodes are looked at.
std::uint32_t enumerate(const level_shape& shape, const counts& replicas, std::uint32_t cost_left,
                        std::uint32_t down_max, std::size_t node = 0) {
  if (node == replicas.size())
    return 0;
  std::uint32_t worst = 0;
  for (std::uint32_t k = 0; k <= std::min(replicas[node], cost_left); ++k)
    worst = std::max(worst, k + enumerate(shape, replicas, cost_left - k, down_max, node + 1));
  if (cost_left >= shape.units_per_node_max && down_max > 0)
    worst = std::max(worst, replicas[node]
                              + enumerate(shape, replicas, cost_left - shape.units_per_node_max,
                                          down_max - 1, node + 1));
  return worst;
}

/// The same for many nodes: the fullest nodes are the worst to lose, then any drives.
std::uint32_t enumerate_fast(const level_shape& shape, const counts& sorted,
                             std::uint32_t down_max) {
  std::uint32_t worst = 0;
  for (std::uint32_t down = 0; down <= down_max; ++down) {
    auto cost = down * shape.units_per_node_max;
    if (cost > shape.parity_units || down > sorted.size())
      break;
    auto whole = std::accumulate(sorted.begin(), sorted.begin() + down, 0u);
    auto rest = std::accumulate(sorted.begin() + down, sorted.end(), 0u);
    worst = std::max(worst, whole + std::min(rest, shape.parity_units - cost));
  }
  return worst;
}

counts spread(std::uint32_t nodes, std::uint32_t drives, std::uint32_t replicas) {
  counts out;
  for (auto x : spread_evenly(counts(nodes, drives), replicas))
    out.push_back(x.replicas);
  return out;
}

/// Whether m+1 copies find their nodes: only such a level can be in use.
bool can_hold(std::uint32_t nodes, protection_level level) {
  auto shape = shape_of(level);
  return nodes * std::min(shape.units_per_node_max, 4u) > shape.parity_units;
}

replica_count count_of(std::vector<protection_level> levels, std::uint32_t nodes,
                       std::uint32_t drives = 4) {
  auto x = count_replicas(levels, counts(nodes, drives));
  REQUIRE(x);
  return *x;
}

} // namespace

TEST_CASE("replica_count: a majority after every tolerated loss, for every cell of the table",
          "[unit][replica_count]") {
  // Goal: hazards T1. Method: for every cell with a stripe, enumerate all losses that the level
  // tolerates against the spread of its replicas; for +4d:2n at 4 nodes, those that leave 3 nodes
  // up. Every smaller odd number must fail, so the number is the smallest.
  std::map<std::string, std::string> numbers;
  for (const auto& row : layout_table())
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      if (row.cells[i].data_units == 0)
        continue;
      auto level = layout_table_levels[i];
      auto shape = shape_of(level);
      bool exception = level == protection_level::plus_4d_2n && row.nodes == 4;
      auto down_max = exception ? 1 : row.nodes;
      auto got = count_of({level}, row.nodes);
      INFO(row.nodes << " nodes, " << to_string(level) << ": " << got.replicas);
      CHECK(got.replicas % 2 == 1);
      CHECK(got.every_loss == !exception);
      CHECK(got.statement.empty() == !exception);
      auto survives = [&](std::uint32_t r) {
        return r - enumerate(shape, spread(row.nodes, 4, r), shape.parity_units, down_max) > r / 2;
      };
      CHECK(survives(got.replicas));
      for (std::uint32_t fewer = 1; fewer < got.replicas; fewer += 2)
        CHECK_FALSE(survives(fewer));
      if (exception) {
        counts all = spread(row.nodes, 4, got.replicas);
        CHECK(got.replicas - enumerate(shape, all, shape.parity_units, row.nodes)
              <= got.replicas / 2); // two nodes of four take half of any number
      }
      numbers[to_string(level)] += std::to_string(got.replicas) + " ";
    }
  CHECK(numbers["+1n"] == "3 3 3 3 3 3 3 3 3 3 3 3 3 3 ");
  CHECK(numbers["+2d:1n"] == "5 5 5 5 5 5 5 5 5 5 5 5 5 5 ");
  CHECK(numbers["+2n"] == "5 5 5 5 5 5 5 5 5 5 5 5 ");
  CHECK(numbers["+3d:1n"] == "7 7 7 7 7 7 7 7 7 7 7 7 7 7 ");
  CHECK(numbers["+3d:1n1d"] == "9 7 7 7 7 7 7 7 7 7 7 7 7 7 ");
  CHECK(numbers["+3n"] == "7 7 7 7 7 7 7 7 7 7 ");
  CHECK(numbers["+4d:1n"] == "9 9 9 9 9 9 9 9 9 9 9 9 9 9 ");
  CHECK(numbers["+4d:2n"] == "11 9 9 9 9 9 9 9 9 9 9 9 9 ");
  CHECK(numbers["+4n"] == "9 9 9 9 9 9 9 9 ");
}

TEST_CASE("replica_count: two levels in use at once both keep their majority",
          "[unit][replica_count]") {
  auto got = count_of({protection_level::plus_2n, protection_level::plus_3d_1n}, 5);
  CHECK(got.replicas == 9);
  CHECK(got.every_loss);
  for (auto level : {protection_level::plus_2n, protection_level::plus_3d_1n}) {
    auto shape = shape_of(level);
    CHECK(enumerate(shape, spread(5, 4, 9), shape.parity_units, 5) <= 4);
  }
  // 7 is enough for +3d:1n and 5 for +2n, but 7 loses 4 of (2,2,1,1,1) to two nodes.
  CHECK(count_of({protection_level::plus_2n}, 5).replicas == 5);
  CHECK(count_of({protection_level::plus_3d_1n}, 5).replicas == 7);
  CHECK(enumerate({2, 1, false}, spread(5, 4, 7), 2, 5) == 4);
}

TEST_CASE("replica_count: what is promised for every pair of levels on every row holds",
          "[unit][replica_count]") {
  for (const auto& row : layout_table())
    for (auto a : all_protection_levels())
      for (auto b : all_protection_levels()) {
        if (!can_hold(row.nodes, a) || !can_hold(row.nodes, b))
          continue;
        auto got = count_of({a, b}, row.nodes);
        auto spread_now = spread(row.nodes, 4, got.replicas);
        bool all = true;
        for (auto level : {a, b}) {
          auto shape = shape_of(level);
          auto m = shape.parity_units;
          auto up = (row.nodes - 1) / 2;
          auto says = [&](const char* text) {
            auto begin = got.statement.find(to_string(level) + " on ");
            auto line = begin == std::string::npos ? "" : got.statement.substr(begin);
            return line.substr(0, line.find('\n')).find(text) != std::string::npos;
          };
          bool kept = true;
          if (says("too few drives"))
            kept = false; // must not happen with four drives per node
          else if (says("only nodes or only drives")) {
            auto nodes = std::min(up, m / shape.units_per_node_max);
            kept = enumerate_fast(shape, spread_now, 0) <= got.replicas / 2
                   && std::accumulate(spread_now.begin(), spread_now.begin() + nodes, 0u)
                        <= got.replicas / 2;
          } else
            kept = worst_loss(shape, spread_now) <= got.replicas / 2
                   || (says("while a majority of nodes is up")
                       && enumerate_fast(shape, spread_now, up) <= got.replicas / 2);
          bool said = worst_loss(shape, spread_now) <= got.replicas / 2 || says("no number");
          all = all && kept && said;
        }
        if (!all) {
          CAPTURE(row.nodes, to_string(a), to_string(b), got.replicas, got.statement);
          CHECK(all);
        }
      }
}

TEST_CASE("replica_count: mirrors need 2k-1 nodes, else a majority of nodes",
          "[unit][replica_count]") {
  std::map<std::uint32_t, std::string> numbers;
  for (std::uint32_t k = 2; k <= 8; ++k) {
    auto level = *parse_protection_level(std::to_string(k) + "x");
    for (std::uint32_t nodes = k; nodes <= 16; ++nodes) {
      auto got = count_of({level}, nodes);
      INFO(to_string(level) << " on " << nodes << " nodes: " << got.replicas);
      CHECK(got.every_loss == (nodes >= 2 * k - 1));
      bool one_kind = got.statement.find("only nodes or only drives") != std::string::npos;
      if (nodes < 2 * k - 1)
        numbers[k] += std::to_string(got.replicas) + (one_kind ? "* " : " ");
      else
        CHECK(got.replicas == 2 * k - 1);
    }
  }
  auto mixed = [](std::uint32_t r) { // 5x on 5 nodes with 8 drives: 2 nodes and 2 drives
    return replicas_lost_max({4, 1, true}, spread_evenly(counts(5, 8), r), 2) <= r / 2;
  };
  for (std::uint32_t r = 1; r < 25; r += 2)
    CHECK_FALSE(mixed(r));
  CHECK(mixed(25));          // which is why losses of one kind have to do
  CHECK(numbers[2] == "3 "); // on 2 nodes; on 3…4, 4…6, …; * only nodes or only drives
  CHECK(numbers[3] == "9 7 ");
  CHECK(numbers[4] == "11 15 11 ");
  CHECK(numbers[5] == "9* 9* 13* 15 ");
  CHECK(numbers[6] == "11* 13* 13* 17* 11* ");
  CHECK(numbers[7] == "13* 13* 17* 17* 21* 13* ");
  CHECK(numbers[8] == "15* 17* 17* 21* 21* 25* 15* ");
  CHECK(
    count_of({protection_level::mirror_2x}, 2).statement
    == "2x on 2 nodes: no number of metadata replicas outlives every loss of 1 drive or 1 node; "
       "with 3 the level holds while a majority of nodes is up (2 of 2).\n");
  CHECK(count_of({protection_level::plus_4d_2n}, 4).statement
        == "+4d:2n on 4 nodes: no number of metadata replicas outlives every loss of 4 drives or 2 "
           "nodes; with 11 the level holds while a majority of nodes is up (3 of 4).\n");
  CHECK(
    count_of({protection_level::mirror_5x, protection_level::mirror_5x}, 5).statement
    == "5x on 5 nodes: no number of metadata replicas outlives every loss of 4 drives or 4 "
       "nodes; with 9 the level holds while a majority of nodes is up (3 of 5) and only nodes or "
       "only drives are lost.\n");
}

TEST_CASE("replica_count: too few drives are said", "[unit][replica_count]") {
  auto got = count_of({protection_level::plus_3d_1n1d}, 3, 2); // 9 replicas, 6 drives
  CHECK(got.replicas == 5);
  CHECK_FALSE(got.every_loss);
  CHECK(got.statement.find("+3d:1n1d on 3 nodes: ") == 0);
  auto single = count_of({protection_level::plus_1n}, 1, 1);
  CHECK(single.replicas == 1);
  CHECK_FALSE(single.every_loss);
  CHECK_FALSE(count_replicas({}, counts{4, 4}));
  std::vector<protection_level> one{protection_level::plus_1n};
  CHECK_FALSE(count_replicas(one, {}));
  CHECK_FALSE(count_replicas(one, counts{0, 0}));
}

TEST_CASE("replica_count: the exact loss equals enumeration over drives, in every small cluster",
          "[unit][replica_count]") {
  // Method: up to 3 nodes with 1…4 drives and 0…drives replicas; all subsets of drives that a set
  // of whole nodes and single drives of cost <= m makes; nodes without a drive left are down.
  std::vector<replica_node> kinds;
  for (std::uint32_t d = 1; d <= 4; ++d)
    for (std::uint32_t r = 0; r <= d; ++r)
      kinds.push_back({d, r});
  auto subsets_worst = [](const level_shape& shape, const std::vector<replica_node>& nodes,
                          std::uint32_t down_max) {
    // Per node: lose j of its drives, replicas first (that is the worst choice).
    std::uint32_t worst = 0;
    counts lost(nodes.size());
    for (;;) {
      std::uint32_t cost = 0;
      std::uint32_t down = 0;
      std::uint32_t members = 0;
      for (std::size_t i = 0; i < nodes.size(); ++i) {
        bool whole = lost[i] == nodes[i].drives;
        cost += whole ? std::min(shape.units_per_node_max, nodes[i].drives) : lost[i];
        down += whole ? 1 : 0;
        members += std::min(lost[i], nodes[i].replicas);
      }
      if (cost <= shape.parity_units && down <= down_max)
        worst = std::max(worst, members);
      std::size_t i = 0;
      while (i < nodes.size() && ++lost[i] > nodes[i].drives)
        lost[i++] = 0;
      if (i == nodes.size())
        return worst;
    }
  };
  for (auto level : all_protection_levels()) {
    auto shape = shape_of(level);
    if (shape.mirrored && shape.parity_units <= 4)
      continue; // the same losses as +1n … +4n
    for (std::size_t i = 0; i < kinds.size(); ++i)
      for (std::size_t j = i; j < kinds.size(); ++j)
        for (std::size_t k = j; k < kinds.size(); ++k) {
          auto a = kinds[i];
          auto b = kinds[j];
          auto c = kinds[k];
          std::vector<replica_node> nodes{a, b, c};
          for (std::uint32_t down = 0; down <= 3; ++down)
            if (replicas_lost_max(shape, nodes, down) != subsets_worst(shape, nodes, down)) {
              CAPTURE(to_string(level), a.drives, a.replicas, b.drives, b.replicas, c.drives,
                      c.replicas, down);
              CHECK(replicas_lost_max(shape, nodes, down) == subsets_worst(shape, nodes, down));
            }
          counts members{a.replicas, b.replicas, c.replicas};
          CHECK(replicas_lost_max(shape, nodes, 3) == worst_loss(shape, members));
        }
  }
}
