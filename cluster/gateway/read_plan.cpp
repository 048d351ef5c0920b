#include "cluster/gateway/read_plan.hpp"

#include <algorithm>
#include <string>

namespace troupe {

namespace {

/// A hole is handed out in windows of this size.
constexpr std::uint64_t zeros_max = unit_bytes;

} // namespace

expected<std::vector<unit_piece>> plan_read(std::span<const file_segment> segments,
                                            bool whole_units) {
  std::vector<unit_piece> out;
  for (const auto& segment : segments) {
    auto offset = segment.file_offset;
    auto end = segment.file_offset + segment.bytes;
    while (offset < end) {
      unit_piece piece;
      piece.file_offset = offset;
      if (!segment.stripe) {
        piece.bytes = static_cast<std::uint32_t>(std::min(end - offset, zeros_max));
        out.push_back(piece);
        offset += piece.bytes;
        continue;
      }
      const auto& layout = segment.stripe->layout;
      auto unit_size = std::uint64_t{layout.unit_blocks} * block_bytes;
      auto at = segment.stripe_offset + (offset - segment.file_offset);
      if (unit_size == 0 || at / unit_size >= layout.shape.data_units
          || layout.units.size() != layout.shape.data_units + layout.shape.parity_units)
        return error{errc::corrupt, "extent beyond its stripe at byte " + std::to_string(at)};
      piece.stripe = segment.stripe;
      piece.unit_index = static_cast<std::uint32_t>(at / unit_size);
      piece.unit_offset = static_cast<std::uint32_t>(at % unit_size);
      piece.bytes =
        static_cast<std::uint32_t>(std::min(end - offset, unit_size - piece.unit_offset));
      auto last_byte = piece.unit_offset + piece.bytes - 1;
      piece.first_block = whole_units ? 0 : piece.unit_offset / block_bytes;
      piece.block_count =
        whole_units ? layout.unit_blocks : last_byte / block_bytes + 1 - piece.first_block;
      out.push_back(piece);
      offset += piece.bytes;
    }
  }
  return out;
}

} // namespace troupe
