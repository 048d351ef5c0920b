#include "storage/layout/explain_layout.hpp"

#include "storage/layout/level_shape.hpp"

namespace troupe {

namespace {

std::string difference_text(const layout_difference& x) {
  auto m = shape_of(x.level).parity_units;
  auto stripe = [m](std::uint32_t n) { return std::to_string(n) + "+" + std::to_string(m); };
  return to_string(x.level) + " at " + std::to_string(x.nodes) + " nodes: the table prints "
         + stripe(x.printed_data_units) + ", its rule gives " + stripe(x.rule_data_units);
}

std::string source_text(const layout_choice& x) {
  auto nodes = std::to_string(x.table_nodes) + (x.table_nodes == 1 ? " node" : " nodes");
  switch (x.source) {
  case layout_source::printed_cell: return "the published table's cell for " + nodes;
  case layout_source::rule: return "the table's rule for " + nodes;
  case layout_source::mirrored: return "a mirror level: every byte is copied";
  case layout_source::none:
    return "the level has no stripe on " + nodes + ": files are mirrored instead";
  }
  return {};
}

} // namespace

std::string layout_column(const layout_choice& x) {
  if (x.full_data_units == 1)
    return std::to_string(1 + x.parity_units) + "x";
  auto full = x.notation();
  full.data_units = x.full_data_units;
  return to_string(full);
}

std::string explain_layout(const layout_choice& x) {
  std::string out = to_string(x.level) + " survives the loss of " + tolerance_text(x.level) + ".\n";
  if (x.attained)
    out += "A full stripe is " + layout_column(x) + ", overhead "
           + overhead_text(x.full_data_units, x.parity_units) + ": " + source_text(x) + ".\n";
  if (x.nodes_up < x.nodes_all)
    out += "Degraded: " + std::to_string(x.nodes_up) + " of " + std::to_string(x.nodes_all)
           + " nodes have drives that are up.\n";
  if (x.attained && x.full_data_units < x.table_data_units)
    out += "Narrowed: too few drives are up for " + std::to_string(x.table_data_units) + "+"
           + std::to_string(x.parity_units) + " with at most "
           + std::to_string(x.units_per_node_max) + " on a node.\n";
  if (x.data_units < x.full_data_units || x.unit_blocks < unit_blocks)
    out +=
      "This stripe has " + std::to_string(x.data_blocks) + " blocks: " + to_string(x.notation())
      + " with units of " + std::to_string(x.unit_blocks) + " blocks"
      + (x.copies() != 0 ? ", which are " + std::to_string(x.copies()) + " copies" : "") + ".\n";
  for (const auto& d : layout_differences())
    if (d.nodes == x.table_nodes && d.level == x.level)
      out += "Here table and rule differ: " + difference_text(d) + " (setting layout.table).\n";
  if (!x.attained)
    out += "AT RISK: " + x.at_risk_reason + ".\n";
  return out;
}

std::string explain_layout_differences() {
  std::string out;
  for (const auto& d : layout_differences())
    out += difference_text(d) + "\n";
  return out;
}

} // namespace troupe
