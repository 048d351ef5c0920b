#pragma once

#include "cluster/node_lease_state.hpp"
#include "messages/admin.hpp"
#include "messages/cluster_group.hpp"

#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace troupe {

/// Names one question until it is answered; never reused.
using membership_token = std::uint64_t;

/// Ask the cluster group through `to`; this node itself is asked through its own replica. Answer
/// with `answered`, a question that got lost as an error.
struct ask_cluster {
  membership_token token = 0;
  node_id to;
  cluster_request request;
};
/// Ask a peer for its configuration. Answer with `fetched`.
struct ask_config {
  membership_token token = 0;
  node_id to;
};
/// A configuration came from a peer: everybody here goes by it, if it is newer.
struct adopt_config {
  cluster_config config;
};
struct membership_event {
  event_severity severity = event_severity::info;
  std::string name;
  std::map<std::string, std::string> fields;
};
/// What the owner must do after a call, in this order.
using membership_effects =
  std::vector<std::variant<ask_cluster, ask_config, adopt_config, membership_event>>;

/// What the node knows at the moment of an input.
struct membership_now {
  boot_time boot;
  std::vector<drive_record> drives;  ///< Told when the node registers.
  std::vector<drive_report> reports; ///< Told with every renewal.
};

/// A node's side of the cluster group: registers each start, renews the node lease, tells of drives
/// that changed, hears of new configurations. The same inputs give the same effects. Not
/// thread-safe.
class membership_state {
public:
  /// @param client_address  where it listens for clients; empty: at `address`, too.
  membership_state(node_id self, incarnation process, std::string address, node_lease_options lease,
                   std::string client_address = {});

  /// The newest configuration that this node knows; decides whom to ask.
  void config_changed(std::shared_ptr<const cluster_config> config);
  void tick(const membership_now& now, membership_effects& out);
  /// The state of a drive changed: the cluster group is told.
  void drive_changed(const drive_record& drive);
  /// Somebody here met this version.
  void want(config_version at_least);
  void answered(membership_token token, const cluster_response& response, const membership_now& now,
                membership_effects& out);
  void fetched(membership_token token, expected<cluster_config> config, membership_effects& out);

  boot_time lease_until() const { return lease_.valid_until(); }
  bool registered() const { return registered_; }
  /// Last reports of all drives of the cluster, as the cluster group knows them.
  const std::map<drive_uuid, drive_report>& cluster_reports() const { return cluster_reports_; }

private:
  struct register_sent {};
  struct renewal_sent {
    boot_time at;
  };
  struct drive_told {
    drive_record drive;
  };
  using question = std::variant<register_sent, renewal_sent, drive_told>;

  void ask(const cluster_request& request, question what, membership_effects& out);
  void take(const register_sent& sent, const cluster_response& response, const membership_now& now,
            membership_effects& out);
  void take(const renewal_sent& sent, const cluster_response& response);
  void take(const drive_told& sent, const cluster_response& response);
  void register_here(const membership_now& now, membership_effects& out);
  void renew(const membership_now& now, membership_effects& out);
  void tell_drive_states(membership_effects& out);
  void fetch(membership_effects& out);
  node_id target() const;
  void note_answer(const cluster_response& response);

  node_id self_;
  incarnation process_;
  std::string address_;
  std::string client_address_;
  std::shared_ptr<const cluster_config> config_;
  node_lease_holder_state lease_;
  replica_id leader_;    ///< Of the cluster group, as last heard.
  std::size_t turn_ = 0; ///< Whom to ask next while no leader is known.
  bool registered_ = false;
  bool registering_ = false;
  membership_token fetching_ = 0; ///< 0: nobody is asked for a configuration.
  config_version wanted_;
  membership_token tokens_ = 0;
  std::map<membership_token, question> asked_;
  std::map<drive_uuid, drive_record> untold_; ///< Drive states that the cluster group lacks.
  std::map<drive_uuid, drive_report> cluster_reports_;
};

} // namespace troupe
