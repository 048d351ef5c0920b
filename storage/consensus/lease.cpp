#include "storage/consensus/lease.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

namespace troupe {

void leader_lease::begin_term() {
  contacts_.clear();
  dropped_ = false;
}

void leader_lease::answered(replica_id from, boot_time now, std::uint64_t heard_ns) {
  auto& known = contacts_[from];
  known.answered = std::max(known.answered, now);
  known.heard_ns = std::max(known.heard_ns, std::min(heard_ns, now.ns));
}

boot_time leader_lease::until(const group_configuration& members, replica_id self,
                              std::uint64_t election_timeout_ns,
                              std::uint32_t slack_percent) const {
  if (dropped_)
    return {};
  std::vector<std::uint64_t> heard;
  for (const auto& member : members.members) {
    if (member.role != member_role::voter)
      continue;
    heard.push_back(member.replica == self ? std::numeric_limits<std::uint64_t>::max()
                                           : last(member.replica).heard_ns);
  }
  if (heard.empty())
    return {};
  auto majority = heard.size() / 2; // the (majority + 1)-th newest is known to a majority
  std::sort(heard.begin(), heard.end(), std::greater<>{});
  auto base = heard[majority];
  if (base == 0)
    return {};
  auto length = election_timeout_ns - election_timeout_ns / 100 * slack_percent;
  if (base > std::numeric_limits<std::uint64_t>::max() - length) // a sole voter
    return {std::numeric_limits<std::uint64_t>::max()};
  return {base + length};
}

leader_lease::contact leader_lease::last(replica_id from) const {
  auto at = contacts_.find(from);
  return at == contacts_.end() ? contact{} : at->second;
}

} // namespace troupe
