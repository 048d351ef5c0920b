#include "storage/layout/layout_choice.hpp"

#include "storage/layout/level_shape.hpp"

#include <algorithm>

namespace troupe {

namespace {

struct pool_counts {
  std::uint32_t nodes = 0;
  std::uint32_t nodes_up = 0;
  std::uint32_t drives = 0;
  std::uint32_t drives_up = 0;
};

pool_counts count(std::span<const pool_node> pool) {
  pool_counts out;
  for (const auto& x : pool) {
    out.nodes += x.drives > 0 ? 1 : 0;
    out.nodes_up += x.drives_up > 0 ? 1 : 0;
    out.drives += x.drives;
    out.drives_up += x.drives_up;
  }
  return out;
}

std::string counted(std::uint32_t n, const char* noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

/// What a level needs at the least: copies on different drives, at most b on a node.
std::string least_need(const level_shape& shape) {
  auto copies = shape.parity_units + 1;
  auto b = shape.units_per_node_max;
  auto nodes = (copies + b - 1) / b;
  return counted(copies, "drive") + " on at least " + counted(nodes, "node");
}

/// Looks up the data units of a full stripe, before the drives limit it.
void look_up(layout_choice& out, const pool_counts& have, layout_table_mode mode) {
  out.nodes_up = have.nodes_up;
  out.nodes_all = have.nodes;
  out.table_nodes = have.nodes_up;
  auto found = look_up_layout(have.nodes_up, out.level, mode);
  if (found.source == layout_source::none && have.nodes_up < have.nodes) {
    out.table_nodes = have.nodes; // degraded: narrow the full pool's stripe
    found = look_up_layout(have.nodes, out.level, mode);
  }
  out.source = found.source;
  out.table_data_units = found.data_units;
}

/// Fills n' and the length of the units: all equal, as few as the blocks need.
void cut(layout_choice& out, std::uint32_t blocks) {
  out.data_blocks = std::min(blocks, out.full_data_units * unit_blocks);
  out.data_units = (out.data_blocks + unit_blocks - 1) / unit_blocks;
  out.unit_blocks = (out.data_blocks + out.data_units - 1) / out.data_units;
}

/// As many copies as the drives allow, at most m+1, spread so that no node holds more than needed.
void lay_out_at_risk(layout_choice& out, std::span<const pool_node> pool, const pool_counts& have) {
  auto shape = shape_of(out.level);
  auto copies = std::min(shape.parity_units + 1, have.drives_up);
  std::uint32_t b = 1;
  while (unit_places(pool, b) < copies)
    ++b;
  out.full_data_units = 1;
  out.parity_units = copies - 1;
  out.units_per_node_max = b;
  out.attained = false;
  out.at_risk_reason = to_string(out.level) + " needs " + least_need(shape) + "; up are "
                       + counted(have.drives_up, "drive") + " on " + counted(have.nodes_up, "node")
                       + ": written as " + std::to_string(copies) + " copies, at most "
                       + std::to_string(b) + " on a node";
}

/// A pool with every drive up.
std::vector<pool_node> all_up(std::span<const pool_node> pool) {
  std::vector<pool_node> out{pool.begin(), pool.end()};
  for (auto& x : out)
    x.drives_up = x.drives;
  return out;
}

/// "What would work here: +1n, +2d:1n, 2x." or that nothing would.
std::string advice(std::span<const pool_node> pool) {
  std::string list;
  for (auto level : levels_that_work(pool))
    list += (list.empty() ? "" : ", ") + to_string(level);
  if (list.empty())
    return "no level works on one drive; add drives or nodes";
  return "what would work: " + list;
}

} // namespace

std::uint32_t unit_places(std::span<const pool_node> pool, std::uint32_t units_per_node_max) {
  std::uint32_t places = 0;
  for (const auto& x : pool)
    places += std::min(x.drives_up, units_per_node_max);
  return places;
}

expected<layout_choice> choose_layout(std::span<const pool_node> pool, protection_level level,
                                      std::uint32_t blocks, layout_table_mode mode) {
  if (blocks == 0)
    return error{errc::invalid_argument, "a stripe of 0 blocks"};
  auto have = count(pool);
  auto shape = shape_of(level);
  if (have.drives_up < 2)
    return error{errc::unavailable,
                 to_string(level) + " needs " + least_need(shape) + "; up are "
                   + counted(have.drives_up, "drive") + " on " + counted(have.nodes_up, "node")
                   + ": two drives on any nodes would do for copies below the level",
                 trp::level_needs_more};
  layout_choice out;
  out.level = level;
  look_up(out, have, mode);
  auto places = unit_places(pool, shape.units_per_node_max);
  if (places > shape.parity_units) {
    out.full_data_units = std::min(out.table_data_units, places - shape.parity_units);
    out.parity_units = shape.parity_units;
    out.units_per_node_max = shape.units_per_node_max;
    out.attained = true;
  } else {
    lay_out_at_risk(out, pool, have);
  }
  cut(out, blocks);
  return out;
}

expected<layout_choice> check_level(std::span<const pool_node> pool, protection_level level,
                                    layout_table_mode mode) {
  auto full = all_up(pool);
  auto chosen = choose_layout(full, level, stripe_data_units_max * unit_blocks, mode);
  if (chosen && chosen->attained)
    return chosen;
  auto have = count(full);
  return error{errc::invalid_argument,
               to_string(level) + " needs " + least_need(shape_of(level)) + "; this pool has "
                 + counted(have.drives, "drive") + " on " + counted(have.nodes, "node") + "; "
                 + advice(full),
               trp::level_needs_more};
}

std::vector<protection_level> levels_that_work(std::span<const pool_node> pool) {
  auto full = all_up(pool);
  std::vector<protection_level> out;
  for (auto level : all_protection_levels()) {
    auto shape = shape_of(level);
    if (unit_places(full, shape.units_per_node_max) > shape.parity_units)
      out.push_back(level);
  }
  return out;
}

} // namespace troupe
