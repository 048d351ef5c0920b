#include "actors/node/descriptor_room.hpp"

#include <algorithm>

namespace troupe {

namespace {

constexpr std::uint64_t listeners = 2;
constexpr std::uint64_t per_connection = 2; // control and data
constexpr std::uint64_t for_files_and_links = 512;

} // namespace

bool fit_descriptors(transport_options& options, std::uint64_t descriptors_max) {
  std::uint64_t strangers = options.unauthenticated_max;
  std::uint64_t peers = options.connections_max;
  if (descriptors_max >= for_files_and_links + listeners * (strangers + per_connection * peers))
    return false;
  auto room = descriptors_max - std::min(descriptors_max, for_files_and_links);
  room = std::max(room, descriptors_max / 2) / listeners;
  strangers = std::clamp<std::uint64_t>(room / 8, 1, std::max<std::uint64_t>(strangers, 1));
  peers = std::clamp<std::uint64_t>((room - std::min(room, strangers)) / per_connection, 1,
                                    std::max<std::uint64_t>(peers, 1));
  options.unauthenticated_max = static_cast<std::uint32_t>(strangers);
  options.connections_max = static_cast<std::uint32_t>(peers);
  return true;
}

} // namespace troupe
