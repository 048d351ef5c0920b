#pragma once

#include "messages/bytes.hpp"
#include "messages/consensus.hpp"
#include "messages/error.hpp"

namespace troupe {

/// A `group_configuration` as bytes: the payload of a configuration entry, on disk and on the wire.
/// Never change it, add a version.
///
///   u8  version = 1
///   u16 member count, 0..members_max
///   per member: u64 replica id (not 0), u8 role (messages/consensus.hpp)
inline constexpr std::uint8_t configuration_format_version = 1;
/// A group has at most 9 voters and one on its way in or out; the rest is room.
inline constexpr std::size_t configuration_members_max = 64;

byte_vector encode_configuration(const group_configuration& x);
/// @returns errc::corrupt if the bytes are not exactly one configuration of distinct members,
/// errc::wrong_version for a version above ours.
expected<group_configuration> decode_configuration(byte_view bytes);

} // namespace troupe
