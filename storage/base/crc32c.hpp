#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace troupe {

/// CRC32C (Castagnoli) of `data`, continued from `previous` (0 to start).
/// crc32c(b, crc32c(a)) == crc32c(a followed by b). Thread-safe; one pass, no copy.
/// Source: ISA-L `crc32_iscsi`.
std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t previous = 0);

} // namespace troupe
