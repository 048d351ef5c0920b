#pragma once

#include "actors/node/node_services.hpp"
#include "cluster/node_lease_state.hpp"
#include "messages/cluster_group.hpp"

#include <functional>
#include <map>
#include <memory>

namespace troupe {

/// A node's side of the cluster group: registers each start, renews the node lease, hears of new
/// configurations. Reactor thread only.
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

  /// Newest configuration that this node knows; decides whom to ask.
  void config_changed(std::shared_ptr<const cluster_config> config);
  void tick(boot_time now);
  /// The state of a drive changed: the cluster group is told.
  void drive_changed(const drive_record& drive);
  /// Somebody here met this version.
  void want(config_version at_least);

  boot_time lease_until() const { return lease_.valid_until(); }
  /// Last reports of all drives of the cluster, as the cluster group knows them.
  const std::map<drive_uuid, drive_report>& cluster_reports() const { return cluster_reports_; }

private:
  void ask(const cluster_request& request, std::function<void(cluster_response)> done);
  void register_here();
  void renew(boot_time now);
  void tell_drive_states();
  void fetch();
  node_id target() const;
  void note_answer(const cluster_response& response);

  const node_services& services_;
  wiring wiring_;
  std::shared_ptr<const cluster_config> config_;
  node_lease_holder_state lease_;
  replica_id leader_;    ///< Of the cluster group, as last heard.
  std::size_t turn_ = 0; ///< Whom to ask next while no leader is known.
  bool registered_ = false;
  bool registering_ = false;
  bool fetching_ = false;
  config_version wanted_;
  std::map<drive_uuid, drive_record> untold_; ///< Drive states that the cluster group lacks.
  std::map<drive_uuid, drive_report> cluster_reports_;
};

} // namespace troupe
