#pragma once

#include "messages/bytes.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace troupe {

/// The checksums of a unit's blocks, in order. They lie beside the run on its drive and travel with
/// every read; the stripe record holds only `unit_checksum` of them (hazards F39).
using block_checksum_list = std::vector<std::uint32_t>;

/// CRC32C of every 8 KiB block of `bytes`; the last may be shorter. One pass.
block_checksum_list block_checksums(byte_view bytes);

/// CRC32C over the list as little-endian 32-bit words: what a stripe record keeps of a unit. It
/// binds the unit to its place in the file: a stale, misplaced or torn unit has another one.
std::uint32_t unit_checksum(std::span<const std::uint32_t> blocks);

/// The first block of `bytes` whose checksum is not the one in `expected`; nothing if all are
/// right. A different number of blocks is a mismatch at the first one that only one side has.
std::optional<std::uint32_t> first_bad_block(byte_view bytes,
                                             std::span<const std::uint32_t> expected);

} // namespace troupe
