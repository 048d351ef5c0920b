#pragma once

#include "messages/admin.hpp"
#include "messages/cluster_group.hpp"
#include "messages/type_ids.hpp"

#include <functional>
#include <memory>

namespace troupe {

// Requests from other processes for this node itself, on their way to its actor.

struct admin_call {
  admin_request request;
  std::function<void(admin_response)> done;
};
struct view_call {
  std::function<void(cluster_view)> done;
};
struct config_call {
  std::function<void(cluster_config)> done;
};
/// A configuration was committed by the cluster group, or fetched from a peer.
struct config_learnt {
  std::shared_ptr<const cluster_config> config;
};
/// Somebody on this node met a newer configuration than it has.
struct config_wanted {
  config_version at_least;
};

template <>
inline constexpr bool local_message<admin_call> = true;
template <>
inline constexpr bool local_message<view_call> = true;
template <>
inline constexpr bool local_message<config_call> = true;
template <>
inline constexpr bool local_message<config_learnt> = true;
template <>
inline constexpr bool local_message<config_wanted> = true;

} // namespace troupe
