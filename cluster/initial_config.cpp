#include "cluster/initial_config.hpp"

#include "cluster/replica_placement.hpp"
#include "storage/layout/layout_choice.hpp"

namespace troupe {

namespace {

error bad(const std::string& what) {
  return error{errc::invalid_argument, what};
}

expected<void> check_wish(const initial_cluster& wish) {
  if (wish.nodes.empty())
    return bad("a cluster needs at least one node");
  if (wish.partitions < 1 || wish.partitions > slot_count)
    return bad(std::to_string(wish.partitions) + " partitions: 1 to 4096 are possible");
  std::vector<pool_node> pool;
  for (std::size_t i = 0; i < wish.nodes.size(); ++i) {
    auto drives = static_cast<std::uint32_t>(wish.nodes[i].drives.size());
    if (drives == 0)
      return bad("node " + std::to_string(i + 1) + " has no drive");
    pool.push_back({node_id{static_cast<std::uint32_t>(i + 1)}, drives, drives});
  }
  auto choice = check_level(pool, wish.level);
  return choice ? expected<void>{} : choice.error();
}

/// Slots in ranges of equal size: neighbouring directories of one slot stay in one partition.
std::vector<slot_range> divide_slots(std::uint32_t partitions) {
  std::vector<slot_range> ranges;
  for (std::uint32_t i = 0; i < partitions; ++i)
    ranges.push_back({static_cast<std::uint16_t>(slot_count * i / partitions),
                      static_cast<std::uint16_t>(slot_count * (i + 1) / partitions),
                      group_id{i + 1}});
  return ranges;
}

} // namespace

expected<cluster_config> make_initial_config(const initial_cluster& wish) {
  if (auto fine = check_wish(wish); !fine)
    return fine.error();
  cluster_config config;
  config.cluster = wish.cluster;
  config.name = wish.name;
  config.version = config_version{1};
  config.default_level = wish.level;
  config.levels_in_use = {wish.level};
  config.slots = divide_slots(wish.partitions);
  std::vector<replica_drive> places;
  for (std::size_t i = 0; i < wish.nodes.size(); ++i) {
    node_id node{static_cast<std::uint32_t>(i + 1)};
    config.nodes[node] = {node, wish.nodes[i].address, node_state::up, incarnation{},
                          wish.nodes[i].client_address};
    for (std::size_t bay = 0; bay < wish.nodes[i].drives.size(); ++bay) {
      const auto& id = wish.nodes[i].drives[bay];
      config.drives[id] = {id,
                           node,
                           drive_bay{static_cast<std::uint32_t>(bay + 1)},
                           drive_state::healthy,
                           incarnation{},
                           wish.nodes[i].drive_blocks};
      places.push_back({id, node});
    }
  }
  std::vector<replica_request> requests;
  for (std::uint32_t g = 0; g <= wish.partitions; ++g)
    requests.push_back({group_id{g}, config.levels_in_use, {}});
  auto sets = place_replicas(places, requests);
  if (!sets)
    return sets.error();
  for (const auto& set : *sets) {
    group_record group;
    group.id = set.group;
    for (const auto& drive : set.drives)
      group.replicas.push_back(
        {replica_id{++config.replicas_given}, drive, config.drives.at(drive).node});
    group.preferred_leader = group.replicas.at(set.preferred_leader).id;
    config.groups[set.group] = std::move(group);
  }
  return config;
}

} // namespace troupe
