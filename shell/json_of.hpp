#pragma once

#include "messages/cluster_port.hpp"
#include "messages/plan.hpp"

#include <nlohmann/json.hpp>

namespace troupe::shell {

/// What `--json` prints of each kind of report. Field names are stable; ids of nodes, partitions
/// and replicas are numbers, uuids and LINs are strings as people see them.
nlohmann::json json_of(const error& x);
nlohmann::json json_of(const plan& x);
nlohmann::json json_of(const inode_attributes& x);
nlohmann::json json_of(const drive_report& x);
nlohmann::json json_of(const replica_report& x);
nlohmann::json json_of(const link_report& x);
nlohmann::json json_of(const actor_report& x);
nlohmann::json json_of(const event_record& x);
nlohmann::json json_of(const file_layout& x);
nlohmann::json json_of(const fsck_report& x);

} // namespace troupe::shell
