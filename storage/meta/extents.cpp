#include "storage/meta/extents.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace troupe {

namespace {

expected<placed_extent> decode_placed(const table_row& row) {
  auto key = parse_extent_key(row.key);
  if (!key)
    return error{errc::corrupt, "extent key " + evaluation_scope::describe_key(row.key)};
  auto value = decode_extent(row.value);
  if (!value)
    return value.error();
  if (value->bytes == 0 || value->bytes > key->end_offset)
    return error{errc::corrupt, "extent of " + to_string(key->id)};
  return placed_extent{key->end_offset, *value};
}

} // namespace

expected<extent_page> read_extents(evaluation_scope& scope, lin id, std::uint64_t begin,
                                   std::uint64_t end, std::uint32_t count_max) {
  extent_page page;
  if (begin >= end)
    return page;
  // Extents that end inside the range, and the one behind them if it begins inside.
  auto all = extent_keys_after(id, begin);
  auto border = extent_keys_after(id, end).begin;
  auto inside = scope.rows.scan(all.begin, border, count_max + 1);
  auto across = scope.rows.scan(border, all.end, 1);
  auto rows = std::move(inside.rows);
  rows.insert(rows.end(), across.rows.begin(), across.rows.end());
  for (const auto& row : rows) {
    auto extent = decode_placed(row);
    if (!extent)
      return extent.error();
    if (extent->begin() >= end)
      break;
    if (page.extents.size() == count_max) {
      page.more = true;
      break;
    }
    page.extents.push_back(std::move(*extent));
  }
  return page;
}

void extent_editor::drop(const placed_extent& extent) {
  auto key = extent_key(id_, extent.end);
  bool lives_on = scope_.rows.keeps_version(key) && !dropped_keys_.contains(key);
  auto& change = changes_[extent.row.stripe];
  change.live -= 1;
  change.all -= lives_on ? 0 : 1;
  scope_.rows.erase(key);
  dropped_keys_.insert(std::move(key));
}

void extent_editor::add(const placed_extent& extent) {
  auto row = extent.row;
  row.written = scope_.rows.current();
  auto& change = changes_[row.stripe];
  change.live += 1;
  change.all += 1;
  scope_.rows.put(extent_key(id_, extent.end), encode(row));
}

/// Drops an extent but for what lies outside [begin, end).
void extent_editor::drop_outside(const placed_extent& extent, std::uint64_t begin,
                                 std::uint64_t end) {
  drop(extent);
  if (extent.begin() < begin) {
    auto left = extent;
    left.end = begin;
    left.row.bytes = begin - extent.begin();
    add(left);
  }
  if (end < extent.end) {
    auto right = extent;
    right.row.bytes = extent.end - end;
    right.row.stripe_offset += end - extent.begin();
    add(right);
  }
}

expected<void> extent_editor::punch(std::uint64_t begin, std::uint64_t end,
                                    std::uint32_t count_max) {
  auto page = read_extents(scope_, id_, begin, end, count_max);
  if (!page)
    return page.error();
  if (page->more)
    return error{errc::too_large, object_of(id_) + ": more than " + std::to_string(count_max)
                                    + " extents replaced at once"};
  for (const auto& extent : page->extents)
    drop_outside(extent, begin, end);
  replaced_count_ += static_cast<std::uint32_t>(page->extents.size());
  return {};
}

expected<std::uint64_t> extent_editor::punch_front(std::uint64_t begin, std::uint64_t end,
                                                   std::uint32_t count_max) {
  auto page = read_extents(scope_, id_, begin, end, count_max);
  if (!page)
    return page.error();
  for (const auto& extent : page->extents)
    drop_outside(extent, begin, end);
  return page->more ? std::min(end, page->extents.back().end) : end;
}

void extent_editor::set_trimmed(std::optional<trimmed_range> trimmed) {
  if (trimmed && trimmed->begin >= trimmed->end)
    trimmed.reset();
  if (trimmed && !inode_.trimmed)
    scope_.rows.put(trim_key(id_), encode(trim_row{}));
  if (!trimmed && inode_.trimmed)
    scope_.rows.erase(trim_key(id_));
  inode_.trimmed = trimmed;
}

expected<void> extent_editor::cut_off(std::uint64_t offset) {
  auto trimmed = inode_.trimmed;
  auto page = read_extents(scope_, id_, offset, no_end, scope_.context.limits.clean_extents_max);
  if (!page)
    return page.error();
  if (!page->more) {
    for (const auto& extent : page->extents)
      drop_outside(extent, offset, no_end);
    if (trimmed)
      trimmed->end = std::min(trimmed->end, offset);
    set_trimmed(trimmed);
    return {};
  }
  if (trimmed && trimmed->end < offset)
    return error{errc::busy, object_of(id_) + ": an earlier cut is being cleaned"};
  auto across = page->extents.front();
  if (across.begin() < offset)
    drop_outside(across, offset, no_end);
  trimmed_range range{offset, round_up_to_block(inode_.size), scope_.rows.current()};
  if (trimmed) {
    range.begin = std::min(range.begin, trimmed->begin);
    range.end = std::max(range.end, trimmed->end);
  }
  set_trimmed(range);
  cut_here_ = true;
  return {};
}

