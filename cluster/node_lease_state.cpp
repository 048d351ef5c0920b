#include "cluster/node_lease_state.hpp"

#include <algorithm>

namespace troupe {

bool node_lease_holder_state::renewal_due(boot_time now) const {
  return !last_sent_ || now.ns >= last_sent_->ns + options_.renewal_ns;
}

void node_lease_holder_state::sent(boot_time now) {
  last_sent_ = now;
}

void node_lease_holder_state::granted(boot_time sent_at, std::uint64_t lease_ns) {
  valid_until_ = std::max(valid_until_, boot_time{sent_at.ns + lease_ns});
}

void node_lease_granter_state::elected(const std::vector<node_id>& nodes, boot_time now) {
  last_grant_.clear();
  for (auto node : nodes)
    last_grant_[node] = now;
}

void node_lease_granter_state::deposed() {
  last_grant_.clear();
}

std::uint64_t node_lease_granter_state::renewed(node_id node, boot_time now) {
  auto& last = last_grant_[node];
  last = std::max(last, now);
  return options_.lease_ns;
}

std::vector<node_id> node_lease_granter_state::expired(boot_time now) const {
  std::vector<node_id> out;
  for (const auto& [node, granted_at] : last_grant_)
    if (now.ns > granted_at.ns + options_.lease_ns + options_.slack_ns)
      out.push_back(node);
  return out;
}

} // namespace troupe
