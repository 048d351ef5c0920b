#pragma once

#include "messages/cluster_config.hpp"
#include "storage/meta/evaluate.hpp"

#include <string>
#include <vector>

namespace troupe {

/// What one partition takes from a configuration.
struct partition_facts {
  config_version version; ///< 0: none is known yet.
  snapshot_epoch epoch{1};
  std::map<drive_uuid, drive_fact> drives;
  std::map<drive_uuid, bool> reachable; ///< By drive: its node is up and it works.
  slot_set slots;
  std::vector<replica_record> replicas;
  std::vector<node_id> down; ///< Nodes of replicas that the cluster group calls down.
};
partition_facts facts_for(const cluster_config& config, group_id group);

/// "partition 5 has no majority: replica 17 (node 3), replica 19 (node 4) do not answer".
/// @param missing  replicas that the leader does not hear; empty: those on nodes that are down.
std::string explain_missing(const partition_facts& facts, group_id group,
                            const std::vector<replica_id>& missing);

} // namespace troupe
