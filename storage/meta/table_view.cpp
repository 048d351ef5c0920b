#include "storage/meta/table_view.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace troupe {

std::string prefix_end(std::string_view prefix) {
  std::string end{prefix};
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff)
    end.pop_back();
  if (!end.empty())
    end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

row_lookup overlay_view::get(std::string_view key) const {
  auto at = changes_.find(key);
  if (at == changes_.end())
    return base_.get(key);
  if (!at->second)
    return {row_state::absent, {}};
  return {row_state::found, *at->second};
}

void overlay_view::add(const table_batch& batch) {
  for (const auto& change : batch)
    changes_.insert_or_assign(change.key, change.value);
}

namespace {

/// The part of `range` that lies behind `key`, in the direction of the scan.
table_range behind(table_range range, const std::string& key) {
  if (range.reverse)
    range.end = key;
  else
    range.begin = key + '\0';
  return range;
}

} // namespace

range_lookup overlay_view::scan(const table_range& range) const {
  TROUPE_ASSERT(range.rows_max >= 1);
  auto precedes = [&](const std::string& a, const std::string& b) {
    return range.reverse ? b < a : a < b;
  };
  // The changes inside the range, in the order of the scan.
  std::vector<const std::pair<const std::string, std::optional<std::string>>*> mine;
  if (range.begin < range.end) {
    auto last = changes_.lower_bound(range.end);
    for (auto at = changes_.lower_bound(range.begin); at != last; ++at)
      mine.push_back(&*at);
  }
  if (range.reverse)
    std::reverse(mine.begin(), mine.end());

  range_lookup out;
  auto next = mine.begin();
  auto full = [&] { return out.rows.size() >= range.rows_max; };
  auto take_mine_before = [&](const std::string* limit) {
    for (; next != mine.end() && !full() && (!limit || precedes((*next)->first, *limit)); ++next)
      if ((*next)->second)
        out.rows.push_back({(*next)->first, *(*next)->second});
  };
  // Removed rows leave gaps in what the base gives, so it may be asked several times.
  for (auto rest = range;;) {
    auto part = base_.scan(rest);
    if (part.missing)
      return {std::move(part.missing), {}, false};
    for (auto& row : part.rows) {
      take_mine_before(&row.key);
      if (full())
        break;
      if (next != mine.end() && (*next)->first == row.key) {
        if ((*next)->second)
          out.rows.push_back({row.key, *(*next)->second});
        ++next;
      } else {
        out.rows.push_back(row);
      }
    }
    if (full() || !part.more)
      break;
    rest = behind(std::move(rest), part.rows.back().key);
  }
  take_mine_before(nullptr);
  out.more = full();
  return out;
}

} // namespace troupe
