#include "cluster/config_view.hpp"

namespace troupe {

cluster_view view_of(const cluster_config& config,
                     const std::map<drive_uuid, drive_report>& reports,
                     const std::map<group_id, replica_id>& leaders) {
  cluster_view view;
  view.cluster = config.cluster;
  view.version = config.version;
  view.epoch = config.epoch;
  view.slots = config.slots;
  view.default_level = static_cast<std::uint8_t>(config.default_level);
  for (const auto& [id, node] : config.nodes)
    if (node.state != node_state::removed)
      view.nodes.push_back({id, node.client_address, node.state == node_state::up});
  for (const auto& [serial, revoked] : config.revoked)
    view.revoked.push_back(serial);
  for (const auto& [id, drive] : config.drives) {
    auto report = reports.find(id);
    // Until its first report a drive counts as empty: a hint for placement, not a promise.
    auto blocks_free = report == reports.end() ? drive.blocks_total : report->second.blocks_free;
    view.drives.push_back(
      {id, drive.node, drive.bay, drive.state, drive.blocks_total, blocks_free});
  }
  for (const auto& [id, group] : config.groups) {
    if (id == group_id{0})
      continue;
    group_view g;
    g.id = id;
    for (const auto& r : group.replicas)
      g.replicas.push_back({r.id, r.node, r.drive});
    auto leader = leaders.find(id);
    g.leader = leader == leaders.end() ? group.preferred_leader : leader->second;
    view.groups.push_back(std::move(g));
  }
  return view;
}

} // namespace troupe
