#pragma once

#include "messages/ids.hpp"
#include "storage/base/clock.hpp"

#include <map>
#include <optional>
#include <vector>

namespace troupe {

/// Times of the node lease (hazards F6). The lease is longer than two elections of the cluster
/// group, so that one failed election does not stop every partition.
struct node_lease_options {
  std::uint64_t lease_ns = 8'000'000'000;
  std::uint64_t slack_ns = 1'000'000'000;   ///< Clock drift over one lease, at most.
  std::uint64_t renewal_ns = 1'000'000'000; ///< How often a node renews.
};

/// The node's half: may this node lead partitions, grant leases and accept data writes now?
/// Counts from the *sending* of the renewal that was answered. Not thread-safe.
class node_lease_holder_state {
public:
  explicit node_lease_holder_state(node_lease_options options = {}) : options_(options) {}

  /// True if a renewal is due; then the caller sends one and tells `sent`.
  bool renewal_due(boot_time now) const;
  void sent(boot_time now);
  /// The renewal that was sent at `sent_at` was granted for `lease_ns`.
  void granted(boot_time sent_at, std::uint64_t lease_ns);
  bool valid(boot_time now) const { return now < valid_until_; }
  boot_time valid_until() const { return valid_until_; }

private:
  node_lease_options options_;
  std::optional<boot_time> last_sent_;
  boot_time valid_until_{};
};

/// The cluster group leader's half: who may still be acting? Lives in memory; a new leader counts
/// a full lease for every node from its own election, because it cannot know what its predecessor
/// granted. Not thread-safe.
class node_lease_granter_state {
public:
  explicit node_lease_granter_state(node_lease_options options = {}) : options_(options) {}

  /// This replica became the leader: every node of `nodes` may hold a lease granted just now.
  void elected(const std::vector<node_id>& nodes, boot_time now);
  /// Leadership is gone: forgets everything.
  void deposed();
  /// A renewal arrived and is granted. @returns the lease in ns.
  std::uint64_t renewed(node_id node, boot_time now);
  /// Nodes whose lease and slack have run out; they hold no lease, by any clock.
  std::vector<node_id> expired(boot_time now) const;

private:
  node_lease_options options_;
  std::map<node_id, boot_time> last_grant_;
};

} // namespace troupe
