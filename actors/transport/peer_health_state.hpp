#pragma once

#include "actors/transport/transport_options.hpp"
#include "messages/certificates.hpp"
#include "storage/base/clock.hpp"

#include <deque>
#include <map>

namespace troupe {

/// Against whom damaged frames are counted. A node is one process, so it is its identity, over
/// whichever connection the damage came. Clients and administrators often share a certificate (all
/// mounts of one machine do): there it is one process at one address, and what one of them sends
/// does not shut out the others.
struct health_subject {
  certified_identity who;
  certificate_serial serial; ///< Empty for a node, as the rest.
  std::string host;
  incarnation process; ///< As it says itself: who lies takes part in nobody else's count.
  auto operator<=>(const health_subject&) const = default;

  static health_subject node(const certified_identity& who) { return {who, {}, {}, {}}; }
  /// Whoever showed this certificate, from this address.
  static health_subject of(const certificate_info& shown, const std::string& host,
                           incarnation process) {
    if (shown.who.role == peer_role::node)
      return node(shown.who);
    return {shown.who, shown.serial, host, process};
  }
};

/// Counts damaged frames per peer and decides when one is isolated (FAULT-13, 14): more than
/// `checksum_errors_max` within the window mean a faulty machine or wire, and its answers are worse
/// than none.
class peer_health_state {
public:
  explicit peer_health_state(const transport_options& options) : options_(options) {}

  /// A damaged frame came from the peer. @returns true if this one isolates it.
  bool damaged(const health_subject& peer, boot_time now);
  /// True while the peer must not be talked to.
  bool isolated(const health_subject& peer, boot_time now) const;
  /// Damaged frames since the process started (FAULT-15), or since it was forgotten: of clients
  /// only the `damaged_clients_max` that were damaged last are remembered.
  std::uint64_t errors(const health_subject& peer) const;
  std::size_t size() const { return peers_.size(); }

private:
  struct record {
    std::uint64_t errors = 0;
    std::deque<boot_time> recent;
    boot_time isolated_until;
    boot_time last;
  };
  void forget_oldest_client_but(const health_subject& counted);

  transport_options options_;
  std::map<health_subject, record> peers_;
  std::size_t clients_ = 0; ///< Of those, the ones that are no nodes.
};

} // namespace troupe
