#include "storage/consensus/configuration_format.hpp"

#include "storage/base/assert.hpp"
#include "storage/base/coding.hpp"

#include <set>

namespace troupe {

byte_vector encode_configuration(const group_configuration& x) {
  TROUPE_ASSERT(x.members.size() <= configuration_members_max);
  byte_vector out;
  byte_writer writer{out};
  writer.put(configuration_format_version);
  writer.put(static_cast<std::uint16_t>(x.members.size()));
  for (const auto& member : x.members) {
    writer.put(member.replica.value);
    writer.put(static_cast<std::uint8_t>(member.role));
  }
  return out;
}

expected<group_configuration> decode_configuration(byte_view bytes) {
  byte_reader reader{bytes};
  auto version = reader.get<std::uint8_t>();
  if (reader.ok() && version != configuration_format_version)
    return error{errc::wrong_version, "group configuration version " + std::to_string(version)};
  std::size_t count = reader.get<std::uint16_t>();
  group_configuration out;
  std::set<replica_id> seen;
  bool sane = count <= configuration_members_max;
  for (std::size_t i = 0; sane && i < count; ++i) {
    replica_id replica{reader.get<std::uint64_t>()};
    auto role = reader.get<std::uint8_t>();
    sane = reader.ok() && replica && role <= 2 && seen.insert(replica).second;
    out.members.push_back({replica, static_cast<member_role>(role)});
  }
  if (!sane || !reader.done())
    return error{errc::corrupt,
                 "group configuration of " + std::to_string(bytes.size()) + " bytes"};
  return out;
}

} // namespace troupe
