#include "storage/layout/layout_table.hpp"
#include "storage/layout/level_shape.hpp"

#include <catch2/catch.hpp>

#include <sstream>

using namespace troupe;

namespace {

/// The table of PROT-7 as the source prints it, typed here once more.
const char* const published = R"(
3  | 2+1 33% | 4+2 33% | - | 6+3 33% | 3+3 50% | - | 8+4 33% | - | -
4  | 3+1 25% | 6+2 25% | - | 9+3 25% | 5+3 38% | - | 12+4 25% | 4+4 50% | -
5  | 4+1 20% | 8+2 20% | 3+2 40% | 12+3 20% | 7+3 30% | - | 16+4 20% | 6+4 40% | -
6  | 5+1 17% | 10+2 17% | 4+2 33% | 15+3 17% | 9+3 25% | - | 16+4 20% | 8+4 33% | -
7  | 6+1 14% | 12+2 14% | 5+2 29% | 15+3 17% | 11+3 21% | 4+3 43% | 16+4 20% | 10+4 29% | -
8  | 7+1 13% | 14+2 12.5% | 6+2 25% | 15+3 17% | 13+3 19% | 5+3 38% | 16+4 20% | 12+4 25% | -
9  | 8+1 11% | 16+2 11% | 7+2 22% | 15+3 17% | 15+3 17% | 6+3 33% | 16+4 20% | 14+4 22% | 5+4 44%
10 | 9+1 10% | 16+2 11% | 8+2 20% | 15+3 17% | 15+3 17% | 7+3 30% | 16+4 20% | 16+4 20% | 6+4 40%
12 | 11+1 8% | 16+2 11% | 10+2 17% | 15+3 17% | 15+3 17% | 9+3 25% | 16+4 20% | 16+4 20% | 6+4 40%
14 | 13+1 7% | 16+2 11% | 12+2 14% | 15+3 17% | 15+3 17% | 11+3 21% | 16+4 20% | 16+4 20% | 10+4 29%
16 | 15+1 6% | 16+2 11% | 14+2 13% | 15+3 17% | 15+3 17% | 13+3 19% | 16+4 20% | 16+4 20% | 12+4 25%
18 | 16+1 6% | 16+2 11% | 16+2 11% | 15+3 17% | 15+3 17% | 15+3 17% | 16+4 20% | 16+4 20% | 14+4 22%
20 | 16+1 6% | 16+2 11% | 16+2 11% | 16+3 16% | 16+3 16% | 16+3 16% | 16+4 20% | 16+4 20% | 14+4 22%
30 | 16+1 6% | 16+2 11% | 16+2 11% | 16+3 16% | 16+3 16% | 16+3 16% | 16+4 20% | 16+4 20% | 14+4 22%
)";

std::string print(const layout_cell& cell) {
  if (cell.data_units == 0)
    return "-";
  return std::to_string(cell.data_units) + "+" + std::to_string(cell.parity_units) + " "
         + cell.overhead;
}

std::string trimmed(const std::string& text) {
  auto begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? ""
                                    : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

} // namespace

TEST_CASE("layout_table: equals the published table cell by cell", "[unit][layout_table]") {
  CHECK(to_string(layout_table_levels[0]) == "+1n");
  CHECK(to_string(layout_table_levels[1]) == "+2d:1n");
  CHECK(to_string(layout_table_levels[2]) == "+2n");
  CHECK(to_string(layout_table_levels[3]) == "+3d:1n");
  CHECK(to_string(layout_table_levels[4]) == "+3d:1n1d");
  CHECK(to_string(layout_table_levels[5]) == "+3n");
  CHECK(to_string(layout_table_levels[6]) == "+4d:1n");
  CHECK(to_string(layout_table_levels[7]) == "+4d:2n");
  CHECK(to_string(layout_table_levels[8]) == "+4n");
  std::istringstream lines{published};
  std::size_t rows = 0;
  std::size_t cells = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty())
      continue;
    REQUIRE(rows < layout_table().size());
    const auto& row = layout_table()[rows++];
    std::istringstream fields{line};
    std::string field;
    std::getline(fields, field, '|');
    CHECK(std::to_string(row.nodes) == trimmed(field));
    for (std::size_t i = 0; i < row.cells.size(); ++i, ++cells) {
      std::getline(fields, field, '|');
      INFO(row.nodes << " nodes, " << to_string(layout_table_levels[i]));
      CHECK(print(row.cells[i]) == trimmed(field));
    }
  }
  CHECK(rows == layout_table().size());
  CHECK(cells == 14 * 9);
}

