#pragma once

#include "actors/transport/transport_options.hpp"
#include "storage/base/clock.hpp"

#include <deque>
#include <map>

namespace troupe {

/// Counts damaged frames per peer and decides when one is isolated (FAULT-13, 14): more than
/// `checksum_errors_max` within the window mean a faulty machine or wire, and its answers are worse
/// than none.
class peer_health_state {
public:
  explicit peer_health_state(const transport_options& options) : options_(options) {}

  /// A damaged frame came from the peer. @returns true if this one isolates it.
  bool damaged(const certified_identity& peer, boot_time now);
  /// True while the peer must not be talked to.
  bool isolated(const certified_identity& peer, boot_time now) const;
  /// Damaged frames since the process started (FAULT-15).
  std::uint64_t errors(const certified_identity& peer) const;

private:
  struct record {
    std::uint64_t errors = 0;
    std::deque<boot_time> recent;
    boot_time isolated_until;
  };
  transport_options options_;
  std::map<certified_identity, record> peers_;
};

} // namespace troupe
