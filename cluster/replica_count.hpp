#pragma once

#include "messages/protection_level.hpp"
#include "storage/layout/level_shape.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace troupe {

/// A node as a place for replicas of one group.
struct replica_node {
  std::uint32_t drives = 0;   ///< Drives that can host a replica.
  std::uint32_t replicas = 0; ///< Replicas of the group, on different drives: <= drives.
};

/// The most replicas that one loss can take. A loss is a set of whole nodes and single drives that
/// `shape` tolerates: a node costs min(b, its drives), a drive 1, together at most m. A node
/// without a drive left is down; only losses with at most `nodes_down_max` such nodes count. Exact.
/// Cost: nodes * nodes_down_max * m.
std::uint32_t replicas_lost_max(const level_shape& shape, std::span<const replica_node> nodes,
                                std::uint32_t nodes_down_max);

/// Replicas per node when `replicas` are spread as evenly as the drives allow; the longer ends come
/// first. No other spread loses fewer to any loss. Empty if they do not fit on different drives.
std::vector<replica_node> spread_evenly(std::span<const std::uint32_t> drives_per_node,
                                        std::uint32_t replicas);

/// How many replicas a group needs, and what that promises.
struct replica_count {
  std::uint32_t replicas = 0; ///< Odd.
  /// True: every loss that any level in use tolerates leaves a majority.
  bool every_loss = false;
  /// For the levels for which no number does that: what holds instead, a sentence per level, for
  /// `status` and for the verb that sets the level. Empty if `every_loss`.
  std::string statement;
};

/// Most replicas that a level gets for the weaker promise below: what 8x asks for on many nodes.
inline constexpr std::uint32_t weaker_replicas_max = 15;

/// The smallest odd number of replicas, spread over nodes first, that keeps a majority after every
/// loss that any level in use tolerates (hazards T1). For a level for which no number does so
/// (+4d:2n on 4 nodes, kx on fewer than 2k-1 nodes): after every tolerated loss that leaves a
/// majority of nodes up; if losing nodes and further drives together would need more than
/// `weaker_replicas_max` for that (5x on 5 nodes: 25), after every such loss of only nodes or only
/// drives. Where drives are too few even for that: as many as 2m+1 that fit.
/// @param levels  all levels in use in the group at once; at least one.
/// @param drives_per_node  drives that can host a replica, per node, in any order.
/// @returns errc::invalid_argument without levels or drives.
/// Pure. Cost: tries every odd number up to the number of drives.
expected<replica_count> count_replicas(std::span<const protection_level> levels,
                                       std::span<const std::uint32_t> drives_per_node);

} // namespace troupe
