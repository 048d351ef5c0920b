#pragma once

#include "messages/local_messages.hpp"
#include "messages/type_ids.hpp"

#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

// Every conversation that our actors have: who understands which message, and what he answers. A
// message of the catalogue may come from another process; the dispatcher checks the sender's role
// and the node's actor passes it on. An answer may be an error instead (`to_caf`).
//
//     other process ──> dispatcher ──> node/N ──┬──> node/N/drive/B   drive_interface
//                                               ├──> part/G/R         partition_interface
//                                               └──> cluster/R        cluster_group_interface
//
// A client process (mount, command) has no actors: one `gateway_state` on one reactor asks nodes.

namespace troupe {

template <>
inline constexpr bool local_message<replica_tick> = true;
template <>
inline constexpr bool local_message<node_tick> = true;
template <>
inline constexpr bool local_message<replicas_tick> = true;
template <>
inline constexpr bool local_message<get_replica_report> = true;
template <>
inline constexpr bool local_message<replica_report> = true;
template <>
inline constexpr bool local_message<read_partition_rows> = true;
template <>
inline constexpr bool local_message<partition_rows> = true;
template <>
inline constexpr bool local_message<config_arrived> = true;
template <>
inline constexpr bool local_message<config_learnt> = true;
template <>
inline constexpr bool local_message<config_wanted> = true;

/// `node/N/drive/B`: one drive. Owned and started again by its node.
using drive_interface = caf::typed_actor< //
  caf::replies_to<store_run>::with<run_stored>, caf::replies_to<read_run>::with<run_data>,
  caf::replies_to<free_runs>::with<runs_freed>, caf::replies_to<abandon_write>::with<runs_freed>,
  caf::replies_to<get_drive_report>::with<drive_report>>;

/// What every replica understands. It ends by itself when it must be opened anew from its journal.
using replica_interface = caf::typed_actor< //
  caf::reacts_to<consensus_parcel>, caf::reacts_to<replica_tick>, caf::reacts_to<config_arrived>,
  caf::replies_to<pull_state>::with<state_piece>,
  caf::replies_to<get_replica_report>::with<replica_report>>;

/// `cluster/R`: a replica of the cluster group.
using cluster_group_interface =
  replica_interface::extend<caf::replies_to<cluster_request>::with<cluster_response>>;

/// `part/G/R`: a replica of a metadata partition.
using partition_interface =
  replica_interface::extend<caf::replies_to<meta_request>::with<meta_response>,
                            caf::replies_to<read_partition_rows>::with<partition_rows>>;

/// `node/N`: owns drives and replicas, keeps the node in the cluster group.
using node_interface = caf::typed_actor< //
  caf::replies_to<admin_request>::with<admin_response>,
  caf::replies_to<get_cluster_view>::with<cluster_view>,
  caf::replies_to<get_cluster_config>::with<cluster_config>, caf::reacts_to<config_learnt>,
  caf::reacts_to<config_wanted>, caf::reacts_to<node_tick>, caf::reacts_to<replicas_tick>>;

} // namespace troupe
