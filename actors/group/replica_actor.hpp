#pragma once

#include "actors/kit/traced.hpp"
#include "cluster/replica/cluster_replica.hpp"
#include "cluster/replica/partition_replica.hpp"
#include "messages/interfaces.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <memory>
#include <string>

namespace troupe {

/// What `cluster/3` is.
struct cluster_group_shell {
  std::unique_ptr<cluster_replica> replica;
  static inline const char* name = "cluster group";
};
/// What `part/17/5` is.
struct partition_shell {
  std::unique_ptr<partition_replica> replica;
  static inline const char* name = "partition";
};
using cluster_group_self =
  caf::stateful_actor<cluster_group_shell, traced<cluster_group_interface::base>>;
using partition_self = caf::stateful_actor<partition_shell, traced<partition_interface::base>>;

/// Reason with which a replica ends that must be opened anew from its journal.
inline constexpr auto replica_must_reopen = caf::exit_reason::user_shutdown;

/// Run a replica, opened from `state`, until it is killed, fails, or must be opened anew
/// (`replica_must_reopen`).
cluster_group_interface::behavior_type
cluster_group_actor(cluster_group_self* self, std::string path,
                    std::shared_ptr<cluster_group_shell> shell,
                    std::shared_ptr<durable_state> state);
partition_interface::behavior_type partition_actor(partition_self* self, std::string path,
                                                   std::shared_ptr<partition_shell> shell,
                                                   std::shared_ptr<durable_state> state);

} // namespace troupe
