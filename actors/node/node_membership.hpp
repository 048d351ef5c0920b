#pragma once

#include "actors/node/node_services.hpp"
#include "cluster/membership/membership_state.hpp"

#include <functional>
#include <map>
#include <memory>

namespace troupe {

/// Feeds `membership_state` and executes its effects. Reactor thread only.
class node_membership {
public:
  struct wiring {
    std::function<std::vector<drive_record>()> drives;
    std::function<std::vector<drive_report>()> reports;
    std::function<void(cluster_config)> learnt; ///< A configuration came from a peer.
    /// The cluster group's replica of this node, if it has one.
    std::function<void(const cluster_request&, std::function<void(cluster_response)>)> ask_here;
  };
  node_membership(const node_services& services, wiring wires);

  void config_changed(std::shared_ptr<const cluster_config> config) {
    state_.config_changed(std::move(config));
  }
  void tick();
  void drive_changed(const drive_record& drive) { state_.drive_changed(drive); }
  void want(config_version at_least) { state_.want(at_least); }

  boot_time lease_until() const { return state_.lease_until(); }
  const std::map<drive_uuid, drive_report>& cluster_reports() const {
    return state_.cluster_reports();
  }

private:
  membership_now present() const;
  void run(membership_effects& effects);
  void run(ask_cluster& x);
  void run(ask_config& x);
  void run(adopt_config& x);
  void run(membership_event& x);

  const node_services& services_;
  wiring wiring_;
  membership_state state_;
};

} // namespace troupe
