#include "storage/codec/unit_checksum.hpp"

#include "messages/units.hpp"
#include "storage/base/coding.hpp"
#include "storage/base/crc32c.hpp"

#include <algorithm>
#include <array>

namespace troupe {

block_checksum_list block_checksums(byte_view bytes) {
  block_checksum_list out;
  out.reserve((bytes.size() + block_bytes - 1) / block_bytes);
  for (; !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(block_bytes, bytes.size())))
    out.push_back(crc32c(bytes.first(std::min<std::size_t>(block_bytes, bytes.size()))));
  return out;
}

std::uint32_t unit_checksum(std::span<const std::uint32_t> blocks) {
  std::uint32_t crc = 0;
  for (auto x : blocks) {
    std::array<std::byte, 4> word;
    store_le(word.data(), x);
    crc = crc32c(word, crc);
  }
  return crc;
}

std::optional<std::uint32_t> first_bad_block(byte_view bytes,
                                             std::span<const std::uint32_t> expected) {
  auto found = block_checksums(bytes);
  auto [a, b] = std::mismatch(found.begin(), found.end(), expected.begin(), expected.end());
  if (a == found.end() && b == expected.end())
    return std::nullopt;
  return static_cast<std::uint32_t>(a - found.begin());
}

} // namespace troupe
