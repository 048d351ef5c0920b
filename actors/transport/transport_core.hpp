#pragma once

#include "actors/kit/log.hpp"
#include "actors/transport/channel_host.hpp"
#include "actors/transport/dispatcher.hpp"
#include "actors/transport/event_limit_state.hpp"
#include "actors/transport/handshake.hpp"
#include "actors/transport/peer_health_state.hpp"
#include "actors/transport/transport_options.hpp"

#include <functional>
#include <map>

namespace troupe {

/// A peer came or went, as one of our links saw it.
struct peer_change {
  node_id peer;
  bool up = false;
  incarnation process; ///< Of the peer's process; 0 if it went before it said.
  error why;           ///< If it went.
};

/// The certificate of a connected peer.
struct peer_certificate {
  bool dialled = false; ///< We dialled it.
  certificate_info info;
};

/// What links and sessions of a process share.
class transport_core {
public:
  transport_core(reactor& l, const transport_options& o, tls_context tls, incarnation process)
    : loop(l),
      options(o), self{tls.identity(), process, protocol_oldest, protocol_newest, this_machine()},
      host(l, o, std::move(tls)), health(o) {
    trust.set_authorities(host.tls.authorities());
  }

  reactor& loop;
  const transport_options options;
  own_identity self;
  channel_host host;
  peer_health_state health;
  peer_trust trust;
  event_limit_state floods;
  dispatcher messages;
  /// Called before a message that carries a higher epoch than ever seen is handled (hazards F10).
  std::function<void(snapshot_epoch)> on_newer_epoch;
  std::function<void(const peer_change&)> on_peer;

  snapshot_epoch epoch() const { return epoch_; }
  void see_epoch(snapshot_epoch seen) {
    if (seen <= epoch_)
      return;
    epoch_ = seen;
    if (on_newer_epoch)
      on_newer_epoch(seen);
  }

  /// Whether a peer is believed now.
  expected<void> check(trusted_peer& peer) const { return trust.check(peer, loop.time().wall()); }
  /// Tells of something that others can make happen, unless there were many of the kind just now.
  void tell(event_severity severity, const char* event, const std::string& peer,
            const std::string& what, const error& why) {
    if (auto left_out = floods.tell(event, loop.now()))
      log_event(severity, event,
                {{"peer", peer}, {"what", what}, {"why", why}, {"left_out_before", *left_out}});
  }
  /// Tells of a peer that was refused something.
  void tell_refusal(const char* event, const std::string& peer, const std::string& what,
                    const error& why) {
    tell(event_severity::warn, event, peer, what, why);
  }

private:
  snapshot_epoch epoch_;
};

} // namespace troupe
