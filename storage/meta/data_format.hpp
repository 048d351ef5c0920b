#pragma once

#include "messages/error.hpp"
#include "messages/metadata.hpp"

#include <string>
#include <string_view>

namespace troupe {

/// The first block of a file while no extent holds it (zeros follow up to 8 KiB), or the target
/// of a symbolic link. A row of its own, so that a chmod does not log it (hazards F38).
/// `v1`: header of versioned rows, then the bytes.
struct inline_row {
  snapshot_epoch written;
  std::string bytes;
  bool operator==(const inline_row&) const = default;
};
std::string encode(const inline_row& x);
expected<inline_row> decode_inline(std::string_view value);

/// A file range and the place of its bytes in a stripe; the key has the file and the end offset.
/// `v1`: header of versioned rows, then
///
///   9  u64 bytes   17  u64 stripe   25  u64 stripe_offset
struct extent_row {
  snapshot_epoch written;
  std::uint64_t bytes = 0;
  stripe_id stripe;
  std::uint64_t stripe_offset = 0;
  bool operator==(const extent_row&) const = default;
};
std::string encode(const extent_row& x);
expected<extent_row> decode_extent(std::string_view value);

/// A stripe's physical record (hazards M3): unversioned, moving its bytes changes nothing else.
/// `v1`:
///
///   0  u8  format         1  u64 owner (LIN)      9  u64 cas_version
///   17 u32 references     21 u32 live_references
///   25 u8  n   26 u8 m   27 u8 per_node   28 u8 requested_level   29 u8 flags: 1 at risk
///   30 u32 unit_blocks    34 u16 unit count, then per unit
///      drive uuid(16)  u64 start_block  u64 birth  u32 checksum
struct stripe_row {
  lin owner; ///< The file that is charged for it.
  std::uint64_t cas_version = 0;
  std::uint32_t references = 0;      ///< Extents, those of versions included.
  std::uint32_t live_references = 0; ///< Extents of the live file.
  stripe_layout layout;              ///< Every unit's run has `unit_blocks` blocks.
  bool operator==(const stripe_row&) const = default;
};
std::string encode(const stripe_row& x);
expected<stripe_row> decode_stripe(std::string_view value);
/// Blocks on drives, parity included.
std::uint64_t physical_blocks_of(const stripe_layout& layout);

/// A stripe written below its level (hazards F29). `v1`: u8 format, u64 owner, u8 requested level.
struct at_risk_row {
  lin owner;
  std::uint8_t requested_level = 0;
  bool operator==(const at_risk_row&) const = default;
};
std::string encode(const at_risk_row& x);
expected<at_risk_row> decode_at_risk(std::string_view value);

} // namespace troupe
