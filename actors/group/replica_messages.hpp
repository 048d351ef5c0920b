#pragma once

#include "messages/cluster_group.hpp"
#include "messages/metadata.hpp"
#include "messages/replication.hpp"
#include "messages/type_ids.hpp"

#include <functional>
#include <memory>
#include <string>

namespace troupe {

// What the node's actor sends the replicas of its process, besides `consensus_parcel`. The answer
// goes to `done`, once, also if the replica dies before (`answered_surely`).

struct meta_call {
  meta_request request;
  std::function<void(meta_response)> done;
};
struct cluster_call {
  cluster_request request;
  std::function<void(cluster_response)> done;
};
struct pull_call {
  pull_state request;
  std::function<void(expected<state_piece>)> done;
};
struct rows_call {
  read_partition_rows request;
  std::function<void(expected<partition_rows>)> done;
};
struct report_call {
  std::function<void(replica_report)> done;
};
/// The node has a new configuration.
struct config_arrived {
  std::shared_ptr<const cluster_config> config;
};
/// Time passed.
struct replica_tick {};

template <>
inline constexpr bool local_message<meta_call> = true;
template <>
inline constexpr bool local_message<cluster_call> = true;
template <>
inline constexpr bool local_message<pull_call> = true;
template <>
inline constexpr bool local_message<rows_call> = true;
template <>
inline constexpr bool local_message<report_call> = true;
template <>
inline constexpr bool local_message<config_arrived> = true;
template <>
inline constexpr bool local_message<replica_tick> = true;

} // namespace troupe
