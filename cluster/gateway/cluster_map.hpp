#pragma once

#include "messages/cluster_view.hpp"
#include "messages/error.hpp"
#include "storage/base/clock.hpp"
#include "storage/layout/unit_placement.hpp"

#include <map>
#include <optional>
#include <set>
#include <vector>

namespace troupe {

/// What the gateway believes about the cluster: the view that it was told, and what it found out
/// by itself: broken links, leaders, drives that failed or were full a moment ago. Pure.
class cluster_map {
public:
  explicit cluster_map(cluster_view view);

  /// Takes a newer view. @returns false, and changes nothing, for an older one.
  bool update(cluster_view view);
  const cluster_view& view() const { return view_; }

  /// One's own link to a node. Until something is said of it, it counts as up.
  void set_link(node_id node, bool up);
  bool link_up(node_id node) const { return !broken_links_.contains(node); }

  // -- partitions
  /// Whom to ask in a group: the leader as far as known, else one replica after the other, those
  /// with a link first. Nothing if the view does not know the group.
  std::optional<replica_view> replica_to_ask(group_id group) const;
  void leader_found(group_id group, replica_id leader);
  /// `replica` did not answer as a leader; `hint` says who might (0: unknown).
  void leader_lost(group_id group, replica_id replica, replica_id hint);

  // -- drives
  const drive_view* drive(const drive_uuid& uuid) const;
  /// Whether asking the drive for data makes sense now.
  bool readable(const drive_uuid& uuid) const;
  /// Whether the cluster says that what was on the drive is gone.
  bool lost(const drive_uuid& uuid) const;
  /// Whether partitions that know this view take new units on the drive.
  bool writable(const drive_uuid& uuid) const;
  /// The drives that may take a unit of a new stripe now.
  std::vector<drive_candidate> candidates(boot_time now) const;
  /// The drives that are not among the candidates, so that a degraded pool is known to be one.
  std::vector<pool_node> left_out(std::span<const drive_candidate> candidates) const;
  /// A store on the drive failed: no new units for a while.
  void rest(const drive_uuid& uuid, boot_time until) { resting_[uuid] = until; }
  /// The drive had no room: none until the next view says otherwise.
  void full(const drive_uuid& uuid);
  /// The drive answered late: taken only if its node has nothing as good.
  void slow(const drive_uuid& uuid, boot_time until) { slow_[uuid] = until; }

  /// 8 KiB blocks of the drives that take data: all and free ones.
  std::pair<std::uint64_t, std::uint64_t> space() const;

private:
  cluster_view view_;
  std::map<drive_uuid, std::size_t> drive_index_;
  std::set<node_id> broken_links_;
  std::map<group_id, replica_id> leaders_; ///< Whom to ask; found or guessed.
  std::map<drive_uuid, boot_time> resting_;
  std::map<drive_uuid, boot_time> slow_;
};

/// Whether a drive in this state takes new runs.
bool takes_data(drive_state state);

} // namespace troupe
