#include "cluster/initial_config.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace troupe;

namespace {

initial_cluster wish(std::uint32_t nodes, std::uint32_t drives, protection_level level) {
  initial_cluster w;
  w.cluster.bytes[0] = 1;
  w.name = "t";
  w.level = level;
  for (std::uint32_t n = 0; n < nodes; ++n) {
    initial_node node;
    node.address = "127.0.0.1:" + std::to_string(7401 + n);
    node.drive_blocks = 1000;
    for (std::uint32_t d = 0; d < drives; ++d) {
      drive_uuid id;
      id.bytes[0] = static_cast<std::uint8_t>(n);
      id.bytes[1] = static_cast<std::uint8_t>(d + 1);
      node.drives.push_back(id);
    }
    w.nodes.push_back(node);
  }
  return w;
}

} // namespace

TEST_CASE("initial_config: five nodes get 16 partitions of five replicas, led by all nodes",
          "[unit][initial_config]") {
  auto config = make_initial_config(wish(5, 4, protection_level::plus_2d_1n));
  REQUIRE(config);
  CHECK(config->groups.size() == 17);
  std::map<node_id, int> leaders;
  std::set<replica_id> ids;
  for (const auto& [id, group] : config->groups) {
    CHECK(group.replicas.size() == 5);
    std::set<node_id> nodes;
    for (const auto& r : group.replicas) {
      nodes.insert(r.node);
      CHECK(ids.insert(r.id).second);
      CHECK(config->drives.at(r.drive).node == r.node);
    }
    CHECK(nodes.size() == 5);
    REQUIRE(replica_of(group, group.preferred_leader));
    if (id != group_id{0})
      ++leaders[replica_of(group, group.preferred_leader)->node];
  }
  REQUIRE(leaders.size() == 5);
  for (const auto& [node, count] : leaders)
    CHECK((count == 3 || count == 4));
}

TEST_CASE("initial_config: every slot belongs to one partition", "[unit][initial_config]") {
  for (std::uint32_t partitions : {1u, 3u, 16u, 4096u}) {
    auto w = wish(3, 2, protection_level::plus_1n);
    w.partitions = partitions;
    auto config = make_initial_config(w);
    REQUIRE(config);
    std::set<group_id> seen;
    for (std::uint32_t s = 0; s < slot_count; ++s) {
      const auto* group = group_of(*config, slot_id{static_cast<std::uint16_t>(s)});
      REQUIRE(group);
      seen.insert(group->id);
    }
    CHECK(seen.size() == partitions);
  }
}

TEST_CASE("initial_config: too few nodes or drives say what would work", "[unit][initial_config]") {
  auto refused = make_initial_config(wish(3, 4, protection_level::plus_4n));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().id == trp::level_needs_more);
  CHECK(refused.error().context.find("+2d:1n") != std::string::npos);
  CHECK_FALSE(make_initial_config(wish(0, 4, protection_level::plus_1n)));
  CHECK_FALSE(make_initial_config(wish(5, 0, protection_level::plus_1n)));
  auto w = wish(5, 4, protection_level::plus_2d_1n);
  w.partitions = 4097;
  CHECK_FALSE(make_initial_config(w));
}
