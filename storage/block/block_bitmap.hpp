#pragma once

#include "messages/bytes.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace troupe {

/// Which blocks of one drive are in use, one bit each, and where the next run goes. Runs stay
/// within a group of `block_format::group_blocks`, the reach of one bitmap page. Resident: 1 bit
/// per 8 KiB, 240 MB for a drive of 15 TB (hazards F40). Not thread-safe.
class block_bitmap {
public:
  explicit block_bitmap(std::uint64_t block_count);

  std::uint64_t block_count() const { return block_count_; }
  std::uint64_t free_count() const { return free_count_; }
  std::uint64_t group_count() const { return groups_.size(); }
  /// Blocks in one group: all but the last are full.
  std::uint64_t group_size(std::uint64_t group) const;
  bool used(std::uint64_t block) const;

  /// Finds and takes `count` (1 to 256) free blocks in a row: next-fit, so that runs written one
  /// after another lie one behind the other and freed space rests before it is used again.
  /// @returns their first block, or nothing: then nothing changed.
  /// Cost: a word of 64 blocks at a time; groups known to have no such gap are passed over.
  std::optional<std::uint64_t> place(std::uint32_t count);
  /// Gives blocks back; all must be in use.
  void release(std::uint64_t start, std::uint32_t count);
  /// Sets blocks as recovery finds them, whatever they were.
  void set(std::uint64_t start, std::uint64_t count, bool in_use);

  /// Takes the bits of one group from the body of a bitmap page; bits past the end are ignored.
  void load_group(std::uint64_t group, byte_view body);
  /// The body of the group's bitmap page; bits past the last block are zero.
  void copy_group(std::uint64_t group, std::span<std::byte> body) const;

private:
  struct group_info {
    std::uint32_t free_count = 0;
    std::uint32_t gap_max = 0; ///< No gap in the group is longer.
  };
  /// First gap of `count` in [from, size) of the group, relative to its start.
  std::optional<std::uint32_t> find_gap(std::uint64_t group, std::uint32_t from,
                                        std::uint32_t count);
  /// First position in [from, end) whose bit equals `value`, else `end`. Block numbers.
  std::uint64_t next(std::uint64_t from, std::uint64_t end, bool value) const;
  void recount(std::uint64_t group);

  std::uint64_t block_count_;
  std::uint64_t free_count_;
  std::uint64_t cursor_ = 0; ///< Where the next search starts.
  std::vector<std::uint64_t> words_;
  std::vector<group_info> groups_;
};

} // namespace troupe
