#pragma once

#include "storage/block/block_bitmap.hpp"
#include "storage/block/block_format.hpp"
#include "storage/block/block_store_options.hpp"
#include "storage/block/block_write_keys.hpp"

#include <cstdint>

namespace troupe {

/// A drive at the moment it is mounted: everything in the log is in bitmap and table, both are in
/// place and durable, and the log holds one batch of this mount
/// (the abandoned keys).
struct recovered_drive {
  block_format::superblock superblock;
  block_store_options options;
  incarnation mount; ///< Of this mount; above every earlier one.
  birth next_birth;
  std::uint64_t log_start = 0; ///< LSN of that batch.
  std::uint64_t log_end = 0;   ///< LSN of the next batch.
  block_bitmap bitmap;
  block_write_keys keys;

  /// What recovery met, for events and reports.
  std::uint64_t replayed_batches = 0;
  std::uint64_t replayed_records = 0;
  std::uint64_t restored_pages = 0; ///< Torn in a checkpoint, made whole from the shadow slots.
  std::uint64_t damaged_pages = 0;  ///< Wrong checksum for another reason; descriptors were lost.
  bool tail_cut = false;            ///< The last batch was torn; none of it was acknowledged.
};

} // namespace troupe
