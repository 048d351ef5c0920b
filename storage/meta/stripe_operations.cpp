#include "storage/meta/extents.hpp"
#include "storage/meta/operations.hpp"

#include <algorithm>

// Stripe records by themselves: where bytes lie, whatever file they belong to (hazards M3).

namespace troupe {

namespace {

std::string name_of_stripe(stripe_id id) {
  return "stripe " + to_string(lin{id.value});
}

expected<stripe_row> stripe(evaluation_scope& scope, stripe_id id) {
  auto row = scope.find(stripe_key(id), decode_stripe);
  if (!row)
    return row.error();
  if (!*row)
    return error{errc::not_found, name_of_stripe(id)};
  return std::move(**row);
}

/// The stripe keeps what its level promises with that unit on that drive: no other unit is there,
/// and at most `per_node` units are on its node.
expected<void> check_place(const stripe_layout& layout, std::uint32_t unit_index,
                           const drive_uuid& drive, const evaluation_context& context) {
  auto fact = writable_drive(context, drive);
  if (!fact)
    return fact.error();
  std::uint32_t on_node = 1;
  for (std::uint32_t i = 0; i < layout.units.size(); ++i) {
    const auto& other = layout.units[i].run.drive;
    if (i == unit_index)
      continue;
    if (other == drive)
      return error{errc::invalid_argument, "two units on drive " + to_string(drive)};
    auto known = context.drives->find(other);
    if (known != context.drives->end() && known->second.node == fact->node)
      ++on_node;
  }
  if (on_node > layout.shape.per_node)
    return error{errc::invalid_argument,
                 std::to_string(on_node) + " units on node " + std::to_string(fact->node.value)};
  return {};
}

} // namespace

expected<drive_fact> writable_drive(const evaluation_context& context, const drive_uuid& drive) {
  if (context.drives == nullptr)
    return takes_no_data(drive);
  auto known = context.drives->find(drive);
  if (known == context.drives->end() || !known->second.writable)
    return takes_no_data(drive);
  return known->second;
}

expected<meta_result> run(const op_get_stripe& op, evaluation_scope& scope) {
  auto row = stripe(scope, op.id);
  if (!row)
    return row.error();
  return meta_result{stripe_is{row->owner, {op.id, row->cas_version, std::move(row->layout)}}};
}

expected<meta_result> run(const op_repair_unit& op, evaluation_scope& scope) {
  if (scope.context.below_floor)
    return error{errc::below_floor, "a repair of " + name_of_stripe(op.id)};
  auto row = stripe(scope, op.id);
  if (!row)
    return row.error();
  if (row->cas_version != op.version)
    return error{errc::stale,
                 name_of_stripe(op.id) + " has version " + std::to_string(row->cas_version)};
  auto& layout = row->layout;
  if (op.unit_index >= layout.units.size() || op.run.block_count != layout.unit_blocks
      || !op.run.born)
    return error{errc::invalid_argument, "unit of a repair"};
  auto& run = layout.units[op.unit_index].run;
  if (run == op.run)
    return error{errc::invalid_argument, "the run of a repair is the unit's own"};
  if (auto ok = check_place(layout, op.unit_index, op.run.drive, scope.context); !ok)
    return ok.error();
  std::map<drive_uuid, std::vector<free_run>> frees;
  frees[run.drive].push_back({run.start_block, run.block_count, run.born});
  run = op.run;
  ++row->cas_version;
  scope.rows.put(stripe_key(op.id), encode(*row));
  if (auto ok = add_pending_frees(scope, frees); !ok)
    return ok.error();
  return meta_result{done{}};
}

} // namespace troupe
