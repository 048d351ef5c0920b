#pragma once

#include "messages/consensus.hpp"
#include "storage/base/clock.hpp"

#include <cstdint>
#include <map>

namespace troupe {

/// What a leader remembers about the answers of its members in the current term, and the read
/// lease that follows. The rule: a voter that heard the leader at time t (after the leader sent at
/// s <= t) grants no vote before t + election timeout, so while a majority answered messages sent
/// at s or later, no other leader exists before s + election timeout. Clocks may differ in rate by
/// less than the slack.
class leader_lease {
public:
  struct contact {
    boot_time answered;         ///< When the newest answer came.
    std::uint64_t heard_ns = 0; ///< When the newest message that it answered was sent.
  };

  /// A term begins: nothing is known about anybody.
  void begin_term();
  /// An answer in the current term to a message of this leader sent at `heard_ns` (0: unknown).
  void answered(replica_id from, boot_time now, std::uint64_t heard_ns);
  /// No lease for the rest of the term: somebody was told to take over.
  void drop() { dropped_ = true; }
  bool dropped() const { return dropped_; }

  /// End of the lease; 0 if there is none. `self` counts as heard at any time.
  boot_time until(const group_configuration& members, replica_id self,
                  std::uint64_t election_timeout_ns, std::uint32_t slack_percent) const;
  /// Nothing known gives zeros.
  contact last(replica_id from) const;

private:
  std::map<replica_id, contact> contacts_;
  bool dropped_ = false;
};

} // namespace troupe
