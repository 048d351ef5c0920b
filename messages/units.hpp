#pragma once

#include <compare>
#include <cstdint>

namespace troupe {

/// The unit of space and of data checksums.
inline constexpr std::uint32_t block_bytes = 8192;
/// A stripe unit: what one drive holds of one full stripe.
inline constexpr std::uint32_t unit_blocks = 16;
inline constexpr std::uint32_t unit_bytes = unit_blocks * block_bytes;
/// All metadata is divided into this many slots, for ever.
inline constexpr std::uint32_t slot_count = 4096;
/// Files up to one block live inside the metadata.
inline constexpr std::uint32_t inline_bytes_max = block_bytes;
/// Longest name of a directory entry in bytes, as on Linux.
inline constexpr std::uint32_t name_bytes_max = 255;

inline constexpr std::uint64_t kib = 1024;
inline constexpr std::uint64_t mib = 1024 * kib;
inline constexpr std::uint64_t gib = 1024 * mib;

/// Nanoseconds since 1970-01-01 UTC; what people and inodes see.
struct wall_time {
  std::int64_t ns = 0;
  constexpr auto operator<=>(const wall_time&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, wall_time& x) {
  return f(x.ns);
}

} // namespace troupe
