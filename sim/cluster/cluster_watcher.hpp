#pragma once

#include "messages/admin.hpp"
#include "messages/cluster_config.hpp"
#include "sim/cluster/surroundings.hpp"

#include <map>
#include <set>

namespace troupe {

/// The checker of invariant 8: one leader per group and term; what the cluster group has called
/// down does not act. Sees what leaves the states; knows nothing of how they come to it.
class cluster_watcher {
public:
  explicit cluster_watcher(surroundings& world) : world_(world) {}

  /// A replica says who it is.
  void saw(const replica_report& report) {
    if (report.role != replica_role::leader)
      return;
    auto [it, first] = leaders_.try_emplace({report.group, report.term}, report.replica);
    if (first)
      ++world_.verdict.elections;
    else if (it->second != report.replica)
      world_.violate("group " + std::to_string(report.group.value) + " has two leaders in term "
                     + std::to_string(report.term) + ": replicas "
                     + std::to_string(it->second.value) + " and "
                     + std::to_string(report.replica.value));
  }

  /// The cluster group has committed this.
  void committed(const cluster_config& config) {
    if (config.version <= newest_)
      return;
    newest_ = config.version;
    down_.clear();
    for (const auto& [id, node] : config.nodes)
      if (node.state == node_state::down)
        down_[id] = node.process;
  }

  /// This start of a node took data or answered for a partition as one that leads (hazards F6).
  void acted(node_id node, incarnation process, const char* what) {
    auto it = down_.find(node);
    if (it != down_.end() && it->second == process)
      world_.violate("node " + std::to_string(node.value) + " was called down and " + what);
  }

private:
  surroundings& world_;
  std::map<std::pair<group_id, std::uint64_t>, replica_id> leaders_;
  config_version newest_;
  std::map<node_id, incarnation> down_; ///< Which start of it was called down.
};

} // namespace troupe
