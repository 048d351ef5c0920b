#pragma once

#include "messages/cluster_config.hpp"
#include "messages/cluster_view.hpp"

#include <map>

namespace troupe {

/// What clients are told: the configuration, the room that the drives last reported, and who
/// leads each partition as far as the teller knows.
cluster_view view_of(const cluster_config& config,
                     const std::map<drive_uuid, drive_report>& reports,
                     const std::map<group_id, replica_id>& leaders);

} // namespace troupe
