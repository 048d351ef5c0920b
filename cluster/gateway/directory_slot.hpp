#pragma once

#include "messages/ids.hpp"

#include <string_view>

namespace troupe {

/// The slot of a directory that is about to be made: children of the root are spread over all
/// slots by their names, and so is one in `spread_one_in` of the deeper ones, so that the leaders
/// of all groups work; the others stay with their parent, where everything about them is one entry
/// in one group. Pure: the same name in the same parent gets the same slot.
slot_id slot_for_directory(lin parent, std::string_view name);

inline constexpr std::uint32_t spread_one_in = 8;

} // namespace troupe
