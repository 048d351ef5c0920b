#pragma once

#include "messages/cluster_config.hpp"
#include "messages/error.hpp"
#include "messages/roles.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

// What nodes, clients and operators ask of the cluster group's leader. Every node accepts these
// and passes them on to the leader that it knows.

namespace troupe {

/// A node process has started: its address, and its drives as it found them. Committed before the
/// node acts. -> cluster_done
struct register_node {
  node_id node;
  incarnation process;
  std::string address;
  std::vector<drive_record> drives;
  std::string client_address;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, register_node& x) {
  return f(x.node, x.process, x.address, x.drives, x.client_address);
}

/// Once a second from every node (hazards F6). Not replicated. -> node_lease_granted
struct renew_node_lease {
  node_id node;
  incarnation process;
  std::vector<drive_report> drives;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, renew_node_lease& x) {
  return f(x.node, x.process, x.drives);
}

/// A new client id, never given twice. -> client_admitted
struct admit_client {
  std::string purpose; ///< "mount /mnt/troupe", "put": for people.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, admit_client& x) {
  return f(x.purpose);
}

/// A drive changed its state. -> cluster_done
struct set_drive_state {
  drive_uuid drive;
  drive_state state = drive_state::unknown;
  incarnation mount;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, set_drive_state& x) {
  return f(x.drive, x.state, x.mount);
}

/// A certificate shall not be accepted any more. -> cluster_done
struct revoke_certificate {
  revoked_certificate certificate;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, revoke_certificate& x) {
  return f(x.certificate);
}

using cluster_request =
  std::variant<register_node, renew_node_lease, admit_client, set_drive_state, revoke_certificate>;

/// Who may ask this; the node that passes it on checks it against the sender's certificate.
role_set senders_of(const cluster_request& request);

struct cluster_done {
  config_version version; ///< The version that holds the change.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, cluster_done& x) {
  return f(x.version);
}
/// The lease counts from when the renewal was *sent*.
struct node_lease_granted {
  std::uint32_t lease_ms = 0;
  config_version version;
  std::vector<drive_report> drives; ///< Last reports of all drives: where there is room.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, node_lease_granted& x) {
  return f(x.lease_ms, x.version, x.drives);
}
struct client_admitted {
  client_id client;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, client_admitted& x) {
  return f(x.client);
}

using cluster_result = std::variant<cluster_done, node_lease_granted, client_admitted>;

struct cluster_response {
  std::variant<cluster_result, error> outcome;
  replica_id leader; ///< With errc::not_leader: whom to ask, if known.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, cluster_response& x) {
  return f(x.outcome, x.leader);
}

// What any node answers from what it knows.

/// -> cluster_view
struct get_cluster_view {
  template <class Inspector>
  friend typename Inspector::result_type inspect(Inspector& f, get_cluster_view&) {
    return f();
  }
};
/// -> cluster_config
struct get_cluster_config {
  template <class Inspector>
  friend typename Inspector::result_type inspect(Inspector& f, get_cluster_config&) {
    return f();
  }
};

} // namespace troupe
