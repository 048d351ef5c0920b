#include "storage/meta/versions.hpp"

#include "storage/base/assert.hpp"
#include "storage/meta/inode_format.hpp"

#include <algorithm>
#include <map>

namespace troupe {

namespace {

/// Keys in [begin, end) of the versions of live keys in [begin, end).
table_range version_range(const table_range& live, std::uint32_t rows_max) {
  return {version_prefix(live.begin), version_prefix(live.end), rows_max, false};
}

} // namespace

snapshot_epoch kept_suffix(snapshot_epoch written, snapshot_epoch current,
                           std::span<const snapshot_epoch> snapshots) {
  auto it = std::lower_bound(snapshots.begin(), snapshots.end(), current);
  if (it == snapshots.begin() || *std::prev(it) < written)
    return {};
  return *std::prev(it);
}

row_lookup read_at(const table_view& view, std::string_view live_key, snapshot_epoch at,
                   row_needs& need) {
  table_range newer{version_key(live_key, at), prefix_end(version_prefix(live_key)), 1, false};
  auto versions = view.scan(newer);
  if (versions.missing) {
    need.ranges.push_back(*versions.missing);
    return {row_state::unknown, {}};
  }
  if (!versions.rows.empty()) {
    auto& value = versions.rows.front().value;
    if (written_epoch_of(value) <= at)
      return {row_state::found, std::move(value)};
    return {row_state::absent, {}};
  }
  auto live = view.get(live_key);
  if (live.state == row_state::unknown)
    need.keys.emplace_back(live_key);
  if (live.state == row_state::found && at < written_epoch_of(live.value))
    return {row_state::absent, {}};
  return live;
}

range_lookup scan_at(const table_view& view, const table_range& range, snapshot_epoch at) {
  TROUPE_ASSERT(!range.reverse);
  range_lookup out;
  auto from = range;
  auto version_rows_max = range.rows_max;
  while (from.begin < from.end) {
    auto live = view.scan({from.begin, from.end, range.rows_max, false});
    if (live.missing)
      return {std::move(live.missing), {}, false};
    auto versions = view.scan(version_range(from, version_rows_max));
    if (versions.missing)
      return {std::move(versions.missing), {}, false};
    // How far both pages reach: everything before `known` is known.
    auto known = from.end;
    if (live.more)
      known = std::min(known, live.rows.back().key + '\0');
    if (versions.more) // the versions of the last key may be cut
      known = std::min(known, parse_version_key(versions.rows.back().key)->live_key);
    if (known <= from.begin) { // one key has more versions than a page
      version_rows_max *= 2;
      continue;
    }
    // Per key the smallest suffix at or after `at`, else the live row.
    std::map<std::string, std::string> chosen;
    for (auto& row : live.rows)
      chosen[row.key] = std::move(row.value);
    for (std::size_t i = versions.rows.size(); i-- > 0;) { // descending: the smallest comes last
      auto parts = parse_version_key(versions.rows[i].key);
      // A range that begins right behind a key begins before the versions of that key.
      if (parts && at <= parts->suffix && from.begin <= parts->live_key)
        chosen[parts->live_key] = std::move(versions.rows[i].value);
    }
    for (auto& [key, value] : chosen) {
      if (key >= known || at < written_epoch_of(value))
        continue;
      if (out.rows.size() == range.rows_max) {
        out.more = true;
        return out;
      }
      out.rows.push_back({key, std::move(value)});
    }
    from.begin = known;
  }
  return out;
}

} // namespace troupe
