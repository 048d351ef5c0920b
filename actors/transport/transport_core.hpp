#pragma once

#include "actors/transport/channel_host.hpp"
#include "actors/transport/dispatcher.hpp"
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

/// What links and sessions of a process share.
class transport_core {
public:
  transport_core(reactor& l, const transport_options& o, tls_context tls, incarnation process)
    : loop(l), options(o), self{tls.identity(), process}, host(l, o, std::move(tls)), health(o) {}

  reactor& loop;
  const transport_options options;
  own_identity self;
  channel_host host;
  peer_health_state health;
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

private:
  snapshot_epoch epoch_;
};

} // namespace troupe
