#pragma once

#include "storage/meta/evaluate.hpp"
#include "storage/meta/table_view.hpp"

#include <string>
#include <vector>

// The core of `fsck --check` and of the simulator's checkers: reads every row of a partition and
// says what does not fit together. Changes nothing.

namespace troupe {

enum class finding_kind : std::uint8_t {
  damaged_row,    ///< Key or value cannot be decoded, or a table nobody knows.
  foreign_slot,   ///< A row of a slot that is not this partition's.
  dangling_entry, ///< An entry names an inode that does not exist.
  entry_without_directory,
  wrong_entry, ///< Kind, hash or name of an entry cannot be right.
  duplicate_cookie,
  directory_linked_twice,
  wrong_parent,      ///< A directory's parent is not where its entry is.
  wrong_parent_link, ///< A file's parent links are not its entries.
  wrong_link_count,
  wrong_entry_count,
  lost_inode,         ///< No entry names it and it is no orphan.
  detached_directory, ///< mkdir across partitions that was never finished.
  unfinished_removal, ///< rmdir across partitions that was never finished.
  stray_orphan,       ///< An orphan row without an unlinked inode.
  stray_trim,         ///< A trim row without a trimmed range, or the reverse.
  wrong_inline_data,  ///< Without its inode, beside an extent, too long, or missing.
  wrong_extent,       ///< Without inode or stripe, not in blocks, beyond size or stripe.
  overlapping_extents,
  wrong_references,      ///< A stripe's counts are not its extents.
  wrong_stripe,          ///< Shape, owner, drives or at-risk row of a stripe.
  shared_run,            ///< A run in two stripes, or in use and to be freed.
  wrong_physical_blocks, ///< Of an inode or a slot.
  wrong_slot_counts,     ///< Inodes or directories of a slot.
  sequence_reused,       ///< A LIN or stripe id that will be given out again.
  wrong_pending_frees,   ///< Count of a drive, or a batch that will be overwritten.
  wrong_version,         ///< Epochs of versions and live row of one key overlap.
  wrong_session,
};
/// "dangling_entry", …
const char* to_string(finding_kind kind);
/// True for what costs space or leaves an inode that nobody reaches, but no answer is wrong.
bool is_leak(finding_kind kind);

struct finding {
  finding_kind kind = finding_kind::damaged_row;
  lin id;             ///< The inode concerned, 0 if none.
  std::string object; ///< For people: "0:0000:0002 name".
  std::string detail;
};

/// An entry that leads into another partition.
struct outward_entry {
  lin directory;
  std::string name;
  lin child;
};
/// A directory whose parent is in another partition.
struct inward_directory {
  lin id;
  lin parent;
  std::uint8_t flags = 0; ///< inode_flag
};

struct check_report {
  std::vector<finding> findings;
  std::vector<outward_entry> outward;
  std::vector<inward_directory> inward;
  std::uint64_t inode_count = 0;
  std::uint64_t directory_count = 0;
  std::uint64_t stripe_count = 0;
  std::uint64_t orphan_count = 0;
};

/// Checks one partition. The view must know all rows (map_view, or a table read to the end) and
/// hold one state. Cost: all rows, about 200 bytes of memory per inode, extent and unit.
/// @param slots  the partition's; nullptr: all.
check_report check_partition(const table_view& rows, const slot_set* slots);

/// What only several partitions together show: entries and directories that do not find each
/// other. If operations ran while the rows were read, look again before believing a finding.
std::vector<finding> check_across(const std::vector<check_report>& reports);

} // namespace troupe
