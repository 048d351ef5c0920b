#pragma once

#include "actors/node/node_base.hpp"
#include "actors/node/node_drives.hpp"
#include "actors/node/node_membership.hpp"
#include "actors/node/node_replicas.hpp"
#include "actors/node/node_services.hpp"

#include <caf/stateful_actor.hpp>

#include <memory>

namespace troupe {

/// What `node/3` is: the root of a node's actors. It owns and supervises the drives and replicas,
/// keeps the node in the cluster group, and answers questions about the node itself.
struct node_shell {
  const node_services* services = nullptr;
  std::shared_ptr<const cluster_config> config;
  std::unique_ptr<node_drives> drives;
  std::unique_ptr<node_replicas> replicas;
  std::unique_ptr<node_membership> membership;
  boot_time started;
  static inline const char* name = "node";
};

using node_self = caf::stateful_actor<node_shell, node_base>;

/// @param first  the newest configuration that the node's directory has.
/// Mounts and opens everything before it returns (blocks: start of the node), then serves.
node_interface::behavior_type node_actor(node_self* self, const node_services* services,
                                         dispatcher* messages,
                                         std::shared_ptr<const cluster_config> first);

} // namespace troupe
