#pragma once

#include "storage/layout/layout_choice.hpp"
#include "storage/layout/level_shape.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace troupe {

/// A drive that may take a unit.
struct drive_candidate {
  drive_uuid drive;
  node_id node;
  std::uint64_t free_blocks = 0;
  bool busy =
    false; ///< Slow or with a long queue: taken only if its node has nothing else as good.
};

/// What `choose_layout` sees of the candidates: those with room for a full unit count as up.
/// @param others  nodes of the pool that have no candidate now, with their drives; may be empty.
std::vector<pool_node> pool_of(std::span<const drive_candidate> candidates,
                               std::span<const pool_node> others = {});

/// Chooses a drive for every unit of a stripe: different drives, at most b per node, spread over
/// nodes first, then away from busy drives, then at random in proportion to free blocks.
/// @param seed  the same arguments give the same drives, in any order of `candidates`; vary it from
///              stripe to stripe.
/// @returns indexes into `candidates`, in unit order (data, then parity); errc::no_space if too few
/// drives have room: lay out again over those that have. Cost: units * candidates.
expected<std::vector<std::size_t>> place_units(const layout_choice& layout,
                                               std::span<const drive_candidate> candidates,
                                               std::uint64_t seed);

/// Where one unit of a stripe lies, and whether its drive may take or keep data.
struct placed_unit {
  drive_uuid drive;
  node_id node;
  bool writable = true;
};

/// The partition leader's check at commit (hazards F5): as many units as the notation says, on
/// different drives, at most b on a node, every drive writable.
/// @returns errc::invalid_argument naming the unit for a broken shape, errc::stale if a drive is
/// not writable: lay the unit out again.
expected<void> check_placement(const stripe_notation& shape, std::span<const placed_unit> units);

/// Whether every loss that `level` tolerates leaves enough units to read the stripe. False for a
/// stripe that must be in the at-risk table. Asks nothing about `writable`.
bool attains(protection_level level, std::uint32_t data_units, std::span<const placed_unit> units);

/// Whether a stripe can be read: at least `data_units` of its units are on none of the lost drives
/// and nodes.
bool readable(std::uint32_t data_units, std::span<const placed_unit> units,
              std::span<const drive_uuid> drives_lost, std::span<const node_id> nodes_lost);

/// How many whole nodes may fail, whichever they are, with the stripe still readable; 0 also if it
/// is not readable now.
std::uint32_t node_losses_max(std::uint32_t data_units, std::span<const placed_unit> units);

} // namespace troupe
