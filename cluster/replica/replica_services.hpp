#pragma once

#include "cluster/replica/replica_volume.hpp"
#include "messages/admin.hpp"
#include "messages/consensus.hpp"
#include "messages/replication.hpp"
#include "storage/base/clock.hpp"

#include <functional>
#include <map>
#include <string>

namespace troupe {

/// What a replica gets from the node it lives on. Everything outlives the replica. One thread.
struct replica_services {
  const clock* time = nullptr;
  replica_volume* volume = nullptr; ///< Of the replica's drive.
  /// Sends to the node of that replica; may lose it.
  std::function<void(consensus_parcel)> send;
  /// Asks the node of `pull_state::source`; the answer may be errc::timeout and the like.
  std::function<void(pull_state, std::function<void(expected<state_piece>)>)> pull;
  /// Until when this node may act (hazards F6).
  std::function<boot_time()> node_lease_until;
  std::function<void(event_severity, const std::string&, std::map<std::string, std::string>)> event;
};

/// Who a replica is.
struct replica_identity {
  group_id group;
  replica_id replica;
  drive_uuid drive;
};

} // namespace troupe
