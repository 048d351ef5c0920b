#pragma once

#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "messages/units.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// LINs and stripe ids are given out from here: sequence 1 of slot 0 is the root directory.
inline constexpr std::uint64_t first_sequence = 2;
/// 48 bits, and the last one stays free so that the next key prefix stays in the slot.
inline constexpr std::uint64_t sequence_max = (std::uint64_t{1} << 48) - 2;

/// Sequences and counters of one slot. `v1`: u8 format, then five u64 in this order.
struct slot_row {
  std::uint64_t next_lin_sequence = first_sequence;
  std::uint64_t next_stripe_sequence = first_sequence;
  std::uint64_t inode_count = 0; ///< Directories and orphans included.
  std::uint64_t directory_count = 0;
  std::uint64_t physical_blocks = 0; ///< Of the stripes of this slot, versions included.
  bool operator==(const slot_row&) const = default;
};
std::string encode(const slot_row& x);
expected<slot_row> decode_slot(std::string_view value);

/// An inode without a link, to be cleaned once nobody has it open.
/// `v1`: u8 format, u64 holder, u64 holder_incarnation, u64 cut, i64 since.
struct orphan_row {
  client_id holder; ///< Has it open; 0 nobody.
  incarnation holder_incarnation;
  snapshot_epoch cut; ///< Epoch of the unlink: later snapshots do not want its data.
  wall_time since;
  bool operator==(const orphan_row&) const = default;
};
std::string encode(const orphan_row& x);
expected<orphan_row> decode_orphan(std::string_view value);

/// "The inode has a trimmed range to clean." `v1`: u8 format.
struct trim_row {
  bool operator==(const trim_row&) const = default;
};
std::string encode(const trim_row& x);
expected<trim_row> decode_trim(std::string_view value);

/// Runs of one drive whose stripe is gone, freed together by one committed entry (hazards F30).
/// Never changed, only removed as a whole. `v1`: u8 format, u32 count, per run u64 start_block,
/// u32 block_count, u64 birth.
struct free_run {
  std::uint64_t start_block = 0;
  std::uint32_t block_count = 0;
  birth born;
  bool operator==(const free_run&) const = default;
};
struct pending_free_row {
  std::vector<free_run> runs;
  bool operator==(const pending_free_row&) const = default;
};
std::string encode(const pending_free_row& x);
expected<pending_free_row> decode_pending_free(std::string_view value);

/// What waits for one drive. `v1`: u8 format, u64 pending_runs, u64 next_batch, u8 needs_collect.
struct drive_frees_row {
  std::uint64_t pending_runs = 0;
  std::uint64_t next_batch = 1;
  bool needs_collect = false; ///< The bound was reached: some frees were not kept.
  bool operator==(const drive_frees_row&) const = default;
};
std::string encode(const drive_frees_row& x);
expected<drive_frees_row> decode_drive_frees(std::string_view value);

/// A version that the partition has adopted: it acts under nothing older (hazards M1). One row for
/// the config version, one for the snapshot epoch. `v1`: u8 format, u64 value.
struct floor_row {
  std::uint64_t value = 0;
  bool operator==(const floor_row&) const = default;
};
std::string encode(const floor_row& x);
expected<floor_row> decode_floor(std::string_view value);

} // namespace troupe
