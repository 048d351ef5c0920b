#pragma once

#include "cluster/replica/cluster_replica.hpp"
#include "cluster/replica/partition_replica.hpp"
#include "actors/group/replica_messages.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <variant>

namespace troupe {

/// What `part/17/5` is: a replica of the cluster group or of a metadata partition.
struct replica_shell {
  std::unique_ptr<cluster_replica> cluster;     ///< One of the two.
  std::unique_ptr<partition_replica> partition; ///< One of the two.
  static inline const char* name = "replica";

  replica_base& base() { return cluster ? static_cast<replica_base&>(*cluster) : *partition; }
};

/// Reason with which a replica ends that must be opened anew from its journal.
inline constexpr auto replica_must_reopen = caf::exit_reason::user_shutdown;

/// Runs a replica, opened from `state`, until it is killed, fails, or must be opened anew
/// (`replica_must_reopen`).
caf::behavior replica_actor(caf::stateful_actor<replica_shell>* self,
                            std::shared_ptr<replica_shell> shell,
                            std::shared_ptr<durable_state> state);

} // namespace troupe
