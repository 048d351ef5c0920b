#pragma once

#include "cluster/gateway/layout_cache.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace troupe {

/// Bytes of a file that lie in one data unit of one stripe, or zeros, and the blocks of the unit
/// that must be read for them.
struct unit_piece {
  std::uint64_t file_offset = 0;
  std::uint32_t bytes = 0;
  stripe_ptr stripe; ///< nullptr: zeros.
  std::uint32_t unit_index = 0;
  std::uint32_t unit_offset = 0; ///< Bytes, of the first byte, in the unit.
  std::uint32_t first_block = 0; ///< To be read…
  std::uint32_t block_count = 0;
};

/// Cuts segments at the ends of units. With `whole_units` every unit that is touched is read
/// whole: for readers that will want the rest. Pure.
/// @returns errc::corrupt if a segment lies beyond the data of its stripe.
expected<std::vector<unit_piece>> plan_read(std::span<const file_segment> segments,
                                            bool whole_units);

} // namespace troupe
