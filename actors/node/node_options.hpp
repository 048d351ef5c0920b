#pragma once

#include "actors/metadata/open_volume.hpp"
#include "actors/transport/transport_options.hpp"
#include "cluster/cluster_group_state.hpp"
#include "cluster/partition/partition_options.hpp"
#include "cluster/replica/replica_base.hpp"
#include "cluster/restart_state.hpp"
#include "storage/base/hold_unsynced_env.hpp"
#include "storage/block/block_store_options.hpp"

#include <map>
#include <string>

namespace troupe {

/// Every option of a node. `node.json` may override those that `effective` names.
struct node_options {
  transport_options transport;
  file_io_options io;
  worker_pool_options workers;
  block_store_options drives;
  metadata_options metadata;
  replica_options replicas;
  partition_options partitions;
  cluster_group_options cluster;
  restart_options restarts;
  /// Test mode: the death of the process is a power cut of the node.
  hold_unsynced_options hold_unsynced;
  std::uint32_t replica_tick_ms = 100; ///< Ticks of all replicas, in one burst.
  std::uint32_t node_tick_ms = 200;
  std::uint32_t ask_cluster_ms = 2000; ///< For one answer of the cluster group.
  std::uint32_t frees_ms = 10'000;     ///< For a drive to free runs.
  std::uint32_t stall_ms = 1000;       ///< A turn of the loop that lasted so long is an event.
};

/// Reads the overrides of a configuration file into `options`.
/// @returns errc::invalid_argument (trp::bad_config_file) naming an unknown name or a bad value.
expected<void> override_options(const std::map<std::string, std::string>& overrides,
                                node_options& options);
/// All options that can be overridden, by name, as they are in force.
std::map<std::string, std::string> effective(const node_options& options);

} // namespace troupe
