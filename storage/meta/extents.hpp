#pragma once

#include "storage/meta/evaluation_scope.hpp"

#include <set>

// The extents of a file and what hangs on them. Internal to storage/meta.
//
//   extents   [0, 1M) -> stripe 5     [1M, 1M+8K) -> stripe 9     gap: zeros    | size
//   stripes   5: 1 reference          9: 1 reference
//
// An extent row is found under its end. Changing extents changes the reference counts of their
// stripes; a stripe at 0 references goes in the same entry and its units become pending frees
// (hazards M3, F8, F30).

namespace troupe {

inline constexpr std::uint64_t no_end = ~std::uint64_t{0};

constexpr std::uint64_t round_up_to_block(std::uint64_t offset) {
  return (offset + block_bytes - 1) / block_bytes * block_bytes;
}

/// An extent with its place in the file.
struct placed_extent {
  std::uint64_t end = 0;
  extent_row row;
  std::uint64_t begin() const { return end - row.bytes; }
};

/// The extents that touch [begin, end), ascending, at most `count_max`; `more` if there are others.
struct extent_page {
  std::vector<placed_extent> extents;
  bool more = false;
};
expected<extent_page> read_extents(evaluation_scope& scope, lin id, std::uint64_t begin,
                                   std::uint64_t end, std::uint32_t count_max);

/// Changes extents of one file within one entry. After the changes, `finish` brings stripes,
/// charges and pending frees in line. Borrows scope and inode, which it changes.
class extent_editor {
public:
  extent_editor(evaluation_scope& scope, lin id, inode_row& inode)
    : scope_(scope), id_(id), inode_(inode) {}

  /// Removes what lies in [begin, end): extents in it go, those across its borders are cut.
  /// errc::too_large if more than `count_max` extents are touched; then nothing changed.
  expected<void> punch(std::uint64_t begin, std::uint64_t end, std::uint32_t count_max);
  /// Removes the first extents in [begin, end), at most `count_max`.
  /// @returns where what is left begins, `end` if nothing is.
  expected<std::uint64_t> punch_front(std::uint64_t begin, std::uint64_t end,
                                      std::uint32_t count_max);
  /// Everything from `offset` (a multiple of 8 KiB) on is cut off: few extents at once, many by
  /// a trimmed range. `offset` must be below the end of the file's data.
  /// errc::busy if an earlier cut is not cleaned yet and the two do not unite.
  expected<void> cut_off(std::uint64_t offset);
  /// Makes a new stripe and returns its id; extents refer to it through `add`.
  expected<stripe_id> add_stripe(const stripe_layout& layout);
  /// Adds an extent where there is none.
  void add(const placed_extent& extent);
  /// Makes room for a new extent: replaces what is valid there, clears what was cut off there.
  /// errc::too_large: more than `limits.replaced_extents_max` in this entry, or behind a cut that
  /// this same entry makes. errc::busy: the cleaner must go first.
  expected<void> make_room(std::uint64_t begin, std::uint64_t end);

  /// Stripes, charges of inode and slot, pending frees. Call once, last; the caller puts the inode.
  expected<void> finish();

private:
  struct reference_change {
    std::int64_t all = 0;
    std::int64_t live = 0;
  };
  void drop(const placed_extent& extent);
  void drop_outside(const placed_extent& extent, std::uint64_t begin, std::uint64_t end);
  expected<void> settle(stripe_id id, const reference_change& change,
                        std::map<drive_uuid, std::vector<free_run>>& frees, slot_row& slot);
  /// Keeps the trim row in step with `inode_.trimmed`.
  void set_trimmed(std::optional<trimmed_range> trimmed);

  evaluation_scope& scope_;
  lin id_;
  inode_row& inode_;
  std::map<stripe_id, reference_change> changes_;
  std::map<stripe_id, stripe_layout> new_stripes_;
  std::set<std::string> dropped_keys_; ///< Their stored rows are accounted for.
  std::uint32_t replaced_count_ = 0;
  bool cut_here_ = false; ///< `cut_off` left extents to the cleaner, which waits for this entry.
};

/// Records runs as pending frees of their drives; above the bound a drive "needs Collect".
expected<void> add_pending_frees(evaluation_scope& scope,
                                 const std::map<drive_uuid, std::vector<free_run>>& frees);

} // namespace troupe
