#include "storage/meta/map_view.hpp"

#include "storage/base/assert.hpp"

namespace troupe {

row_lookup map_view::get(std::string_view key) const {
  auto it = rows_.find(key);
  if (it == rows_.end())
    return {row_state::absent, {}};
  return {row_state::found, it->second};
}

range_lookup map_view::scan(const table_range& range) const {
  TROUPE_ASSERT(range.rows_max >= 1);
  range_lookup out;
  if (range.begin >= range.end)
    return out;
  auto first = rows_.lower_bound(range.begin);
  auto last = rows_.lower_bound(range.end);
  while (first != last && out.rows.size() < range.rows_max) {
    if (range.reverse) {
      --last;
      out.rows.push_back({last->first, last->second});
    } else {
      out.rows.push_back({first->first, first->second});
      ++first;
    }
  }
  out.more = first != last;
  return out;
}

void map_view::apply(const table_batch& batch) {
  for (const auto& change : batch) {
    if (change.value)
      rows_[change.key] = *change.value;
    else
      rows_.erase(change.key);
  }
}

} // namespace troupe
