#pragma once

#include "messages/cluster_config.hpp"
#include "messages/ids.hpp"

#include <memory>

namespace troupe {

// What actors of one process send each other besides the catalogue. None of it leaves the process.

/// Time passed, for one replica.
struct replica_tick {};
/// Time passed, for the node's drives and its membership.
struct node_tick {};
/// Time passed: tick all replicas, in one burst.
struct replicas_tick {};

/// What does this replica say of itself? -> replica_report
struct get_replica_report {};

/// The node has a new configuration.
struct config_arrived {
  std::shared_ptr<const cluster_config> config;
};
/// A configuration was committed by the cluster group, or fetched from a peer.
struct config_learnt {
  std::shared_ptr<const cluster_config> config;
};
/// Somebody on this node met a newer configuration than it has.
struct config_wanted {
  config_version at_least;
};

} // namespace troupe
