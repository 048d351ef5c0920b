#include "actors/transport/peer_health_state.hpp"

namespace troupe {

bool peer_health_state::damaged(const health_subject& peer, boot_time now) {
  auto [it, is_new] = peers_.try_emplace(peer);
  auto& r = it->second;
  r.last = now;
  ++r.errors;
  if (is_new && peer.who.role != peer_role::node && ++clients_ > options_.damaged_clients_max)
    forget_oldest_client_but(it->first);
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

/// A client that comes back under ever new names pays a handshake for each.
void peer_health_state::forget_oldest_client_but(const health_subject& counted) {
  auto oldest = peers_.end();
  for (auto it = peers_.begin(); it != peers_.end(); ++it)
    if (it->first.who.role != peer_role::node && it->first != counted
        && (oldest == peers_.end() || it->second.last < oldest->second.last))
      oldest = it;
  if (oldest == peers_.end())
    return;
  peers_.erase(oldest);
  --clients_;
}

bool peer_health_state::isolated(const health_subject& peer, boot_time now) const {
  auto it = peers_.find(peer);
  return it != peers_.end() && now < it->second.isolated_until;
}

std::uint64_t peer_health_state::errors(const health_subject& peer) const {
  auto it = peers_.find(peer);
  return it == peers_.end() ? 0 : it->second.errors;
}

} // namespace troupe
