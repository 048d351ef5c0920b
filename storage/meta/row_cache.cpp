#include "storage/meta/row_cache.hpp"

#include "storage/base/assert.hpp"

namespace troupe {

namespace {

/// What a map node with its entry and list node takes beside key and value, about.
constexpr std::uint64_t entry_overhead_bytes = 200;

} // namespace

std::uint64_t row_cache::size_of(const entry& x) {
  return entry_overhead_bytes + x.key->size() + x.value.size();
}

void row_cache::touch(const entry& x) const {
  if (x.sequence == 0)
    clean_.splice(clean_.end(), clean_, x.place);
}

row_lookup row_cache::get(table_id table, std::string_view key) const {
  auto home = tables_.find(table);
  if (home == tables_.end())
    return {};
  const auto& rows = home->second;
  auto at = rows.lower_bound(key);
  if (at != rows.end() && at->first == key) {
    touch(at->second);
    return {at->second.state, at->second.value};
  }
  if (at == rows.begin())
    return {};
  --at;
  if (!at->second.chained)
    return {};
  touch(at->second);
  return {row_state::absent, {}};
}

range_lookup row_cache::scan(table_id table, const table_range& range) const {
  TROUPE_ASSERT(range.rows_max >= 1);
  if (range.begin >= range.end)
    return {};
  auto home = tables_.find(table);
  if (home == tables_.end())
    return {range, {}, false};
  return range.reverse ? scan_reverse(home->second, range) : scan_forward(home->second, range);
}

range_lookup row_cache::scan_forward(const entry_map& rows, const table_range& range) const {
  range_lookup out;
  auto missing_from = [&](std::string begin) -> range_lookup {
    auto rest = range;
    rest.begin = std::move(begin);
    rest.rows_max = range.rows_max - static_cast<std::uint32_t>(out.rows.size());
    return {std::move(rest), {}, false};
  };
  auto at = rows.lower_bound(range.begin);
  if (at == rows.end() || at->first != range.begin) {
    if (at == rows.begin() || !std::prev(at)->second.chained)
      return missing_from(range.begin);
    touch(std::prev(at)->second);
  }
  // Here everything from `range.begin` up to `at`, exclusive, is known.
  for (; at != rows.end() && at->first < range.end; ++at) {
    const auto& row = at->second;
    touch(row);
    if (row.state == row_state::unknown)
      return missing_from(at->first);
    if (row.state == row_state::found) {
      out.rows.push_back({at->first, row.value});
      if (out.rows.size() == range.rows_max) {
        out.more = true;
        return out;
      }
    }
    if (!row.chained) {
      auto next_key = at->first + '\0';
      if (next_key == range.end)
        return out;
      if (auto next = std::next(at); next == rows.end() || next->first != next_key)
        return missing_from(std::move(next_key));
    }
  }
  return out;
}

range_lookup row_cache::scan_reverse(const entry_map& rows, const table_range& range) const {
  range_lookup out;
  auto missing_to = [&](std::string end) -> range_lookup {
    auto rest = range;
    rest.end = std::move(end);
    rest.rows_max = range.rows_max - static_cast<std::uint32_t>(out.rows.size());
    return {std::move(rest), {}, false};
  };
  auto limit = range.end; // everything from here to the end is known
  for (auto at = rows.lower_bound(range.end);;) {
    if (at == rows.begin())
      return missing_to(limit);
    --at;
    const auto& row = at->second;
    if (!row.chained && at->first + '\0' != limit)
      return missing_to(limit);
    touch(row);
    if (at->first < range.begin)
      return out;
    if (row.state == row_state::unknown)
      return missing_to(limit);
    if (row.state == row_state::found) {
      out.rows.push_back({at->first, row.value});
      if (out.rows.size() == range.rows_max) {
        out.more = true;
        return out;
      }
    }
    if (at->first == range.begin)
      return out;
    limit = at->first;
  }
}

/// Gives the entry of a key, made if need be with what the chain already says about it.
row_cache::entry_map::iterator row_cache::insert(entry_map& rows, const std::string& key) {
  auto at = rows.lower_bound(key);
  if (at != rows.end() && at->first == key)
    return at;
  bool inside = at != rows.begin() && std::prev(at)->second.chained;
  at = rows.emplace_hint(at, key, entry{});
  auto& x = at->second;
  x.state = inside ? row_state::absent : row_state::unknown;
  x.chained = inside;
  x.home = &rows;
  x.key = &at->first;
  x.place = clean_.insert(clean_.end(), &x);
  clean_bytes_ += size_of(x);
  return at;
}

void row_cache::set(entry& x, const std::optional<std::string>& value) {
  auto& sum = x.sequence == 0 ? clean_bytes_ : held_bytes_;
  sum -= size_of(x);
  x.state = value ? row_state::found : row_state::absent;
  x.value = value ? *value : std::string{};
  sum += size_of(x);
}

void row_cache::put(table_id table, const table_change& change, std::uint64_t sequence) {
  TROUPE_ASSERT(sequence > 0);
  TROUPE_ASSERT(held_.empty() || held_.back()->sequence <= sequence);
  auto& x = insert(tables_[table], change.key)->second;
  if (x.sequence == 0) {
    clean_bytes_ -= size_of(x);
    held_bytes_ += size_of(x);
    held_.splice(held_.end(), clean_, x.place);
  } else {
    held_.splice(held_.end(), held_, x.place);
  }
  x.sequence = sequence;
  set(x, change.value);
}

void row_cache::release(std::uint64_t sequence) {
  while (!held_.empty() && held_.front()->sequence <= sequence) {
    auto& x = *held_.front();
    held_bytes_ -= size_of(x);
    clean_bytes_ += size_of(x);
    x.sequence = 0;
    clean_.splice(clean_.end(), held_, x.place);
  }
}

void row_cache::learn(table_id table, const std::string& key,
                      const std::optional<std::string>& value) {
  auto& x = insert(tables_[table], key)->second;
  if (x.state == row_state::unknown)
    set(x, value);
  touch(x);
}

void row_cache::learn_range(table_id table, const std::string& begin, const std::string& end,
                            const std::vector<table_row>& loaded) {
  if (begin >= end)
    return;
  auto& rows = tables_[table];
  insert(rows, end);
  insert(rows, begin);
  for (const auto& row : loaded) {
    TROUPE_ASSERT(begin <= row.key);
    TROUPE_ASSERT(row.key < end);
    if (auto& x = insert(rows, row.key)->second; x.state == row_state::unknown)
      set(x, row.value);
  }
  auto next = loaded.begin();
  for (auto at = rows.find(begin); at->first < end; ++at) {
    while (next != loaded.end() && next->key < at->first)
      ++next;
    bool listed = next != loaded.end() && next->key == at->first;
    if (at->second.state == row_state::unknown && !listed)
      set(at->second, std::nullopt);
    at->second.chained = true;
    touch(at->second);
  }
}

void row_cache::remove(entry_map& rows, entry_map::iterator at) {
  const auto& x = at->second;
  // Taking out an absent row in the middle of a known stretch loses nothing.
  bool known = x.state == row_state::absent && x.chained;
  if (at != rows.begin() && !known)
    std::prev(at)->second.chained = false;
  (x.sequence == 0 ? clean_bytes_ : held_bytes_) -= size_of(x);
  (x.sequence == 0 ? clean_ : held_).erase(x.place);
  rows.erase(at);
}

void row_cache::trim() {
  while (clean_bytes_ > clean_bytes_max_ && !clean_.empty()) {
    auto& x = *clean_.front();
    auto& rows = *x.home;
    remove(rows, rows.find(*x.key));
  }
}

void row_cache::erase(table_id table) {
  auto home = tables_.find(table);
  if (home == tables_.end())
    return;
  while (!home->second.empty())
    remove(home->second, home->second.begin());
  tables_.erase(home);
}

} // namespace troupe
