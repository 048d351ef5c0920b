#pragma once

#include "storage/base/env.hpp"
#include "storage/block/block_format.hpp"

#include <vector>

namespace troupe {

/// What the allocation log of a drive holds: everything since its start, in order.
struct log_contents {
  std::vector<block_format::log_record> records;
  /// LSN of the batch that `records[n]` is from.
  std::vector<std::uint64_t> record_lsns;
  block_format::batch_header newest;
  std::uint64_t end = 0; ///< LSN behind the newest batch.
  std::uint64_t batch_count = 0;
  bool tail_cut = false; ///< The beginning of a further batch is there, but not all of it.
};

/// Reads the log region and finds its newest batch, its start and everything between.
/// Only the last batch can be torn, because each is written when the one before is durable; so a
/// gap before the newest batch is damage, never a torn tail (hazards F23b).
/// @returns errc::quarantined (trp::drive_damaged) if records are missing or make no sense,
/// or the error of reading. Cost: reads the region once, holds it in memory meanwhile.
expected<log_contents> read_allocation_log(file& blocks, const block_format::superblock& drive);

} // namespace troupe
