#pragma once

#include "actors/host/certificate_store.hpp"
#include "messages/host_port.hpp"

#include <functional>

namespace troupe {

/// What `cert issue`, `rotate`, `retire` and `revoke` do: plans that look and change nothing, and
/// their steps, each of which may be done again after a crash. A running cluster goes on: its
/// processes load what changed, and nothing is taken away before its successor is trusted.
class certificate_actions {
public:
  using connector =
    std::function<expected<std::unique_ptr<cluster_port>>(const std::string& directory)>;
  certificate_actions(env& files, connector connect)
    : files_(files), connect_(std::move(connect)) {}

  expected<plan> plan_issue(const std::string& directory, const certificate_wish& wish);
  expected<plan> plan_rotate(const std::string& directory, const rotation_wish& wish);
  expected<plan> plan_retire(const std::string& directory, bool force);
  expected<plan> plan_revoke(const std::string& directory, const std::string& which,
                             const std::string& reason);
  expected<void> execute(const plan_step& step);
  /// True if `step` belongs to a plan of this class.
  static bool knows(const plan_step& step);

private:
  expected<void> export_certificate(const plan_step& step);
  expected<void> issue(const plan_step& step);
  expected<void> reload(const plan_step& step);
  expected<void> revoke(const plan_step& step);
  expected<void> change_authority(const plan_step& step);
  expected<void> check_unused(const std::string& directory);
  bool is_running(const std::string& directory) const;

  env& files_;
  connector connect_;
};

} // namespace troupe
