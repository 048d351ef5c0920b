#include "actors/transport/peer_health_state.hpp"

namespace troupe {

bool peer_health_state::damaged(const certified_identity& peer, boot_time now) {
  auto& r = peers_[peer];
  ++r.errors;
  r.recent.push_back(now);
  auto window_ns = std::uint64_t{options_.checksum_window_ms} * 1'000'000;
  while (!r.recent.empty() && r.recent.front().ns + window_ns < now.ns)
    r.recent.pop_front();
  if (r.recent.size() <= options_.checksum_errors_max)
    return false;
  r.recent.clear();
  r.isolated_until = {now.ns + std::uint64_t{options_.isolation_ms} * 1'000'000};
  return true;
}

bool peer_health_state::isolated(const certified_identity& peer, boot_time now) const {
  auto it = peers_.find(peer);
  return it != peers_.end() && now < it->second.isolated_until;
}

std::uint64_t peer_health_state::errors(const certified_identity& peer) const {
  auto it = peers_.find(peer);
  return it == peers_.end() ? 0 : it->second.errors;
}

} // namespace troupe
