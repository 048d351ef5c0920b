#pragma once

#include "cluster/replica_count.hpp"
#include "messages/ids.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace troupe {

/// A drive that can host replicas.
struct replica_drive {
  drive_uuid drive;
  node_id node;
};

/// One raft group to be placed: a metadata partition or the cluster group.
struct replica_request {
  group_id group;
  /// Levels in use in it; for the cluster group, levels in use anywhere.
  std::vector<protection_level> levels;
  /// Drives of replicas that stay if they can; those that are no longer candidates are replaced.
  std::vector<drive_uuid> kept;
};

struct replica_placement_options {
  /// Drives per node that host replicas, each with a journal and a database of its own; more only
  /// where a group has more replicas on a node. Raise it where drives are separate devices and
  /// metadata is their bottleneck. >= 1.
  std::uint32_t journal_drives_per_node = 1;
};

/// Where the replicas of one group go.
struct replica_set {
  group_id group;
  std::vector<drive_uuid> drives;   ///< Kept ones first, in the order of `kept`; then ascending.
  std::size_t preferred_leader = 0; ///< Index into `drives`.
  replica_count count;              ///< How many and why; its statement is for people.
};

/// The one placement of replicas (hazards T1): for every group as many as `count_replicas` says, on
/// different drives, spread over nodes first; loads even over nodes, then over the drives of a node
/// that host replicas; preferred leaders even over nodes. Deterministic: the order of `drives` does
/// not matter, that of `requests` breaks ties.
/// @returns the sets in the order of `requests`; errc::invalid_argument if there are no drives, a
/// drive is named twice, or a request has no level.
/// Pure. Cost: about requests * (nodes + drives).
expected<std::vector<replica_set>> place_replicas(std::span<const replica_drive> drives,
                                                  std::span<const replica_request> requests,
                                                  replica_placement_options options = {});

} // namespace troupe
