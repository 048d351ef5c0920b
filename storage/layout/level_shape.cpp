#include "storage/layout/level_shape.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <vector>

namespace troupe {

level_shape shape_of(protection_level level) {
  switch (level) {
  case protection_level::plus_1n: return {1, 1, false};
  case protection_level::plus_2d_1n: return {2, 2, false};
  case protection_level::plus_2n: return {2, 1, false};
  case protection_level::plus_3d_1n: return {3, 3, false};
  case protection_level::plus_3d_1n1d: return {3, 2, false};
  case protection_level::plus_3n: return {3, 1, false};
  case protection_level::plus_4d_1n: return {4, 4, false};
  case protection_level::plus_4d_2n: return {4, 2, false};
  case protection_level::plus_4n: return {4, 1, false};
  case protection_level::mirror_2x: return {1, 1, true};
  case protection_level::mirror_3x: return {2, 1, true};
  case protection_level::mirror_4x: return {3, 1, true};
  case protection_level::mirror_5x: return {4, 1, true};
  case protection_level::mirror_6x: return {5, 1, true};
  case protection_level::mirror_7x: return {6, 1, true};
  case protection_level::mirror_8x: return {7, 1, true};
  }
  TROUPE_ASSERT(!"a level that is not in the enumeration");
  return {};
}

std::string tolerance_text(protection_level level) {
  auto counted = [](std::uint32_t count, const char* noun) {
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
  };
  auto shape = shape_of(level);
  auto nodes = shape.parity_units / shape.units_per_node_max;
  auto rest = shape.parity_units % shape.units_per_node_max;
  auto drives = counted(shape.parity_units, "drive");
  if (rest == 0)
    return drives + " or " + counted(nodes, "node");
  return drives + ", or " + counted(nodes, "node") + " and " + counted(rest, "drive");
}

std::uint32_t worst_loss(const level_shape& shape, std::span<const std::uint32_t> per_node) {
  std::vector<std::uint32_t> fullest{per_node.begin(), per_node.end()};
  std::sort(fullest.begin(), fullest.end(), std::greater<>{});
  auto left = std::accumulate(fullest.begin(), fullest.end(), std::uint32_t{0});
  std::uint32_t worst = 0;
  std::uint32_t on_lost_nodes = 0;
  for (std::uint32_t nodes = 0;; ++nodes) {
    auto spent = nodes * shape.units_per_node_max;
    if (spent > shape.parity_units)
      return worst;
    worst = std::max(worst, on_lost_nodes + std::min(shape.parity_units - spent, left));
    if (nodes == fullest.size())
      return worst;
    on_lost_nodes += fullest[nodes];
    left -= fullest[nodes];
  }
}

} // namespace troupe
