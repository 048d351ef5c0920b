#include "storage/meta/cleaner.hpp"

#include "storage/meta/extents.hpp"
#include "storage/meta/operations.hpp"

namespace troupe {

namespace {

/// Turns what a step did to its scope into an entry.
evaluation_result finish_step(evaluation_scope& scope, const expected<void>& done_or_error) {
  if (scope.rows.blocked())
    return scope.rows.take_needs();
  evaluation out{{}, meta_result{done{}}, false};
  if (done_or_error)
    out.batch = scope.rows.take_batch();
  else
    out.outcome = done_or_error.error();
  return out;
}

/// True while the client that has the orphan open is alive.
expected<bool> is_held(evaluation_scope& scope, const orphan_row& orphan) {
  if (!orphan.holder)
    return false;
  auto here = scope.find(here_key(orphan.holder), decode_here);
  if (!here)
    return here.error();
  return *here && !(*here)->expired && (*here)->client_incarnation == orphan.holder_incarnation;
}

expected<void> clean_orphan(evaluation_scope& scope, lin id, const orphan_row& orphan) {
  auto held = is_held(scope, orphan);
  if (!held)
    return held.error();
  if (*held)
    return {};
  scope.rows.prefetch(slot_key(slot_of(id)));
  scope.rows.prefetch(inline_key(id));
  auto inode = scope.find_inode(id);
  if (!inode)
    return inode.error();
  if (!*inode) {
    scope.rows.erase(orphan_key(id));
    return {};
  }
  extent_editor editor{scope, id, **inode};
  auto left = editor.punch_front(0, no_end, scope.context.limits.clean_extents_max);
  if (!left)
    return left.error();
  if (auto ok = editor.finish(); !ok)
    return ok;
  if (*left < no_end) {
    scope.put_inode(id, **inode);
    return {};
  }
  scope.rows.erase(orphan_key(id));
  if ((*inode)->trimmed)
    scope.rows.erase(trim_key(id));
  return erase_inode(scope, id, **inode);
}

expected<void> clean_trimmed(evaluation_scope& scope, lin id) {
  auto inode = scope.find_inode(id);
  if (!inode)
    return inode.error();
  if (!*inode || !(*inode)->trimmed) {
    if (scope.rows.get(trim_key(id)))
      scope.rows.erase(trim_key(id));
    return {};
  }
  auto& trimmed = (*inode)->trimmed;
  extent_editor editor{scope, id, **inode};
  auto left =
    editor.punch_front(trimmed->begin, trimmed->end, scope.context.limits.clean_extents_max);
  if (!left)
    return left.error();
  if (auto ok = editor.finish(); !ok)
    return ok;
  trimmed->begin = *left;
  if (trimmed->begin >= trimmed->end) {
    trimmed.reset();
    scope.rows.erase(trim_key(id));
  }
  scope.put_inode(id, **inode); // not a change that anybody sees: times and count stay
  return {};
}

} // namespace

std::variant<expected<clean_page>, row_needs> list_clean_work(const evaluation_context& context,
                                                              const table_view& view,
                                                              const std::string& from,
                                                              std::uint32_t rows_max) {
  using answer = expected<clean_page>;
  evaluation_scope scope{context, view};
  clean_page out;
  auto orphans = table_keys(meta_table::orphan);
  auto trims = table_keys(meta_table::trim);
  auto range = from < orphans.end ? orphans : trims;
  auto page = scope.rows.scan(std::max(from, range.begin), range.end, rows_max);
  if (page.more)
    out.next = page.rows.back().key + '\0';
  else if (range.begin == orphans.begin)
    out.next = trims.begin;
  for (const auto& row : page.rows) {
    auto id = parse_lin_key(row.key);
    if (!id)
      return answer{error{errc::corrupt, "key " + evaluation_scope::describe_key(row.key)}};
    if (range.begin != orphans.begin) {
      out.items.push_back({*id, false});
      continue;
    }
    auto orphan = decode_orphan(row.value);
    if (!orphan)
      return answer{orphan.error()};
    auto held = is_held(scope, *orphan);
    if (!held)
      return answer{held.error()};
    if (!*held)
      out.items.push_back({*id, true});
  }
  if (scope.rows.blocked())
    return scope.rows.take_needs();
  return answer{std::move(out)};
}

evaluation_result clean_step(const clean_item& item, const evaluation_context& context,
                             const table_view& view) {
  if (!item.orphan) {
    // Snapshots since the cut do not want the extents; those before the cleaning want the inode.
    evaluation_scope look{context, view};
    auto inode = look.find_inode(item.id);
    auto cut = inode && *inode && (*inode)->trimmed ? (*inode)->trimmed->cut : context.epoch;
    evaluation_scope scope{context, view, cut, context.epoch};
    return finish_step(scope, clean_trimmed(scope, item.id));
  }
  evaluation_scope look{context, view};
  auto orphan = look.find(orphan_key(item.id), decode_orphan);
  if (!orphan || !*orphan)
    return finish_step(look, orphan ? expected<void>{} : expected<void>{orphan.error()});
  // No snapshot since the unlink wants anything of it.
  evaluation_scope scope{context, view, (*orphan)->cut, (*orphan)->cut};
  return finish_step(scope, clean_orphan(scope, item.id, **orphan));
}

std::variant<expected<std::vector<pending_free>>, row_needs>
list_frees(const table_view& view, const drive_uuid& drive, std::uint32_t batches_max) {
  using answer = expected<std::vector<pending_free>>;
  auto range = pending_free_keys(drive);
  auto found = view.scan({range.begin, range.end, batches_max, false});
  if (found.missing)
    return row_needs{{}, {std::move(*found.missing)}};
  std::vector<pending_free> out;
  for (auto& row : found.rows) {
    auto batch = decode_pending_free(row.value);
    if (!batch)
      return answer{batch.error()};
    auto& free = out.emplace_back();
    free.key = std::move(row.key);
    for (const auto& run : batch->runs)
      free.runs.push_back({drive, run.start_block, run.block_count, run.born});
  }
  return answer{std::move(out)};
}

std::variant<expected<std::vector<drive_frees>>, row_needs> list_drives(const table_view& view) {
  using answer = expected<std::vector<drive_frees>>;
  constexpr std::uint32_t page_rows = 256;
  std::vector<drive_frees> out;
  auto range = table_keys(meta_table::drive_frees);
  while (true) {
    auto found = view.scan({range.begin, range.end, page_rows, false});
    if (found.missing)
      return row_needs{{}, {std::move(*found.missing)}};
    for (const auto& row : found.rows) {
      auto drive = parse_drive_frees_key(row.key);
      auto counts = decode_drive_frees(row.value);
      if (!drive)
        return answer{error{errc::corrupt, "key " + evaluation_scope::describe_key(row.key)}};
      if (!counts)
        return answer{counts.error()};
      out.push_back({*drive, counts->pending_runs, counts->needs_collect});
    }
    if (!found.more)
      return answer{std::move(out)};
    range.begin = found.rows.back().key + '\0';
  }
}

namespace {

expected<void> remove_frees(evaluation_scope& scope, const std::vector<std::string>& keys) {
  for (const auto& key : keys) {
    auto parts = parse_pending_free_key(key);
    if (!parts)
      return error{errc::invalid_argument, "key " + evaluation_scope::describe_key(key)};
    auto batch = scope.find(key, decode_pending_free);
    auto counts = scope.find(drive_frees_key(parts->drive), decode_drive_frees);
    if (!batch)
      return batch.error();
    if (!counts)
      return counts.error();
    if (!*batch || !*counts) // done before
      continue;
    auto runs = (*batch)->runs.size();
    (*counts)->pending_runs -= std::min<std::uint64_t>((*counts)->pending_runs, runs);
    scope.rows.erase(key);
    scope.rows.put(drive_frees_key(parts->drive), encode(**counts));
  }
  return {};
}

} // namespace

evaluation_result frees_done(const std::vector<std::string>& keys,
                             const evaluation_context& context, const table_view& view) {
  evaluation_scope scope{context, view};
  return finish_step(scope, remove_frees(scope, keys));
}

evaluation_result drop_frees(const drive_uuid& drive, std::uint32_t batches_max,
                             const evaluation_context& context, const table_view& view) {
  evaluation_scope scope{context, view};
  auto range = pending_free_keys(drive);
  auto page = scope.rows.scan(range.begin, range.end, batches_max);
  std::vector<std::string> keys;
  for (const auto& row : page.rows)
    keys.push_back(row.key);
  return finish_step(scope, remove_frees(scope, keys));
}

} // namespace troupe
