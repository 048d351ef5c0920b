#include "cluster/replica_placement.hpp"
#include "storage/layout/layout_table.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <bit>
#include <map>
#include <set>

using namespace troupe;

namespace {

drive_uuid uuid_of(std::uint32_t node, std::uint32_t bay) {
  drive_uuid x;
  x.bytes[0] = static_cast<std::uint8_t>(node);
  x.bytes[1] = static_cast<std::uint8_t>(bay);
  return x;
}
node_id node_of(const drive_uuid& x) {
  return node_id{x.bytes[0]};
}

std::vector<replica_drive> cluster(std::uint32_t nodes, std::uint32_t drives) {
  std::vector<replica_drive> out;
  for (std::uint32_t n = 1; n <= nodes; ++n)
    for (std::uint32_t b = 1; b <= drives; ++b)
      out.push_back({uuid_of(n, b), node_id{n}});
  return out;
}

/// The cluster group (0) and `partitions` partitions, all with the same levels.
std::vector<replica_request> groups(std::uint32_t partitions,
                                    std::vector<protection_level> levels) {
  std::vector<replica_request> out;
  for (std::uint32_t g = 0; g <= partitions; ++g)
    out.push_back({group_id{g}, levels, {}});
  return out;
}

std::vector<replica_set> placed(const std::vector<replica_drive>& drives,
                                const std::vector<replica_request>& requests,
                                replica_placement_options options = {}) {
  auto x = place_replicas(drives, requests, options);
  REQUIRE(x);
  return *x;
}

struct loads {
  std::map<node_id, int> replicas;
  std::map<node_id, int> leaders;
  std::map<drive_uuid, int> drives;
};
loads loads_of(const std::vector<replica_drive>& all, const std::vector<replica_set>& sets) {
  loads out;
  for (const auto& x : all) {
    out.replicas[x.node];
    out.leaders[x.node];
  }
  for (const auto& set : sets) {
    for (const auto& x : set.drives) {
      ++out.replicas[node_of(x)];
      ++out.drives[x];
    }
    ++out.leaders[node_of(set.drives[set.preferred_leader])];
  }
  return out;
}
template <class Map>
int unevenness(const Map& x) {
  auto [low, high] = std::minmax_element(
    x.begin(), x.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return high->second - low->second;
}

/// Enumerates the losses that a level tolerates against one group: every set of whole nodes and of
/// drives with a replica (others do not matter) that costs at most m.
class loss_enumeration {
public:
  loss_enumeration(const replica_set& set, const level_shape& shape, std::uint32_t nodes,
                   std::uint32_t down_max)
    : replicas_(set.drives.size()), down_max_(down_max) {
    std::uint64_t one = 1;
    for (std::uint32_t n = 1; n <= nodes; ++n) {
      std::uint64_t mask = 0;
      for (std::size_t i = 0; i < replicas_; ++i)
        if (node_of(set.drives[i]) == node_id{n})
          mask |= one << i;
      hits_.push_back({mask, shape.units_per_node_max, true});
    }
    for (std::size_t i = 0; i < replicas_; ++i)
      hits_.push_back({one << i, 1, false});
    visit(0, 0, shape.parity_units, 0);
  }
  bool always_majority() const { return always_majority_; }
  std::uint64_t losses() const { return losses_; }

private:
  struct hit {
    std::uint64_t replicas = 0;
    std::uint32_t cost = 0;
    bool whole_node = false;
  };
  void visit(std::size_t from, std::uint64_t lost, std::uint32_t left, std::uint32_t down) {
    ++losses_;
    auto up = replicas_ - static_cast<std::size_t>(std::popcount(lost));
    always_majority_ = always_majority_ && 2 * up > replicas_;
    for (auto i = from; i < hits_.size(); ++i) {
      const auto& x = hits_[i];
      if (x.cost <= left && !(x.whole_node && down == down_max_))
        visit(i + 1, lost | x.replicas, left - x.cost, down + (x.whole_node ? 1 : 0));
    }
  }

  std::size_t replicas_;
  std::uint32_t down_max_;
  std::vector<hit> hits_;
  bool always_majority_ = true;
  std::uint64_t losses_ = 0;
};

bool majority_after_all(const replica_set& set, const level_shape& shape, std::uint32_t nodes) {
  return loss_enumeration{set, shape, nodes, nodes}.always_majority();
}

} // namespace

TEST_CASE("replica_placement: 16 groups on 5 nodes are even on all nodes",
          "[unit][replica_placement]") {
  auto drives = cluster(5, 4);
  auto sets = placed(drives, groups(16, {protection_level::plus_2d_1n}));
  REQUIRE(sets.size() == 17);
  for (const auto& set : sets) {
    CHECK(set.drives.size() == 5);
    CHECK(set.count.every_loss);
    std::set<node_id> nodes;
    for (const auto& x : set.drives)
      nodes.insert(node_of(x));
    CHECK(nodes.size() == 5);
  }
  auto load = loads_of(drives, sets);
  CHECK(unevenness(load.replicas) == 0);
  CHECK(unevenness(load.leaders) <= 1); // 4, 4, 3, 3, 3
  CHECK(load.drives.size() == 5);       // one journal per node
}

TEST_CASE("replica_placement: every group keeps a majority after every tolerated loss, for every "
          "cell of the table",
          "[unit][replica_placement]") {
  std::uint64_t losses = 0;
  for (const auto& row : layout_table())
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      if (row.cells[i].data_units == 0)
        continue;
      auto level = layout_table_levels[i];
      auto shape = shape_of(level);
      bool exception = level == protection_level::plus_4d_2n && row.nodes == 4;
      auto sets = placed(cluster(row.nodes, 4), groups(3, {level}));
      for (const auto& set : sets) {
        INFO(row.nodes << " nodes, " << to_string(level) << ", group " << set.group.value);
        CHECK(std::set<drive_uuid>{set.drives.begin(), set.drives.end()}.size()
              == set.drives.size());
        loss_enumeration every{set, shape, row.nodes, exception ? 1 : row.nodes};
        CHECK(every.always_majority());
        losses += every.losses();
        if (exception) // two nodes of four take half of any number
          CHECK_FALSE(majority_after_all(set, shape, row.nodes));
      }
    }
  CHECK(losses > 900'000);
}

TEST_CASE("replica_placement: two levels in use at once, on 5 nodes, give 9 replicas that hold for "
          "both",
          "[unit][replica_placement]") {
  auto sets =
    placed(cluster(5, 4), groups(16, {protection_level::plus_2n, protection_level::plus_3d_1n}));
  for (const auto& set : sets) {
    CHECK(set.drives.size() == 9);
    CHECK(majority_after_all(set, {2, 1, false}, 5));
    CHECK(majority_after_all(set, {3, 3, false}, 5));
  }
  CHECK(unevenness(loads_of(cluster(5, 4), sets).drives) <= 1);
}

TEST_CASE("replica_placement: loads are even for every number of nodes and groups",
          "[unit][replica_placement]") {
  for (std::uint32_t nodes = 3; nodes <= 14; ++nodes)
    for (std::uint32_t partitions : {0u, 1u, 5u, 16u, 31u, 64u})
      for (auto level : {protection_level::plus_1n, protection_level::plus_2d_1n,
                         protection_level::plus_3d_1n, protection_level::plus_4d_1n}) {
        auto drives = cluster(nodes, 4);
        auto load = loads_of(drives, placed(drives, groups(partitions, {level})));
        INFO(nodes << " nodes, " << partitions + 1 << " groups, " << to_string(level));
        CHECK(unevenness(load.replicas) <= 1);
        CHECK(unevenness(load.leaders) <= 1);
        auto wide = loads_of(drives, placed(drives, groups(partitions, {level}), {4}));
        CHECK(unevenness(wide.replicas) <= 1);
        if (wide.drives.size() == drives.size())
          CHECK(unevenness(wide.drives) <= 1);
      }
}

TEST_CASE("replica_placement: as few drives per node as the groups force host replicas",
          "[unit][replica_placement]") {
  auto drives = cluster(3, 4);
  auto sets = placed(drives, groups(16, {protection_level::plus_3d_1n})); // 7 = 3+2+2
  CHECK(loads_of(drives, sets).drives.size() == 9);
  auto wide = placed(drives, groups(16, {protection_level::plus_1n}), {4});
  CHECK(loads_of(drives, wide).drives.size() == 12);
}

TEST_CASE("replica_placement: replicas that can stay do, and only the lost ones move",
          "[unit][replica_placement]") {
  auto drives = cluster(5, 4);
  auto requests = groups(16, {protection_level::plus_2d_1n});
  auto before = placed(drives, requests);
  for (std::size_t g = 0; g < requests.size(); ++g)
    requests[g].kept = before[g].drives;
  auto same = placed(drives, requests);
  for (std::size_t g = 0; g < requests.size(); ++g)
    CHECK(same[g].drives == before[g].drives);
  // The drive of node 3 that hosts its replicas is gone: another drive of node 3 takes them.
  auto gone = uuid_of(3, 1);
  auto rest = drives;
  rest.erase(std::find_if(rest.begin(), rest.end(), [&](auto x) { return x.drive == gone; }));
  auto after = placed(rest, requests);
  for (std::size_t g = 0; g < requests.size(); ++g) {
    CHECK(std::find(after[g].drives.begin(), after[g].drives.end(), gone) == after[g].drives.end());
    std::size_t moved = 0;
    for (const auto& x : after[g].drives)
      if (std::find(before[g].drives.begin(), before[g].drives.end(), x)
          == before[g].drives.end()) {
        ++moved;
        CHECK(node_of(x) == node_id{3});
      }
    CHECK(moved == 1);
  }
}

TEST_CASE("replica_placement: a new node takes its share of replicas that are placed anew",
          "[unit][replica_placement]") {
  auto requests = groups(16, {protection_level::plus_1n});
  auto before = placed(cluster(4, 2), requests);
  for (std::size_t g = 0; g < requests.size(); ++g)
    requests[g].kept = before[g].drives;
  auto drives = cluster(5, 2);
  auto kept = placed(drives, requests);
  for (std::size_t g = 0; g < requests.size(); ++g)
    CHECK(kept[g].drives == before[g].drives); // nothing moves for a new node by itself
  requests[0].kept.pop_back();
  auto one = placed(drives, requests);
  CHECK(node_of(one[0].drives.back()) == node_id{5}); // the emptiest
}

TEST_CASE("replica_placement: too many kept replicas on a node do not stay",
          "[unit][replica_placement]") {
  auto drives = cluster(5, 4);
  auto requests = groups(0, {protection_level::plus_2d_1n});
  for (std::uint32_t b = 1; b <= 4; ++b)
    requests[0].kept.push_back(uuid_of(2, b));
  requests[0].kept.push_back(uuid_of(9, 1)); // unknown
  auto set = placed(drives, requests)[0];
  std::set<node_id> nodes;
  for (const auto& x : set.drives)
    nodes.insert(node_of(x));
  CHECK(nodes.size() == 5);
  CHECK(set.drives.front() == uuid_of(2, 1));
}

TEST_CASE("replica_placement: levels can differ per group", "[unit][replica_placement]") {
  std::vector<replica_request> requests{
    {group_id{0}, {protection_level::plus_1n, protection_level::plus_4d_1n}, {}},
    {group_id{1}, {protection_level::plus_1n}, {}}};
  auto sets = placed(cluster(5, 4), requests);
  CHECK(sets[0].drives.size() == 9);
  CHECK(sets[1].drives.size() == 3);
}

TEST_CASE("replica_placement: the order of drives does not matter", "[unit][replica_placement]") {
  auto drives = cluster(6, 3);
  auto turned = drives;
  std::rotate(turned.begin(), turned.begin() + 7, turned.end());
  auto requests = groups(16, {protection_level::plus_1n});
  auto a = placed(drives, requests);
  auto b = placed(turned, requests);
  for (std::size_t g = 0; g < a.size(); ++g) {
    CHECK(a[g].drives == b[g].drives);
    CHECK(a[g].preferred_leader == b[g].preferred_leader);
  }
}

TEST_CASE("replica_placement: uneven nodes are filled as far as they go",
          "[unit][replica_placement]") {
  std::vector<replica_drive> drives;
  for (std::uint32_t n = 1; n <= 4; ++n)
    for (std::uint32_t b = 1; b <= n; ++b)
      drives.push_back({uuid_of(n, b), node_id{n}});
  auto sets = placed(drives, groups(8, {protection_level::plus_3d_1n})); // 1+2+2+2
  for (const auto& set : sets) {
    CHECK(set.drives.size() == 7);
    CHECK(set.count.every_loss);
    CHECK(majority_after_all(set, {3, 3, false}, 4));
  }
}

TEST_CASE("replica_placement: bad input is refused", "[unit][replica_placement]") {
  auto drives = cluster(3, 1);
  drives.push_back(drives.front());
  auto twice = place_replicas(drives, groups(1, {protection_level::plus_1n}));
  REQUIRE_FALSE(twice);
  CHECK(twice.error().context.find("is named twice") != std::string::npos);
  CHECK_FALSE(place_replicas({}, groups(1, {protection_level::plus_1n})));
  auto no_level = place_replicas(cluster(3, 1), groups(1, {}));
  REQUIRE_FALSE(no_level);
  CHECK(no_level.error().context == "group 0: no protection level is in use");
}
