#include "cluster/gateway/flush_plan.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace troupe {

std::vector<block_range> plan_flush(std::span<const block_range> dirty, std::uint64_t stripe_blocks,
                                    flush_mode mode) {
  TROUPE_ASSERT(stripe_blocks > 0);
  TROUPE_ASSERT(stripe_blocks % unit_blocks == 0);
  std::vector<block_range> out;
  for (const auto& range : dirty) {
    auto at = range.first;
    auto left = range.count;
    auto take = [&](std::uint64_t count) {
      out.push_back({at, count});
      at += count;
      left -= count;
    };
    auto to_boundary = (unit_blocks - at % unit_blocks) % unit_blocks;
    bool all = mode == flush_mode::everything;
    if (to_boundary > 0 && left > to_boundary && left - to_boundary >= stripe_blocks)
      take(to_boundary);
    while (left >= stripe_blocks && at % unit_blocks == 0)
      take(stripe_blocks);
    while (all && left > 0)
      take(std::min(left, stripe_blocks));
  }
  return out;
}

} // namespace troupe
