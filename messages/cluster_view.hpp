#pragma once

#include "messages/certificates.hpp"
#include "messages/drive.hpp"
#include "messages/ids.hpp"
#include "messages/units.hpp"

#include <string>
#include <vector>

// What a client or a node knows of the cluster at one config version: enough to find the leader
// of a slot and the drives for a stripe. Pushed as a whole; the newest version wins.

namespace troupe {

struct node_view {
  node_id id;
  std::string address; ///< "host:port" of its listener for whoever gets this view.
  bool up = false;     ///< As the cluster group sees it; a broken link of one's own adds to that.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, node_view& x) {
  return f(x.id, x.address, x.up);
}

struct drive_view {
  drive_uuid uuid;
  node_id node;
  drive_bay bay;
  drive_state state = drive_state::unknown;
  std::uint64_t blocks_total = 0;
  std::uint64_t blocks_free = 0; ///< As last reported; a hint for placement and `statfs`.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, drive_view& x) {
  return f(x.uuid, x.node, x.bay, x.state, x.blocks_total, x.blocks_free);
}

struct replica_view {
  replica_id id;
  node_id node;
  drive_uuid drive;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, replica_view& x) {
  return f(x.id, x.node, x.drive);
}

struct group_view {
  group_id id;
  std::vector<replica_view> replicas;
  replica_id leader; ///< A hint: whom to ask first; 0 if not known.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, group_view& x) {
  return f(x.id, x.replicas, x.leader);
}

/// The slots [first, end) belong to one group.
struct slot_range {
  std::uint16_t first = 0;
  std::uint16_t end = 0;
  group_id group;
  auto operator<=>(const slot_range&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, slot_range& x) {
  return f(x.first, x.end, x.group);
}

struct cluster_view {
  cluster_uuid cluster;
  config_version version;
  snapshot_epoch epoch;
  std::vector<node_view> nodes;
  std::vector<drive_view> drives;
  std::vector<slot_range> slots;  ///< Ascending, without a gap, covering all `slot_count`.
  std::vector<group_view> groups; ///< The metadata partitions; the cluster group is not here.
  std::uint8_t default_level = 0; ///< Number of the protection level of new files.
  std::vector<certificate_serial> revoked; ///< Certificates that nobody may show any more.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, cluster_view& x) {
  return f(x.cluster, x.version, x.epoch, x.nodes, x.drives, x.slots, x.groups, x.default_level,
           x.revoked);
}

/// The group of a slot; group_id{0} if the view has none for it. O(log ranges).
group_id group_of(const cluster_view& view, slot_id slot);
/// nullptr for a stranger. O(n).
const node_view* find_node(const cluster_view& view, node_id id);
const drive_view* find_drive(const cluster_view& view, const drive_uuid& uuid);
const group_view* find_group(const cluster_view& view, group_id id);

} // namespace troupe
