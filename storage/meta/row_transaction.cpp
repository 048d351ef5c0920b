#include "storage/meta/row_transaction.hpp"

#include "storage/base/assert.hpp"
#include "storage/meta/versions.hpp"

namespace troupe {

namespace {

/// Changes of a transaction as an overlay sees them.
table_batch as_batch(const std::map<std::string, std::optional<std::string>, std::less<>>& changes,
                     const std::string& begin, const std::string& end) {
  table_batch batch;
  for (auto it = changes.lower_bound(begin); it != changes.end() && it->first < end; ++it)
    batch.push_back({it->first, it->second});
  return batch;
}

} // namespace

const std::optional<std::string>& row_transaction::stored(std::string_view key) {
  auto it = stored_.find(key);
  if (it != stored_.end())
    return it->second;
  bool versioned = is_versioned(table_of_key(key));
  row_lookup found;
  if (rule_.read_at && versioned) {
    found = read_at(view_, key, rule_.read_at, needs_);
  } else {
    found = view_.get(key);
    if (found.state == row_state::unknown)
      needs_.keys.emplace_back(key);
  }
  auto& slot = stored_[std::string{key}];
  if (found.state == row_state::found)
    slot = std::move(found.value);
  return slot;
}

std::optional<std::string> row_transaction::get(std::string_view key) {
  auto it = changed_.find(key);
  return it != changed_.end() ? it->second : stored(key);
}

row_transaction::page row_transaction::scan(std::string begin, std::string end,
                                            std::uint32_t rows_max) {
  page out;
  if (begin >= end)
    return out;
  table_range range{std::move(begin), std::move(end), rows_max, false};
  range_lookup found;
  if (rule_.read_at) {
    TROUPE_ASSERT(changed_.empty());
    found = scan_at(view_, range, rule_.read_at);
  } else {
    overlay_view overlay{view_};
    overlay.add(as_batch(changed_, range.begin, range.end));
    found = overlay.scan(range);
  }
  if (found.missing) {
    needs_.ranges.push_back(std::move(*found.missing));
    return out;
  }
  out.rows = std::move(found.rows);
  out.more = found.more;
  return out;
}

void row_transaction::put(std::string key, std::string value) {
  TROUPE_ASSERT(!rule_.read_at);
  if (is_versioned(table_of_key(key))) {
    TROUPE_ASSERT(written_epoch_of(value) == rule_.current);
    (void)stored(key);
  }
  changed_[std::move(key)] = std::move(value);
}

void row_transaction::erase(std::string_view key) {
  TROUPE_ASSERT(!rule_.read_at);
  (void)stored(key);
  changed_[std::string{key}] = std::nullopt;
}

snapshot_epoch row_transaction::suffix_of(std::string_view key, std::string_view old) const {
  auto table = table_of_key(key);
  if (!is_versioned(table))
    return {};
  auto cut = table == meta_table::extent ? rule_.extent_cut : rule_.row_cut;
  return kept_suffix(written_epoch_of(old), cut, rule_.snapshots);
}

bool row_transaction::keeps_version(std::string_view key) {
  const auto& old = stored(key);
  return old && suffix_of(key, *old);
}

table_batch row_transaction::take_batch() {
  TROUPE_ASSERT(needs_.empty());
  table_batch batch;
  for (auto& [key, value] : changed_) {
    auto it = stored_.find(key);
    const auto* old = it != stored_.end() && it->second ? &*it->second : nullptr;
    if (it != stored_.end() && it->second == value)
      continue;
    if (old != nullptr)
      if (auto suffix = suffix_of(key, *old))
        batch.push_back({version_key(key, suffix), *old});
    batch.push_back({key, std::move(value)});
  }
  return batch;
}

} // namespace troupe
