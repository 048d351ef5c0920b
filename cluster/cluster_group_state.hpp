#pragma once

#include "cluster/cluster_config_format.hpp"
#include "cluster/node_lease_state.hpp"
#include "messages/cluster_group.hpp"

#include <deque>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace troupe {

struct cluster_group_options {
  node_lease_options lease;
  std::size_t waiting_max = 1024; ///< Requests waiting for the entry in flight; then errc::busy.
};

/// Names a request until its reply; given by the owner.
using cluster_token = std::uint64_t;

/// The moment of a request.
struct cluster_now {
  boot_time boot;
  boot_time read_lease_until; ///< Until when this replica surely leads; 0 if it does not.
};

/// Orders of `cluster_group_state`, in sequence.
struct propose_rows {
  cluster_row_changes rows; ///< One log entry; answered by `proposal_finished`.
};
struct reply_cluster {
  cluster_token token = 0;
  cluster_response response;
};
/// The committed configuration changed: tell everybody.
struct announce_config {
  cluster_config config;
};
using cluster_group_effects =
  std::vector<std::variant<propose_rows, reply_cluster, announce_config>>;

/// One replica of the cluster group: holds the committed configuration; as leader evaluates
/// requests in sequence, one log entry in flight, and grants node leases. A request is answered
/// only when its entry is committed. Not thread-safe.
class cluster_group_state {
public:
  /// @param committed the rows that this replica had applied when it was opened.
  cluster_group_state(cluster_rows committed, cluster_config decoded,
                      cluster_group_options options = {});

  /// A request of a node, client or operator arrived. A node lease is granted only while this
  /// replica holds the group's raft lease (hazards F6): it counts what it granted, and its
  /// successor waits for that from its own election.
  void request(cluster_token token, const cluster_request& body, const cluster_now& now,
               cluster_group_effects& out);
  /// Consensus says who leads. `ready`: this replica leads and has applied its own-term no-op.
  void role_changed(bool ready, replica_id leader, boot_time now, cluster_group_effects& out);
  /// An entry of the group was committed.
  void applied(const cluster_row_changes& rows, cluster_group_effects& out);
  /// The entry in flight was committed, or leadership was lost while it was in flight.
  void proposal_finished(bool committed, cluster_group_effects& out);
  /// Replaces everything after a state install.
  expected<void> installed(cluster_rows rows, cluster_group_effects& out);
  /// Calls nodes down whose lease and slack ran out.
  void tick(boot_time now, cluster_group_effects& out);

  const cluster_config& config() const { return config_; }
  const cluster_rows& rows() const { return rows_; }
  bool leads() const { return ready_; }
  /// Last report of each drive, as nodes sent them with their lease renewals (leader only).
  const std::map<drive_uuid, drive_report>& reports() const { return reports_; }

private:
  struct waiting_request {
    cluster_token token;
    cluster_request body;
  };
  struct promised_reply {
    cluster_token token;
    cluster_result result;
  };

  void propose_waiting(cluster_group_effects& out);
  expected<cluster_result> evaluate(const cluster_request& body, cluster_config& working) const;
  void renew(cluster_token token, const renew_node_lease& body, const cluster_now& now,
             cluster_group_effects& out);
  void refuse(cluster_token token, error why, cluster_group_effects& out) const;
  void call_down(const std::vector<node_id>& nodes, cluster_group_effects& out);

  cluster_group_options options_;
  cluster_rows rows_;
  cluster_config config_;
  bool ready_ = false;
  replica_id leader_;
  node_lease_granter_state leases_;
  std::map<drive_uuid, drive_report> reports_;
  std::deque<waiting_request> waiting_;
  std::vector<promised_reply> in_flight_;
  std::vector<node_id> going_down_; ///< To be called down by the next entry.
  bool proposed_ = false;
};

} // namespace troupe
