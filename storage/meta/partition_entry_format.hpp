#pragma once

#include "messages/bytes.hpp"
#include "messages/error.hpp"
#include "storage/meta/table_types.hpp"

namespace troupe {

/// One log entry of a partition: absolute changes that happen together, and what the partition
/// adopts with them (hazards F1, M1). Followers apply it without any logic.
struct partition_entry {
  table_batch changes;
  config_version adopted_config; ///< 0: the floor stays.
  snapshot_epoch adopted_epoch;  ///< 0: the epoch stays.
  bool operator==(const partition_entry&) const = default;
};

/// As the log keeps it. `v1`, little-endian:
///
///   0  u32 magic "TRPE"   4  u8 format   5  u8 0   6  u16 0
///   8  u32 crc32c of all that follows
///   12 u32 record count, then per record
///      u8 1  put           u32 length, key, u32 length, value
///      u8 2  delete        u32 length, key
///      u8 3  adopt config  u64
///      u8 4  adopt epoch   u64
byte_vector encode(const partition_entry& entry);
/// errc::corrupt if the bytes are no entry; errc::wrong_version if a newer program wrote it.
expected<partition_entry> decode_partition_entry(byte_view bytes);

/// At least what these changes take in an encoded entry, which has less than 64 bytes more.
std::uint64_t entry_bytes(const table_batch& changes);

/// What applying the entry does to the table: its changes, and the floor rows.
table_batch to_batch(const partition_entry& entry);

} // namespace troupe
