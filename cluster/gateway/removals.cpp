#include "cluster/gateway/removals.hpp"

#include <algorithm>

namespace troupe {

namespace {
/// So long after a removal an open asks whether the file is still there. Longer than a door keeps
/// what it knows of a name.
constexpr std::uint64_t remember_ms = 2000;
} // namespace

removals::under_way removals::begin(group_id group, std::optional<lin> file, bool kept) {
  TROUPE_ASSERT(!kept || file);
  under_way_.emplace(++count_, removal{group, file, kept});
  return {this, count_};
}

void removals::under_way::end() {
  if (list_)
    std::exchange(list_, nullptr)->end(number_);
}

void removals::end(std::uint64_t number) {
  auto it = under_way_.find(number);
  answered_.erase(answered_.begin(), answered_.upper_bound(ctx_.now()));
  if (!it->second.kept)
    answered_.emplace(ctx_.in_ms(remember_ms), it->second);
  under_way_.erase(it);
  changed.wake_all();
}

bool removals::may_take(lin file, group_id group, std::uint64_t mark) const {
  return std::any_of(under_way_.begin(), under_way_.upper_bound(mark),
                     [&](const auto& x) { return x.second.concerns(file, group); });
}

bool removals::may_have_taken(lin file, group_id group) const {
  return std::any_of(answered_.upper_bound(ctx_.now()), answered_.end(),
                     [&](const auto& x) { return x.second.concerns(file, group); });
}

bool removals::keeps(lin file) const {
  return std::any_of(under_way_.begin(), under_way_.end(),
                     [&](const auto& x) { return x.second.kept && x.second.file == file; });
}

} // namespace troupe
