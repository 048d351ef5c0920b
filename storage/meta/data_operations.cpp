#include "storage/meta/extents.hpp"
#include "storage/meta/operations.hpp"

#include <algorithm>

// Layouts and the commit of written data.

namespace troupe {

namespace {

expected<inode_row> regular_file(evaluation_scope& scope, lin id) {
  auto row = scope.inode(id);
  if (!row || row->kind == file_kind::regular)
    return row;
  if (row->kind == file_kind::directory)
    return error{errc::is_directory, object_of(id)};
  return error{errc::invalid_argument, object_of(id) + " is no regular file"};
}

/// The valid extents of [begin, end): those in a trimmed range are passed over.
expected<extent_page> valid_extents(evaluation_scope& scope, lin id, const inode_row& inode,
                                    std::uint64_t begin, std::uint64_t end,
                                    std::uint32_t count_max) {
  if (!inode.trimmed)
    return read_extents(scope, id, begin, end, count_max);
  auto page = read_extents(scope, id, begin, std::min(end, inode.trimmed->begin), count_max);
  if (!page || page->more)
    return page;
  auto left = count_max - static_cast<std::uint32_t>(page->extents.size());
  auto behind = read_extents(scope, id, std::max(begin, inode.trimmed->end), end, left);
  if (!behind)
    return behind;
  page->extents.insert(page->extents.end(), behind->extents.begin(), behind->extents.end());
  page->more = behind->more;
  return page;
}

/// One stripe can be what it says it is, and the adopted configuration takes it (F5): units on
/// different drives, at most `per_node` on a node, all writable.
/// errc::invalid_argument; errc::below_floor if another configuration might allow it.
expected<void> check_stripe(const stripe_layout& layout, const evaluation_context& context) {
  std::size_t unit_count = layout.shape.data_units + std::size_t{layout.shape.parity_units};
  if (layout.shape.data_units == 0 || layout.shape.per_node == 0
      || layout.units.size() != unit_count || unit_count > 255 || layout.unit_blocks == 0
      || layout.unit_blocks > unit_blocks)
    return error{errc::invalid_argument, "shape of a stripe"};
  std::set<drive_uuid> used;
  std::map<node_id, std::uint32_t> per_node;
  for (const auto& unit : layout.units) {
    if (unit.run.block_count != layout.unit_blocks || !unit.run.born)
      return error{errc::invalid_argument, "run of a unit"};
    if (!used.insert(unit.run.drive).second)
      return error{errc::invalid_argument, "two units on drive " + to_string(unit.run.drive)};
    auto fact = writable_drive(context, unit.run.drive);
    if (!fact)
      return fact.error();
    if (++per_node[fact->node] > layout.shape.per_node)
      return error{errc::invalid_argument, std::to_string(per_node[fact->node]) + " units on node "
                                             + std::to_string(fact->node.value)};
  }
  return {};
}

/// Everything about a commit that needs no row.
expected<void> check_commit(const op_commit_write& op, const evaluation_context& context) {
  const auto& limits = context.limits;
  if (op.stripes.size() > limits.commit_stripes_max
      || op.extents.size() > limits.commit_extents_max)
    return error{errc::too_large, std::to_string(op.stripes.size()) + " stripes, "
                                    + std::to_string(op.extents.size()) + " extents"};
  if (op.inline_data && (op.inline_data->size() > inline_bytes_max || !op.extents.empty()))
    return error{errc::invalid_argument, "inline data"};
  std::set<run_ref> runs;
  for (const auto& stripe : op.stripes) {
    if (auto ok = check_stripe(stripe, context); !ok)
      return ok;
    for (const auto& unit : stripe.units)
      if (!runs.insert(unit.run).second)
        return error{errc::invalid_argument, "one run in two stripes"};
  }
  std::set<std::uint32_t> used;
  for (const auto& e : op.extents) {
    if (e.bytes == 0 || e.bytes % block_bytes != 0 || e.file_offset % block_bytes != 0
        || e.stripe_offset % block_bytes != 0)
      return error{errc::invalid_argument, "extent is not made of blocks"};
    if (e.stripe_index >= op.stripes.size())
      return error{errc::invalid_argument, "extent without stripe"};
    const auto& stripe = op.stripes[e.stripe_index];
    auto stripe_bytes = std::uint64_t{stripe.shape.data_units} * stripe.unit_blocks * block_bytes;
    if (e.stripe_offset > stripe_bytes || e.bytes > stripe_bytes - e.stripe_offset)
      return error{errc::invalid_argument, "extent beyond its stripe"};
    if (e.file_offset > limits.file_bytes_max || e.bytes > limits.file_bytes_max - e.file_offset)
      return error{errc::too_large, "extent at " + std::to_string(e.file_offset)};
    used.insert(e.stripe_index);
  }
  if (used.size() != op.stripes.size())
    return error{errc::invalid_argument, "stripe without extent"};
  return {};
}

/// The new extents by offset; errc::invalid_argument if two overlap.
expected<std::vector<new_extent>> sorted_extents(const op_commit_write& op) {
  auto extents = op.extents;
  std::sort(extents.begin(), extents.end(),
            [](const auto& a, const auto& b) { return a.file_offset < b.file_offset; });
  for (std::size_t i = 1; i < extents.size(); ++i)
    if (extents[i].file_offset < extents[i - 1].file_offset + extents[i - 1].bytes)
      return error{errc::invalid_argument, "new extents overlap"};
  return extents;
}

/// An unlinked file takes data only from the client that has it open.
expected<void> check_linked(evaluation_scope& scope, lin id, const inode_row& inode) {
  if (inode.link_count > 0)
    return {};
  auto orphan = scope.find(orphan_key(id), decode_orphan);
  if (!orphan)
    return orphan.error();
  const auto& context = scope.context;
  if (!*orphan || (*orphan)->holder != context.client
      || (*orphan)->holder_incarnation != context.client_incarnation)
    return error{errc::stale_handle, object_of(id) + " is unlinked"};
  return {};
}

/// Drops extents and inline data beyond `size`, and sets it.
expected<void> truncate(evaluation_scope& scope, extent_editor& editor, lin id, inode_row& inode,
                        std::uint64_t size) {
  if (size < inode.size)
    if (auto ok = editor.cut_off(round_up_to_block(size)); !ok)
      return ok;
  inode.size = std::min(inode.size, size);
  if (size >= inline_bytes_max)
    return {};
  auto data = scope.find(inline_key(id), decode_inline);
  if (!data)
    return data.error();
  if (!*data || (*data)->bytes.size() <= size)
    return {};
  if (size == 0)
    scope.rows.erase(inline_key(id));
  else
    scope.put_inline(id, (*data)->bytes.substr(0, size));
  return {};
}

/// Puts the new extents in place of what they cover. The first block is either inline or in an
/// extent, never both.
expected<std::vector<stripe_id>> place_extents(evaluation_scope& scope, extent_editor& editor,
                                               const op_commit_write& op) {
  auto extents = sorted_extents(op);
  if (!extents)
    return extents.error();
  std::vector<stripe_id> ids;
  for (const auto& stripe : op.stripes) {
    auto id = editor.add_stripe(stripe);
    if (!id)
      return id.error();
    ids.push_back(*id);
  }
  for (const auto& e : *extents) {
    if (e.file_offset == 0)
      scope.rows.erase(inline_key(op.id));
    if (auto ok = editor.make_room(e.file_offset, e.file_offset + e.bytes); !ok)
      return ok.error();
    editor.add({e.file_offset + e.bytes, {{}, e.bytes, ids[e.stripe_index], e.stripe_offset}});
  }
  return ids;
}

expected<void> place_inline(evaluation_scope& scope, extent_editor& editor,
                            const op_commit_write& op, const inode_row& inode) {
  if (!op.inline_data)
    return {};
  if (inode.size > inline_bytes_max)
    return error{errc::invalid_argument,
                 "inline data in a file of " + std::to_string(inode.size) + " bytes"};
  if (auto ok = editor.punch(0, block_bytes, 1); !ok)
    return ok;
  if (op.inline_data->empty())
    scope.rows.erase(inline_key(op.id));
  else
    scope.put_inline(op.id, std::string{as_text(*op.inline_data)});
  return {};
}

} // namespace

expected<meta_result> run(const op_get_layout& op, evaluation_scope& scope) {
  if (op.offset < block_bytes)
    scope.rows.prefetch(inline_key(op.id));
  auto inode = regular_file(scope, op.id);
  if (!inode)
    return inode.error();
  if (op.extents_max == 0)
    return error{errc::invalid_argument, "a layout of 0 extents"};
  layout_is layout;
  layout.attributes = attributes_of(op.id, *inode);
  if (op.offset < block_bytes) {
    auto data = scope.find(inline_key(op.id), decode_inline);
    if (!data)
      return data.error();
    if (*data) {
      auto bytes = as_bytes((*data)->bytes);
      layout.inline_data.emplace(bytes.begin(), bytes.end());
    }
  }
  auto end = op.bytes > no_end - op.offset ? no_end : op.offset + op.bytes;
  auto count_max = std::min(op.extents_max, scope.context.limits.layout_extents_max);
  auto page = valid_extents(scope, op.id, *inode, op.offset, end, count_max);
  if (!page)
    return page.error();
  layout.more = page->more;
  std::set<stripe_id> stripes;
  for (const auto& e : page->extents) {
    layout.extents.push_back({e.begin(), e.row.bytes, e.row.stripe, e.row.stripe_offset});
    stripes.insert(e.row.stripe);
    scope.rows.prefetch(stripe_key(e.row.stripe));
  }
  for (auto id : stripes) {
    auto stripe = scope.find(stripe_key(id), decode_stripe);
    if (!stripe)
      return stripe.error();
    if (!*stripe)
      return error{errc::corrupt, object_of(op.id) + ": no stripe " + to_string(lin{id.value})};
    layout.stripes.push_back({id, (*stripe)->cas_version, std::move((*stripe)->layout)});
  }
  return meta_result{std::move(layout)};
}

expected<meta_result> run(const op_commit_write& op, evaluation_scope& scope) {
  const auto& context = scope.context;
  auto inode = regular_file(scope, op.id);
  scope.rows.prefetch(slot_key(slot_of(op.id)));
  scope.rows.prefetch(inline_key(op.id));
  if (context.below_floor)
    return error{errc::below_floor, "a commit to file " + object_of(op.id)};
  if (!context.lease_valid)
    return error{errc::stale, object_of(op.id) + ": write lease lost"};
  if (!inode)
    return inode.error();
  if (auto ok = check_linked(scope, op.id, *inode); !ok)
    return ok.error();
  if (auto ok = check_commit(op, context); !ok)
    return ok.error();

  extent_editor editor{scope, op.id, *inode};
  if (op.truncate_to)
    if (auto ok = truncate(scope, editor, op.id, *inode, *op.truncate_to); !ok)
      return ok.error();
  auto stripes = place_extents(scope, editor, op);
  if (!stripes)
    return stripes.error();
  auto inline_size = op.inline_data ? op.inline_data->size() : 0;
  auto size = std::max<std::uint64_t>({inode->size, op.size_at_least, inline_size});
  if (size > context.limits.file_bytes_max)
    return error{errc::too_large, object_of(op.id) + ": " + std::to_string(size) + " bytes"};
  bool grows = inode->size < size;
  inode->size = size;
  for (const auto& e : op.extents) // else a later growth would show bytes that nobody wrote there
    if (e.file_offset + e.bytes > round_up_to_block(size))
      return error{errc::invalid_argument, "extent beyond the end of the file"};
  if (auto ok = place_inline(scope, editor, op, *inode); !ok)
    return ok.error();
  if (auto ok = editor.finish(); !ok)
    return ok.error();

  bool changes = op.truncate_to || !op.extents.empty() || op.inline_data || grows;
  if (changes)
    scope.touch_content(*inode);
  else if (op.modify_time)
    scope.touch(*inode);
  if (op.modify_time)
    inode->modify_time = *op.modify_time;
  if (changes || op.modify_time)
    scope.put_inode(op.id, *inode);
  return meta_result{write_committed{attributes_of(op.id, *inode), std::move(*stripes)}};
}

} // namespace troupe
