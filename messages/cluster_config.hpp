#pragma once

#include "messages/certificates.hpp"
#include "messages/cluster_view.hpp"
#include "messages/drive.hpp"
#include "messages/ids.hpp"
#include "messages/protection_level.hpp"
#include "messages/units.hpp"

#include <map>
#include <string>
#include <vector>

namespace troupe {

/// What the cluster group last said about a node. Numbers are stored; append only.
enum class node_state : std::uint8_t {
  unknown = 0,
  up = 1,
  down = 2, ///< Its lease and the slack ran out.
  removed = 3,
};
const char* to_string(node_state state);

/// One node as the cluster group knows it.
struct node_record {
  node_id id;
  std::string address; ///< "127.0.0.1:7401": where it listens for nodes.
  node_state state = node_state::unknown;
  incarnation process;        ///< Of its last registered start.
  std::string client_address; ///< Where it listens for clients and administrators.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, node_record& x) {
  return f(x.id, x.address, x.state, x.process, x.client_address);
}

/// One drive as the cluster group knows it. A drive whose uuid is not here is foreign.
struct drive_record {
  drive_uuid id;
  node_id node;
  drive_bay bay;
  drive_state state = drive_state::unknown;
  incarnation mount;
  std::uint64_t blocks_total = 0;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, drive_record& x) {
  return f(x.id, x.node, x.bay, x.state, x.mount, x.blocks_total);
}

/// One replica of a raft group, bound to its drive for ever.
struct replica_record {
  replica_id id;
  drive_uuid drive;
  node_id node;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, replica_record& x) {
  return f(x.id, x.drive, x.node);
}

/// A raft group: the cluster group (0) or a metadata partition.
struct group_record {
  group_id id;
  std::vector<replica_record> replicas; ///< Ascending by id.
  replica_id preferred_leader;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, group_record& x) {
  return f(x.id, x.replicas, x.preferred_leader);
}

/// Everything that the cluster group decides, decoded: small, and the same on all who have the
/// same version.
struct cluster_config {
  cluster_uuid cluster;
  std::string name;
  config_version version;
  snapshot_epoch epoch{1};
  std::map<node_id, node_record> nodes;
  std::map<drive_uuid, drive_record> drives;
  std::map<group_id, group_record> groups;
  std::vector<slot_range> slots; ///< Ascending, without gaps, all 4096.
  protection_level default_level = suggested_level;
  std::vector<protection_level> levels_in_use; ///< Replica counts follow all of them.
  std::uint64_t clients_given = 0;             ///< The highest client id given out.
  std::uint64_t replicas_given = 0;            ///< The highest replica id given out.
  /// Certificates that would still be valid, but are not accepted any more.
  std::map<certificate_serial, revoked_certificate> revoked;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, cluster_config& x) {
  return f(x.cluster, x.name, x.version, x.epoch, x.nodes, x.drives, x.groups, x.slots,
           x.default_level, x.levels_in_use, x.clients_given, x.replicas_given, x.revoked);
}

/// The group that owns a slot, or nullptr if the map has a hole (a damaged map).
const group_record* group_of(const cluster_config& config, slot_id slot);
/// The group's replica with this id, or nullptr.
const replica_record* replica_of(const group_record& group, replica_id id);

} // namespace troupe
