#include "messages/protection_level.hpp"

#include <algorithm>
#include <array>

namespace troupe {

namespace {

struct level_name {
  protection_level level;
  const char* name;
};

constexpr auto names = std::to_array<level_name>({
  {protection_level::plus_1n, "+1n"},
  {protection_level::plus_2d_1n, "+2d:1n"},
  {protection_level::plus_2n, "+2n"},
  {protection_level::plus_3d_1n, "+3d:1n"},
  {protection_level::plus_3d_1n1d, "+3d:1n1d"},
  {protection_level::plus_3n, "+3n"},
  {protection_level::plus_4d_1n, "+4d:1n"},
  {protection_level::plus_4d_2n, "+4d:2n"},
  {protection_level::plus_4n, "+4n"},
  {protection_level::mirror_2x, "2x"},
  {protection_level::mirror_3x, "3x"},
  {protection_level::mirror_4x, "4x"},
  {protection_level::mirror_5x, "5x"},
  {protection_level::mirror_6x, "6x"},
  {protection_level::mirror_7x, "7x"},
  {protection_level::mirror_8x, "8x"},
});

constexpr auto levels = [] {
  std::array<protection_level, names.size()> out{};
  std::transform(names.begin(), names.end(), out.begin(), [](const auto& x) { return x.level; });
  return out;
}();

} // namespace

std::span<const protection_level> all_protection_levels() {
  return levels;
}

bool is_protection_level(std::uint8_t value) {
  return std::any_of(levels.begin(), levels.end(),
                     [=](auto x) { return static_cast<std::uint8_t>(x) == value; });
}

std::string to_string(protection_level level) {
  for (const auto& x : names)
    if (x.level == level)
      return x.name;
  return "level " + std::to_string(static_cast<unsigned>(level));
}

expected<protection_level> parse_protection_level(std::string_view text) {
  std::string list;
  for (const auto& x : names) {
    if (text == x.name)
      return x.level;
    list += list.empty() ? "" : ", ";
    list += x.name;
  }
  return error{errc::invalid_argument,
               "protection level \"" + std::string{text} + "\" is none of " + list};
}

} // namespace troupe
