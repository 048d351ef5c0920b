#pragma once

#include "messages/certificates.hpp"
#include "messages/drive.hpp"
#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "messages/units.hpp"

#include <map>
#include <string>
#include <variant>
#include <vector>

// What an operator asks of one node, and what it answers: the substance of `status`, `actors`,
// `event` and `part`. Only the admin role may send these.

namespace troupe {

/// Numbers are sent; append only.
enum class replica_role : std::uint8_t { follower = 0, candidate = 1, leader = 2, learner = 3 };
const char* to_string(replica_role role);

/// One raft replica on the answering node.
struct replica_report {
  group_id group;
  replica_id replica;
  drive_uuid drive;
  replica_role role = replica_role::follower;
  replica_id leader; ///< As this replica knows it; 0 if none.
  replica_id preferred_leader;
  std::uint64_t term = 0;
  std::uint64_t commit_index = 0;
  std::uint64_t applied_index = 0;
  std::uint64_t checkpoint_index = 0;
  std::uint64_t commits = 0;       ///< Entries committed while this replica led, since it started.
  std::uint64_t requests = 0;      ///< Requests answered since it started.
  bool serving = false;            ///< Leads, is ready and holds its leases.
  std::vector<replica_id> missing; ///< Replicas that the leader has not heard lately.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, replica_report& x) {
  return f(x.group, x.replica, x.drive, x.role, x.leader, x.preferred_leader, x.term,
           x.commit_index, x.applied_index, x.checkpoint_index, x.commits, x.requests, x.serving,
           x.missing);
}

/// One connection of the answering node to a peer.
struct link_report {
  std::string peer; ///< "node/3", "client/17"
  bool connected = false;
  bool encrypted = false;
  std::uint64_t round_trip_us = 0; ///< Smoothed.
  std::uint64_t sent_bytes = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t checksum_errors = 0;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, link_report& x) {
  return f(x.peer, x.connected, x.encrypted, x.round_trip_us, x.sent_bytes, x.received_bytes,
           x.checksum_errors);
}

/// -> node_status
struct get_node_status {
  template <class Inspector>
  friend typename Inspector::result_type inspect(Inspector& f, get_node_status&) {
    return f();
  }
};
struct node_status {
  node_id node;
  std::uint32_t pid = 0;
  incarnation process;
  std::string version; ///< Of the program.
  config_version config;
  bool lease_valid = false;
  std::string io; ///< "io_uring" or "thread pool"
  std::uint64_t uptime_ms = 0;
  std::uint64_t cpu_ms = 0;
  std::uint64_t resident_bytes = 0;
  std::uint32_t descriptors = 0;
  std::vector<drive_report> drives;
  std::vector<replica_report> replicas;
  std::vector<link_report> links;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, node_status& x) {
  return f(x.node, x.pid, x.process, x.version, x.config, x.lease_valid, x.io, x.uptime_ms,
           x.cpu_ms, x.resident_bytes, x.descriptors, x.drives, x.replicas, x.links);
}

/// One running actor.
struct actor_report {
  std::string path;  ///< "node/3/drive/2"
  std::string kind;  ///< "drive"
  std::string state; ///< What it says of itself, in a few words.
  std::uint64_t messages = 0;
  std::uint64_t restarts = 0;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, actor_report& x) {
  return f(x.path, x.kind, x.state, x.messages, x.restarts);
}
/// Actors of the node whose path matches (`*` any text, `?` any character). -> actor_list
struct list_actors {
  std::string glob;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, list_actors& x) {
  return f(x.glob);
}
struct actor_list {
  std::vector<actor_report> actors;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, actor_list& x) {
  return f(x.actors);
}
/// Kills one actor of the node as a fault would; its supervisor restarts it. -> actor_list (it)
struct kill_actor {
  std::string path;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, kill_actor& x) {
  return f(x.path);
}

/// Numbers are sent; append only.
enum class event_severity : std::uint8_t { debug = 0, info = 1, warn = 2, error = 3 };
const char* to_string(event_severity severity);

/// Something that an operator may want to know. Kept in a ring per node, newest last.
struct event_record {
  std::uint64_t number = 0; ///< Counts the node's events since its process started.
  node_id node;
  wall_time time;
  event_severity severity = event_severity::info;
  std::string name; ///< "node_down", "unit_reconstructed": stable.
  std::map<std::string, std::string> fields;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, event_record& x) {
  return f(x.number, x.node, x.time, x.severity, x.name, x.fields);
}
/// Events above `after`, at least as severe, at most `count_max`, oldest first. -> event_list
struct list_events {
  std::uint64_t after = 0;
  event_severity severity_min = event_severity::info;
  std::uint32_t count_max = 1000;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, list_events& x) {
  return f(x.after, x.severity_min, x.count_max);
}
struct event_list {
  std::vector<event_record> events;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, event_list& x) {
  return f(x.events);
}
/// A client saw something worth an event (damage that it reconstructed). One-way.
struct raise_event {
  event_record event;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, raise_event& x) {
  return f(x.event);
}

/// The options that the node really runs with. -> effective_config
struct get_effective_config {
  template <class Inspector>
  friend typename Inspector::result_type inspect(Inspector& f, get_effective_config&) {
    return f();
  }
};
struct effective_config {
  std::map<std::string, std::string> options; ///< "lease.lease_ms" -> "8000"
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, effective_config& x) {
  return f(x.options);
}

/// The certificates that the node works with; with `reload` it looks at its files first, with
/// `renew_links` it then dials its peers again, gently: they may show other certificates now.
/// -> certificate_report
struct get_certificates {
  bool reload = false;
  bool renew_links = false;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, get_certificates& x) {
  return f(x.reload, x.renew_links);
}
/// The certificate of a peer that is connected.
struct peer_certificate_report {
  bool dialled = false; ///< The answering node dialled it.
  certificate_info certificate;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, peer_certificate_report& x) {
  return f(x.dialled, x.certificate);
}
struct certificate_report {
  certificate_info own;
  std::vector<certificate_info> authorities; ///< Of the CAs that it trusts; `authority` is theirs.
  std::vector<peer_certificate_report> peers;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, certificate_report& x) {
  return f(x.own, x.authorities, x.peers);
}

/// All rows of one partition as its leader holds them, for `fsck --check`, in chunks.
/// -> partition_rows
struct read_partition_rows {
  group_id group;
  std::string after_key; ///< Exclusive; empty from the beginning.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, read_partition_rows& x) {
  return f(x.group, x.after_key);
}
struct partition_rows {
  std::vector<std::pair<std::string, std::string>> rows; ///< Ascending.
  bool end = false;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, partition_rows& x) {
  return f(x.rows, x.end);
}

using admin_request = std::variant<get_node_status, list_actors, kill_actor, list_events,
                                   get_effective_config, read_partition_rows, get_certificates>;
using admin_result = std::variant<node_status, actor_list, event_list, effective_config,
                                  partition_rows, certificate_report>;

/// Who may ask this; the answering actor checks it against the sender's certificate.
role_set senders_of(const admin_request& request);

/// The answer to an `admin_request`.
struct admin_response {
  std::variant<admin_result, error> outcome;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, admin_response& x) {
  return f(x.outcome);
}

} // namespace troupe
