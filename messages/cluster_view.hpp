#pragma once

#include "messages/cluster_config.hpp"

#include <map>

namespace troupe {

/// What a gateway knows of the cluster: the configuration, and the hints that change too often to
/// be in it. Pushed as a whole; the highest config version wins, among equal ones the last.
struct cluster_view {
  cluster_config config;
  /// Free 8 KiB blocks as the drives last reported; a drive that is missing has not been heard of.
  std::map<drive_uuid, std::uint64_t> blocks_free;
  /// Whom to ask first in a group. Where it is missing: the preferred leader, then the others.
  std::map<group_id, replica_id> leaders;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, cluster_view& x) {
  return f(x.config, x.blocks_free, x.leaders);
}

} // namespace troupe
