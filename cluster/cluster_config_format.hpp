#pragma once

#include "messages/bytes.hpp"
#include "messages/cluster_config.hpp"
#include "messages/error.hpp"

#include <map>
#include <optional>
#include <string>

namespace troupe {

/// Rows of the cluster group, key to value, as its replicas keep them. One row per node, drive and
/// group, so that a change of one drive is a put of one row.
using cluster_rows = std::map<std::string, std::string>;
/// Absolute puts, and deletes where the value is absent: what a log entry of the group holds.
using cluster_row_changes = std::map<std::string, std::optional<std::string>>;

/// The rows of a whole configuration.
///
/// key                 value (little-endian, each starts with a format byte: 1, "n" 2)
/// "c"                 cluster uuid, name, default level u8, count u32, {level in use u8}
/// "d" + 16 uuid bytes node u32, bay u32, state u8, mount u64, blocks u64
/// "g" + group BE32    preferred u64, count u32, {replica u64, drive uuid, node u32}
/// "n" + node BE32     state u8, process u64, address, address for clients (not in format 1)
/// "r" + serial        role u8, id u64, revoked at i64, ends at i64 (both ns), reason
/// "s"                 count u32, {first u16, end u16, group u32}
/// "v"                 version u64, epoch u64, clients given u64, replicas given u64
cluster_rows encode_cluster_config(const cluster_config& config);
/// @returns errc::corrupt naming the row that cannot be read, errc::wrong_version for a newer one.
expected<cluster_config> decode_cluster_config(const cluster_rows& rows);
/// What must be put and deleted to get from one to the other.
cluster_row_changes difference(const cluster_rows& from, const cluster_rows& to);

/// The configuration as a file beside a node's drives: where a starting node finds its peers before
/// it has caught up with the cluster group.
///
/// "TRPCONF1", count u32, {key, value}, CRC32C u32 over everything before it
byte_vector encode_config_file(const cluster_config& config);
/// @returns errc::corrupt for a damaged file, errc::wrong_version for a newer one.
expected<cluster_config> decode_config_file(byte_view bytes);

} // namespace troupe
