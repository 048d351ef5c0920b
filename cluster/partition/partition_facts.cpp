#include "cluster/partition/partition_facts.hpp"

#include <algorithm>

namespace troupe {

partition_facts facts_for(const cluster_config& config, group_id group) {
  partition_facts out;
  out.version = config.version;
  out.epoch = config.epoch;
  for (const auto& [id, drive] : config.drives) {
    auto node = config.nodes.find(drive.node);
    bool works = drive.state == drive_state::healthy || drive.state == drive_state::suspect;
    bool member = node != config.nodes.end() && node->second.state != node_state::removed;
    out.drives[id] = {drive.node, works && member};
    out.reachable[id] = works && member && node->second.state != node_state::down;
  }
  for (const auto& range : config.slots)
    if (range.group == group)
      for (std::uint32_t slot = range.first; slot < range.end; ++slot)
        out.slots.set(slot);
  if (auto at = config.groups.find(group); at != config.groups.end())
    out.replicas = at->second.replicas;
  for (const auto& replica : out.replicas)
    if (auto node = config.nodes.find(replica.node);
        node == config.nodes.end() || node->second.state != node_state::up)
      out.down.push_back(replica.node);
  return out;
}

std::string explain_missing(const partition_facts& facts, group_id group,
                            const std::vector<replica_id>& missing) {
  std::string list;
  for (const auto& replica : facts.replicas) {
    bool named =
      missing.empty()
        ? std::find(facts.down.begin(), facts.down.end(), replica.node) != facts.down.end()
        : std::find(missing.begin(), missing.end(), replica.id) != missing.end();
    if (named)
      list += (list.empty() ? "replica " : ", replica ") + std::to_string(replica.id.value)
              + " (node " + std::to_string(replica.node.value) + ")";
  }
  auto text = "partition " + std::to_string(group.value) + " has no majority";
  return list.empty() ? text : text + ": " + list + " does not answer";
}

} // namespace troupe
