#pragma once

#include "actors/host/cluster_files.hpp"
#include "messages/host_port.hpp"
#include "messages/plan.hpp"
#include "storage/base/env.hpp"

namespace troupe {

/// Makes the directory of a new cluster: CA and certificates, formatted drives, journals with all
/// replicas of the first configuration, node configurations. Blocks.
class cluster_maker {
public:
  explicit cluster_maker(env& files) : files_(files) {}

  /// Looks whether `wish` can be fulfilled and lists the steps; changes nothing. errc codes and
  /// ids: trp::cluster_exists, trp::not_enough_disk_space, trp::level_needs_more,
  /// trp::no_permission.
  expected<std::vector<plan_step>> plan(const cluster_wish& wish);
  /// Carries out one step of such a plan, in order. What a failed step leaves behind is marked as
  /// unfinished and removed by the next plan.
  expected<void> execute(const plan_step& step);
  /// True if `step` belongs to a plan of this class.
  static bool knows(const plan_step& step);

private:
  struct new_drive {
    node_id node;
    drive_bay bay;
    drive_uuid id;
  };

  expected<void> remove_unfinished(const plan_step& step);
  expected<void> begin(const plan_step& step);
  expected<void> format(const plan_step& step);
  expected<void> finish(const plan_step& step);
  expected<void> make_replicas(const cluster_config& config);
  expected<void> make_node_files(const cluster_config& config, node_id node);

  env& files_;
  cluster_wish wish_; ///< Of the plan being executed.
  cluster_uuid cluster_;
  std::vector<new_drive> drives_;
};

} // namespace troupe
