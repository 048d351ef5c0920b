#pragma once

#include "messages/cluster_config.hpp"
#include "messages/error.hpp"
#include "messages/protection_level.hpp"

#include <string>
#include <vector>

namespace troupe {

/// A node and its drives as they shall be when the cluster begins.
struct initial_node {
  std::string address;            ///< Where it will listen for nodes.
  std::string client_address;     ///< Where it will listen for clients.
  std::vector<drive_uuid> drives; ///< In order of bays.
  std::uint64_t drive_blocks = 0; ///< Data blocks of each drive.
};

/// What a new cluster is made from.
struct initial_cluster {
  cluster_uuid cluster;
  std::string name;
  std::vector<initial_node> nodes; ///< Node ids count from 1 in this order.
  protection_level level = suggested_level;
  std::uint32_t partitions = 16;
};

/// The first configuration of a cluster: nodes, drives, partitions with their slots, and where all
/// replicas live. Every node starts from this same one, so that nobody has to be asked first.
/// @returns errc::invalid_argument with trp::level_needs_more if the level cannot be reached with
/// these nodes and drives (the context says what would work); errc::invalid_argument for no node,
/// no drive or a number of partitions that is not between 1 and 4096.
expected<cluster_config> make_initial_config(const initial_cluster& wish);

} // namespace troupe
