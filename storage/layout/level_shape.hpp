#pragma once

#include "messages/protection_level.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace troupe {

/// What a protection level asks of a stripe: any `parity_units` units may be lost, and no node
/// holds more than `units_per_node_max` of them. So a loss of whole nodes and single drives is
/// tolerated while nodes * units_per_node_max + drives <= parity_units.
struct level_shape {
  std::uint32_t parity_units = 0;       ///< m of n+m/b
  std::uint32_t units_per_node_max = 0; ///< b of n+m/b
  bool mirrored = false;                ///< 2x…8x: one data unit per stripe, always.
  bool operator==(const level_shape&) const = default;
};

level_shape shape_of(protection_level level);

/// "2 drives or 1 node".
std::string tolerance_text(protection_level level);

/// The most members of one set (units of a stripe, replicas of a group) that a loss tolerated by
/// `shape` can take, if no two members are on one drive.
/// @param per_node  members on each node, in any order.
/// Pure. Cost: sorts a copy of `per_node`. Exact: single drives count one member each, so only the
/// fullest nodes and then any drives matter.
std::uint32_t worst_loss(const level_shape& shape, std::span<const std::uint32_t> per_node);

} // namespace troupe
