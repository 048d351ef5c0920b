#include "storage/base/crc32c.hpp"

#include <isa-l/crc.h>

namespace troupe {

std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t previous) {
  // ISA-L takes the length as int and a non-const pointer that it only reads.
  constexpr std::size_t chunk_bytes_max = 1u << 30;
  std::uint32_t state = ~previous;
  while (!data.empty()) {
    auto chunk = data.first(data.size() < chunk_bytes_max ? data.size() : chunk_bytes_max);
    auto* bytes = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(chunk.data()));
    state = crc32_iscsi(bytes, static_cast<int>(chunk.size()), state);
    data = data.subspan(chunk.size());
  }
  return ~state;
}

} // namespace troupe
