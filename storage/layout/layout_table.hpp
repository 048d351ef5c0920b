#pragma once

#include "messages/error.hpp"
#include "messages/protection_level.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace troupe {

/// Most data units of a stripe, in the table and by its rule.
inline constexpr std::uint32_t stripe_data_units_max = 16;

/// One cell of the published layout table: data and parity units, and the overhead as printed.
struct layout_cell {
  std::uint32_t data_units = 0; ///< 0: the level has no stripe on so many nodes ("–").
  std::uint32_t parity_units = 0;
  const char* overhead = ""; ///< "20%"; the source rounds, once to a half: "12.5%".
};

/// The levels of the table's columns, left to right.
inline constexpr std::array<protection_level, 9> layout_table_levels{
  protection_level::plus_1n,    protection_level::plus_2d_1n,   protection_level::plus_2n,
  protection_level::plus_3d_1n, protection_level::plus_3d_1n1d, protection_level::plus_3n,
  protection_level::plus_4d_1n, protection_level::plus_4d_2n,   protection_level::plus_4n,
};

/// One row of the published layout table.
struct layout_row {
  std::uint32_t nodes = 0;
  std::array<layout_cell, layout_table_levels.size()> cells{};
};

/// The published table, rows ascending by nodes: 3…10, 12, 14, 16, 18, 20, 30.
std::span<const layout_row> layout_table();

/// The setting `layout.table`: the printed cell where the source prints a row (the default), or the
/// rule everywhere. Stored: never change the numbers.
enum class layout_table_mode : std::uint8_t { printed = 0, rule = 1 };
std::string to_string(layout_table_mode mode);
expected<layout_table_mode> parse_layout_table_mode(std::string_view text);

/// The rule behind the table: the largest d <= 16 with d >= m such that one unit per node fits
/// (d+m <= nodes), or every node takes b units ((d+m) a multiple of b, (d+m)/b <= nodes); levels
/// that name only nodes (b = 1) need 2m+1 nodes. @returns d, or nothing where no d fits; also
/// nothing for mirrors.
std::optional<std::uint32_t> layout_rule(std::uint32_t nodes, protection_level level);

/// Where a number of data units comes from.
enum class layout_source : std::uint8_t {
  printed_cell, ///< a cell of the table
  rule,         ///< the rule: no such row, or layout.table = rule
  mirrored,     ///< 2x…8x
  none,         ///< "–": the level has no stripe on so many nodes; files are mirrored
};
/// What the table or its rule says for one level on `nodes` nodes.
struct layout_lookup {
  std::uint32_t data_units = 0; ///< 1 for mirrors and where there is no stripe
  layout_source source = layout_source::none;
};
layout_lookup look_up_layout(std::uint32_t nodes, protection_level level, layout_table_mode mode);

/// A cell where the printed table and its rule differ, marked (*) in the documentation.
struct layout_difference {
  std::uint32_t nodes = 0;
  protection_level level{};
  std::uint32_t printed_data_units = 0;
  std::uint32_t rule_data_units = 0;
};
/// All of them, computed from the table: three.
std::span<const layout_difference> layout_differences();

/// Parity's share of all units, in percent, halves rounded up: (8, 2) gives "20%".
std::string overhead_text(std::uint32_t data_units, std::uint32_t parity_units);

} // namespace troupe
