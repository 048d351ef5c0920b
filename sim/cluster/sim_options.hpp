#pragma once

#include "cluster/cluster_group_state.hpp"
#include "cluster/gateway/gateway_options.hpp"
#include "cluster/partition/partition_options.hpp"
#include "cluster/replica/metadata_volume.hpp"
#include "cluster/replica/replica_base.hpp"
#include "cluster/restart_state.hpp"
#include "messages/protection_level.hpp"
#include "sim/cluster/cluster_run.hpp"
#include "sim/random.hpp"
#include "storage/block/block_store_options.hpp"

namespace troupe {

/// How a simulated cluster is made: everything of a real one, small and in a third of the time, so
/// that logs cycle, states are pulled and leases run out within seconds.
struct sim_options {
  std::uint32_t nodes = 0;
  std::uint32_t drives_per_node = 0;
  protection_level level = suggested_level;
  std::uint32_t partitions = 2;
  std::uint32_t clients = 3;

  std::uint64_t drive_bytes = 0;
  std::uint64_t drive_log_bytes = 0;
  std::uint64_t pause_between_calls_ms = 0; ///< Of a worker of a client, at most.

  block_store_options drives;
  journal_options journal;
  volume_options volume;
  replica_options replicas;
  partition_options partitions_options;
  cluster_group_options cluster;
  restart_options restarts;
  gateway_options gateway;
  std::uint32_t replica_tick_ms = 33;
  std::uint32_t node_tick_ms = 67;
  std::uint32_t ask_cluster_ms = 700;
  std::uint32_t frees_ms = 3000;
  std::uint32_t pull_ms = 3000;
  std::uint32_t meta_ms = 4000;
  std::uint32_t drive_ms = 4000;
  std::uint32_t view_ms = 700;
};

/// Draws the shape of the cluster of a run.
sim_options draw_options(const cluster_run& run, random_source& random);

} // namespace troupe