TEST_CASE("layout_table: parity is the level's, overhead is m/(n+m)", "[unit][layout_table]") {
  int halves = 0;
  for (const auto& row : layout_table())
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      const auto& cell = row.cells[i];
      if (cell.data_units == 0)
        continue;
      INFO(row.nodes << " nodes, " << to_string(layout_table_levels[i]));
      CHECK(cell.parity_units == shape_of(layout_table_levels[i]).parity_units);
      if (std::string{cell.overhead} == "12.5%") { // the only one that the source prints so
        ++halves;
        CHECK(cell.parity_units * 1000 == 125 * (cell.data_units + cell.parity_units));
        continue;
      }
      CHECK(overhead_text(cell.data_units, cell.parity_units) == cell.overhead);
    }
  CHECK(halves == 1);
  CHECK(overhead_text(8, 2) == "20%"); // PROT-6
  CHECK(overhead_text(1, 2) == "67%");
}

TEST_CASE("layout_table: the rule differs in three cells", "[unit][layout_table]") {
  auto found = layout_differences();
  REQUIRE(found.size() == 3);
  std::uint32_t nodes[] = {12, 20, 30};
  std::uint32_t printed[] = {6, 14, 14};
  std::uint32_t rule[] = {8, 16, 16};
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(found[i].nodes == nodes[i]);
    CHECK(found[i].level == protection_level::plus_4n);
    CHECK(found[i].printed_data_units == printed[i]);
    CHECK(found[i].rule_data_units == rule[i]);
    auto as_printed = look_up_layout(nodes[i], found[i].level, layout_table_mode::printed);
    CHECK(as_printed.data_units == printed[i]);
    CHECK(as_printed.source == layout_source::printed_cell);
    auto as_rule = look_up_layout(nodes[i], found[i].level, layout_table_mode::rule);
    CHECK(as_rule.data_units == rule[i]);
    CHECK(as_rule.source == layout_source::rule);
  }
}

TEST_CASE("layout_table: node counts without a row follow the rule", "[unit][layout_table]") {
  auto units = [](std::uint32_t nodes, protection_level level) {
    auto found = look_up_layout(nodes, level, layout_table_mode::printed);
    return found.source == layout_source::rule ? found.data_units : 0;
  };
  CHECK(units(2, protection_level::plus_2d_1n) == 2); // 2+2/2
  CHECK(units(2, protection_level::plus_3d_1n) == 3);
  CHECK(units(2, protection_level::plus_4d_1n) == 4);
  CHECK(units(2, protection_level::plus_1n) == 0);
  CHECK(units(11, protection_level::plus_1n) == 10);
  CHECK(units(11, protection_level::plus_4n) == 7);
  CHECK(units(13, protection_level::plus_2n) == 11);
  CHECK(units(15, protection_level::plus_3n) == 12);
  CHECK(units(17, protection_level::plus_4n) == 13);
  CHECK(units(19, protection_level::plus_3d_1n) == 16); // one unit per node fits
  CHECK(units(31, protection_level::plus_4n) == 16);
  CHECK(units(252, protection_level::plus_2d_1n) == 16);
  for (auto level : layout_table_levels) {
    CHECK(look_up_layout(1, level, layout_table_mode::printed).source == layout_source::none);
    CHECK(look_up_layout(0, level, layout_table_mode::printed).source == layout_source::none);
  }
}

TEST_CASE("layout_table: the setting has two words", "[unit][layout_table]") {
  CHECK(*parse_layout_table_mode("printed") == layout_table_mode::printed);
  CHECK(*parse_layout_table_mode("rule") == layout_table_mode::rule);
  CHECK(to_string(layout_table_mode::rule) == "rule");
  CHECK(to_string(layout_table_mode::printed) == "printed");
  auto bad = parse_layout_table_mode("Rule");
  REQUIRE_FALSE(bad);
  CHECK(bad.error().context == "layout.table \"Rule\" is neither printed nor rule");
}
