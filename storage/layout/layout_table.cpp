#include "storage/layout/layout_table.hpp"

#include "storage/layout/level_shape.hpp"

#include <algorithm>
#include <vector>

namespace troupe {

namespace {

constexpr layout_cell no{};

// clang-format off
constexpr auto table = std::to_array<layout_row>({
  //        +1n            +2d:1n           +2n            +3d:1n         +3d:1n1d       +3n            +4d:1n         +4d:2n         +4n
  {3,  {{{2, 1, "33%"}, {4, 2, "33%"},   no,            {6, 3, "33%"},  {3, 3, "50%"},  no,            {8, 4, "33%"},  no,            no}}},
  {4,  {{{3, 1, "25%"}, {6, 2, "25%"},   no,            {9, 3, "25%"},  {5, 3, "38%"},  no,            {12, 4, "25%"}, {4, 4, "50%"}, no}}},
  {5,  {{{4, 1, "20%"}, {8, 2, "20%"},   {3, 2, "40%"}, {12, 3, "20%"}, {7, 3, "30%"},  no,            {16, 4, "20%"}, {6, 4, "40%"}, no}}},
  {6,  {{{5, 1, "17%"}, {10, 2, "17%"},  {4, 2, "33%"}, {15, 3, "17%"}, {9, 3, "25%"},  no,            {16, 4, "20%"}, {8, 4, "33%"}, no}}},
  {7,  {{{6, 1, "14%"}, {12, 2, "14%"},  {5, 2, "29%"}, {15, 3, "17%"}, {11, 3, "21%"}, {4, 3, "43%"}, {16, 4, "20%"}, {10, 4, "29%"}, no}}},
  {8,  {{{7, 1, "13%"}, {14, 2, "12.5%"}, {6, 2, "25%"}, {15, 3, "17%"}, {13, 3, "19%"}, {5, 3, "38%"}, {16, 4, "20%"}, {12, 4, "25%"}, no}}},
  {9,  {{{8, 1, "11%"}, {16, 2, "11%"},  {7, 2, "22%"}, {15, 3, "17%"}, {15, 3, "17%"}, {6, 3, "33%"}, {16, 4, "20%"}, {14, 4, "22%"}, {5, 4, "44%"}}}},
  {10, {{{9, 1, "10%"}, {16, 2, "11%"},  {8, 2, "20%"}, {15, 3, "17%"}, {15, 3, "17%"}, {7, 3, "30%"}, {16, 4, "20%"}, {16, 4, "20%"}, {6, 4, "40%"}}}},
  {12, {{{11, 1, "8%"}, {16, 2, "11%"},  {10, 2, "17%"}, {15, 3, "17%"}, {15, 3, "17%"}, {9, 3, "25%"}, {16, 4, "20%"}, {16, 4, "20%"}, {6, 4, "40%"}}}},
  {14, {{{13, 1, "7%"}, {16, 2, "11%"},  {12, 2, "14%"}, {15, 3, "17%"}, {15, 3, "17%"}, {11, 3, "21%"}, {16, 4, "20%"}, {16, 4, "20%"}, {10, 4, "29%"}}}},
  {16, {{{15, 1, "6%"}, {16, 2, "11%"},  {14, 2, "13%"}, {15, 3, "17%"}, {15, 3, "17%"}, {13, 3, "19%"}, {16, 4, "20%"}, {16, 4, "20%"}, {12, 4, "25%"}}}},
  {18, {{{16, 1, "6%"}, {16, 2, "11%"},  {16, 2, "11%"}, {15, 3, "17%"}, {15, 3, "17%"}, {15, 3, "17%"}, {16, 4, "20%"}, {16, 4, "20%"}, {14, 4, "22%"}}}},
  {20, {{{16, 1, "6%"}, {16, 2, "11%"},  {16, 2, "11%"}, {16, 3, "16%"}, {16, 3, "16%"}, {16, 3, "16%"}, {16, 4, "20%"}, {16, 4, "20%"}, {14, 4, "22%"}}}},
  {30, {{{16, 1, "6%"}, {16, 2, "11%"},  {16, 2, "11%"}, {16, 3, "16%"}, {16, 3, "16%"}, {16, 3, "16%"}, {16, 4, "20%"}, {16, 4, "20%"}, {14, 4, "22%"}}}},
});
// clang-format on

static_assert(std::is_sorted(table.begin(), table.end(),
                             [](const auto& a, const auto& b) { return a.nodes < b.nodes; }));

/// The printed cell, or nullptr if the source prints no such row or column.
const layout_cell* printed_cell(std::uint32_t nodes, protection_level level) {
  auto row =
    std::find_if(table.begin(), table.end(), [=](const auto& x) { return x.nodes == nodes; });
  auto column = std::find(layout_table_levels.begin(), layout_table_levels.end(), level);
  if (row == table.end() || column == layout_table_levels.end())
    return nullptr;
  return &row->cells[static_cast<std::size_t>(column - layout_table_levels.begin())];
}

} // namespace

std::span<const layout_row> layout_table() {
  return table;
}

std::string to_string(layout_table_mode mode) {
  return mode == layout_table_mode::printed ? "printed" : "rule";
}

expected<layout_table_mode> parse_layout_table_mode(std::string_view text) {
  if (text == "printed")
    return layout_table_mode::printed;
  if (text == "rule")
    return layout_table_mode::rule;
  return error{errc::invalid_argument,
               "layout.table \"" + std::string{text} + "\" is neither printed nor rule"};
}

std::optional<std::uint32_t> layout_rule(std::uint32_t nodes, protection_level level) {
  auto shape = shape_of(level);
  auto m = shape.parity_units;
  auto b = shape.units_per_node_max;
  if (shape.mirrored || (b == 1 && nodes < 2 * m + 1))
    return std::nullopt;
  for (std::uint32_t d = stripe_data_units_max; d >= m; --d)
    if (d + m <= nodes || ((d + m) % b == 0 && (d + m) / b <= nodes))
      return d;
  return std::nullopt;
}

layout_lookup look_up_layout(std::uint32_t nodes, protection_level level, layout_table_mode mode) {
  if (shape_of(level).mirrored)
    return {1, layout_source::mirrored};
  if (mode == layout_table_mode::printed)
    if (auto* cell = printed_cell(nodes, level)) {
      if (cell->data_units == 0)
        return {1, layout_source::none};
      return {cell->data_units, layout_source::printed_cell};
    }
  if (auto d = layout_rule(nodes, level))
    return {*d, layout_source::rule};
  return {1, layout_source::none};
}

std::span<const layout_difference> layout_differences() {
  static const std::vector<layout_difference> found = [] {
    std::vector<layout_difference> out;
    for (const auto& row : table)
      for (std::size_t i = 0; i < layout_table_levels.size(); ++i) {
        auto rule = layout_rule(row.nodes, layout_table_levels[i]).value_or(0);
        if (rule != row.cells[i].data_units)
          out.push_back({row.nodes, layout_table_levels[i], row.cells[i].data_units, rule});
      }
    return out;
  }();
  return found;
}

std::string overhead_text(std::uint32_t data_units, std::uint32_t parity_units) {
  auto all = data_units + parity_units;
  return std::to_string(all == 0 ? 0 : (200 * parity_units + all) / (2 * all)) + "%";
}

} // namespace troupe
