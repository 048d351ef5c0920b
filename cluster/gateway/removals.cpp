#include "cluster/gateway/removals.hpp"

#include <algorithm>

namespace troupe {

removals::under_way removals::begin(group_id group, std::optional<lin> file, bool kept) {
  TROUPE_ASSERT(!kept || file);
  under_way_.emplace(++count_, removal{group, file, kept});
  return {this, count_};
}

void removals::under_way::end() {
  if (!list_)
    return;
  list_->under_way_.erase(number_);
  list_->changed.wake_all();
  list_ = nullptr;
}

bool removals::may_take(lin file, group_id group, std::uint64_t mark) const {
  return std::any_of(under_way_.begin(), under_way_.upper_bound(mark), [&](const auto& x) {
    const auto& r = x.second;
    return !r.kept && (r.file ? *r.file == file : r.group == group);
  });
}

bool removals::keeps(lin file) const {
  return std::any_of(under_way_.begin(), under_way_.end(),
                     [&](const auto& x) { return x.second.kept && x.second.file == file; });
}

} // namespace troupe