expected<void> extent_editor::make_room(std::uint64_t begin, std::uint64_t end) {
  const auto& limits = scope_.context.limits;
  if (auto trimmed = inode_.trimmed; trimmed && begin < trimmed->end && trimmed->begin < end) {
    // Nothing that was cut off may show again: the range before the new extent goes first.
    auto until = std::min(end, trimmed->end);
    auto cleared = punch(trimmed->begin, until, limits.clean_extents_max);
    if (!cleared && cleared.error().code == errc::too_large && !cut_here_)
      return error{errc::busy, object_of(id_) + ": an earlier cut is being cleaned"};
    if (!cleared)
      return cleared.error();
    trimmed->begin = until;
    set_trimmed(trimmed);
  }
  auto left = limits.replaced_extents_max - std::min(limits.replaced_extents_max, replaced_count_);
  return punch(begin, end, left);
}

expected<stripe_id> extent_editor::add_stripe(const stripe_layout& layout) {
  auto slot = scope_.slot(slot_of(id_));
  if (!slot)
    return slot.error();
  if (slot->next_stripe_sequence > sequence_max)
    return error{errc::no_space, "stripe ids of slot " + std::to_string(slot_of(id_).value)};
  stripe_id id{std::uint64_t{slot_of(id_).value} << 48 | slot->next_stripe_sequence++};
  scope_.put_slot(slot_of(id_), *slot);
  new_stripes_[id] = layout;
  if (layout.at_risk)
    scope_.rows.put(at_risk_key(id), encode(at_risk_row{id_, layout.requested_level}));
  return id;
}

expected<void> extent_editor::settle(stripe_id id, const reference_change& change,
                                     std::map<drive_uuid, std::vector<free_run>>& frees,
                                     slot_row& slot) {
  stripe_row row;
  auto made = new_stripes_.find(id);
  if (made != new_stripes_.end()) {
    row.owner = id_;
    row.layout = made->second;
    inode_.physical_blocks += physical_blocks_of(row.layout);
    slot.physical_blocks += physical_blocks_of(row.layout);
  } else {
    if (change.all == 0 && change.live == 0)
      return {};
    auto stored = scope_.find(stripe_key(id), decode_stripe);
    if (!stored)
      return stored.error();
    if (!*stored)
      return error{errc::corrupt, object_of(id_) + ": no stripe " + to_string(lin{id.value})};
    row = std::move(**stored);
  }
  auto all = row.references + change.all;
  auto live = row.live_references + change.live;
  if (all < 0 || live < 0 || all < live)
    return error{errc::corrupt, "references of stripe " + to_string(lin{id.value})};
  bool was_live = made != new_stripes_.end() || row.live_references > 0;
  row.references = static_cast<std::uint32_t>(all);
  row.live_references = static_cast<std::uint32_t>(live);
  auto blocks = physical_blocks_of(row.layout);
  if (was_live && live == 0)
    inode_.physical_blocks -= std::min(inode_.physical_blocks, blocks);
  if (all > 0) {
    scope_.rows.put(stripe_key(id), encode(row));
    return {};
  }
  slot.physical_blocks -= std::min(slot.physical_blocks, blocks);
  for (const auto& unit : row.layout.units)
    frees[unit.run.drive].push_back({unit.run.start_block, unit.run.block_count, unit.run.born});
  scope_.rows.erase(stripe_key(id));
  if (row.layout.at_risk)
    scope_.rows.erase(at_risk_key(id));
  return {};
}

expected<void> extent_editor::finish() {
  if (changes_.empty())
    return {};
  for (const auto& [id, change] : changes_)
    if (!new_stripes_.contains(id))
      scope_.rows.prefetch(stripe_key(id));
  auto slot = scope_.slot(slot_of(id_));
  if (!slot)
    return slot.error();
  std::map<drive_uuid, std::vector<free_run>> frees;
  for (const auto& [id, change] : changes_)
    if (auto ok = settle(id, change, frees, *slot); !ok)
      return ok;
  scope_.put_slot(slot_of(id_), *slot);
  return add_pending_frees(scope_, frees);
}

expected<void> add_pending_frees(evaluation_scope& scope,
                                 const std::map<drive_uuid, std::vector<free_run>>& frees) {
  for (const auto& [drive, runs] : frees)
    scope.rows.prefetch(drive_frees_key(drive));
  for (const auto& [drive, runs] : frees) {
    auto stored = scope.find(drive_frees_key(drive), decode_drive_frees);
    if (!stored)
      return stored.error();
    auto counts = (*stored).value_or(drive_frees_row{});
    if (counts.pending_runs + runs.size() > scope.context.limits.pending_runs_max) {
      if (counts.needs_collect)
        continue;
      counts.needs_collect = true;
    } else {
      scope.rows.put(pending_free_key(drive, counts.next_batch++), encode(pending_free_row{runs}));
      counts.pending_runs += runs.size();
    }
    scope.rows.put(drive_frees_key(drive), encode(counts));
  }
  return {};
}

} // namespace troupe
