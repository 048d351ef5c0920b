#include "cluster/gateway/directory_slot.hpp"

#include "messages/bytes.hpp"
#include "messages/metadata.hpp"
#include "storage/base/crc32c.hpp"

namespace troupe {

slot_id slot_for_directory(lin parent, std::string_view name) {
  std::uint32_t seed = static_cast<std::uint32_t>(parent.value ^ parent.value >> 32);
  auto hash = crc32c(as_bytes(name), seed);
  bool spread = parent == root_lin || hash / slot_count % spread_one_in == 0;
  return spread ? slot_id{static_cast<std::uint16_t>(hash % slot_count)} : slot_of(parent);
}

} // namespace troupe
