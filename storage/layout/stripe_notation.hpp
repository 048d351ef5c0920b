#pragma once

#include "messages/error.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe {

/// The full notation of a layout, `n+m/b@r`.
struct stripe_notation {
  std::uint32_t data_units = 1;         ///< n: data drives in the stripe, 1…255
  std::uint32_t parity_units = 1;       ///< m: drives with parity (or further copies), 1…254
  std::uint32_t units_per_node_max = 1; ///< b: drives of a stripe allowed on one node, 1…n+m
  std::uint32_t layout_drives = 1;      ///< r: drives to include in the file's layout, 1…65535
  bool operator==(const stripe_notation&) const = default;
};

/// Most units of one stripe: the code's field has 256 elements.
inline constexpr std::uint32_t stripe_units_max = 255;

/// "8+2/2@3"; b and r are left out where they are 1: "8+2/2", "3+2@2", "3+2".
std::string to_string(const stripe_notation& x);
/// Reads `n+m`, `n+m/b`, `n+m@r` or `n+m/b@r`: decimal numbers without sign, spaces or leading
/// zeros; an explicit 1 is accepted.
/// @returns errc::invalid_argument that names the text, the place and what was expected there.
expected<stripe_notation> parse_stripe_notation(std::string_view text);

} // namespace troupe
