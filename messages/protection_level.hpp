#pragma once

#include "messages/error.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace troupe {

/// How many failures a file must survive. What each one means in units of a stripe is in
/// storage/layout/level_shape.hpp. Numbers are stored and sent: append, never reuse or change.
enum class protection_level : std::uint8_t {
  plus_1n = 1,      ///< "+1n": 1 drive or 1 node
  plus_2d_1n = 2,   ///< "+2d:1n": 2 drives or 1 node; the suggested level
  plus_2n = 3,      ///< "+2n": 2 drives or 2 nodes
  plus_3d_1n = 4,   ///< "+3d:1n": 3 drives or 1 node
  plus_3d_1n1d = 5, ///< "+3d:1n1d": 3 drives, or 1 node and 1 drive
  plus_3n = 6,      ///< "+3n": 3 drives or 3 nodes
  plus_4d_1n = 7,   ///< "+4d:1n": 4 drives or 1 node
  plus_4d_2n = 8,   ///< "+4d:2n": 4 drives or 2 nodes
  plus_4n = 9,      ///< "+4n": 4 drives or 4 nodes
  mirror_2x = 12,   ///< "2x": two copies on two nodes, and so on
  mirror_3x = 13,
  mirror_4x = 14,
  mirror_5x = 15,
  mirror_6x = 16,
  mirror_7x = 17,
  mirror_8x = 18,
};

/// The level of a file whose policy says nothing else.
inline constexpr auto suggested_level = protection_level::plus_2d_1n;

/// All levels, in the order in which people list them.
std::span<const protection_level> all_protection_levels();
/// True for the numbers of the enumeration: for bytes that came from a disk or the network.
bool is_protection_level(std::uint8_t value);

/// "+2d:1n", "3x".
std::string to_string(protection_level level);
/// Reads exactly what `to_string` prints.
/// @returns errc::invalid_argument naming the text and listing the levels.
expected<protection_level> parse_protection_level(std::string_view text);

} // namespace troupe
