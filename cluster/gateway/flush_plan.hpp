#pragma once

#include "cluster/gateway/write_buffer.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace troupe {

/// How much of the dirty data must go now.
enum class flush_mode : std::uint8_t {
  full_stripes, ///< What fills stripes; the rest may still grow.
  everything,   ///< fsync, close, pressure.
};

/// Cuts dirty ranges into pieces, each for one stripe of at most `stripe_blocks` (a multiple of 16)
/// blocks. Full stripes begin at multiples of 128 KiB of the file, so that their units are whole
/// chunks of the buffer; what lies before the first such place is a piece of its own. Pure.
std::vector<block_range> plan_flush(std::span<const block_range> dirty, std::uint64_t stripe_blocks,
                                    flush_mode mode);

} // namespace troupe
