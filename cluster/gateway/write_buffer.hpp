#pragma once

#include "messages/bytes.hpp"
#include "messages/units.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <vector>

namespace troupe {

/// Blocks [first, first + count) of a file, 8 KiB each.
struct block_range {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  std::uint64_t end() const { return first + count; }
  auto operator<=>(const block_range&) const = default;
};

/// Bytes of a block range as they were at one moment: later writes go to copies.
class frozen_blocks {
public:
  frozen_blocks() = default;
  /// One block with this content; shorter content ends in zeros.
  frozen_blocks(std::uint64_t index, byte_view content);

  block_range range() const { return range_; }
  /// `count` blocks from `first` (both relative to the range); what lies beyond its end is zeros.
  /// Without a copy where the blocks lie together in memory, as those of a full unit do.
  shared_bytes window(std::uint64_t first, std::uint64_t count) const;

private:
  friend class write_buffer;
  struct block {
    std::shared_ptr<const std::byte[]> owner;
    const std::byte* at = nullptr;
  };
  block_range range_;
  std::vector<block> blocks_;
};

/// The data of one file that a mount holds under its write lease: what was written and is not
/// committed yet (dirty, or flushing: on its way to the drives), and clean blocks around it that
/// were read to complete it. Kept in chunks of 16 blocks at multiples of 128 KiB, so that a unit
/// of a full stripe is one chunk and is never copied. Pure; not thread-safe.
class write_buffer {
public:
  /// True if the buffer has the newest content of the block.
  bool holds(std::uint64_t block) const;
  /// Takes bytes. Blocks that are only partly covered and not held are completed with zeros: fill
  /// them first where the file has data.
  void write(std::uint64_t offset, byte_view bytes);
  /// Gives the committed content of a block that is not held; shorter content ends in zeros.
  void fill(std::uint64_t block, byte_view bytes);
  /// Marks a clean block dirty, so that it is committed again.
  void touch(std::uint64_t block);
  /// The first range of held blocks that touches [first, end); count 0 if there is none.
  block_range held_from(std::uint64_t first, std::uint64_t end) const;
  /// Copies bytes out of held blocks.
  void read(std::uint64_t offset, std::span<std::byte> out) const;

  /// Ranges of dirty blocks that are not on their way already, ascending.
  std::vector<block_range> dirty_ranges() const;
  std::uint64_t dirty_blocks() const { return dirty_count_; }
  /// Flushing blocks that were written again: dirty when what is under way has settled.
  std::uint64_t rewritten_blocks() const { return rewritten_count_; }
  /// Dirty and flushing blocks.
  std::uint64_t unsettled_blocks() const { return dirty_count_ + flushing_count_; }

  /// Takes the content of dirty blocks for storing: they are flushing until `settle` or
  /// `unsettle`. A block whose older content is under way is not in `dirty_ranges`.
  frozen_blocks freeze(block_range range);
  /// The frozen content is committed: blocks that were not written again are clean.
  void settle(block_range range);
  /// It is not: they are dirty again.
  void unsettle(block_range range);

  /// Forgets clean blocks, except those of the chunk with `keep_block`.
  void drop_clean(std::uint64_t keep_block);
  void drop_all_clean();
  /// Forgets what lies beyond `size` and zeroes the rest of its last block. Nothing is flushing.
  void truncate(std::uint64_t size);
  /// Forgets everything, dirty blocks too. @returns how many bytes were dirty or flushing.
  std::uint64_t lose_everything();

  /// Memory in use, flushing content that was written again not counted twice.
  std::uint64_t memory_bytes() const { return memory_bytes_; }

private:
  enum class phase : std::uint8_t { absent, clean, dirty, flushing, flushing_dirty };
  struct chunk {
    std::shared_ptr<std::byte[]> bytes;
    std::uint32_t capacity_blocks = 0;
    bool frozen = false; ///< Somebody else reads `bytes`: copy before writing.
    std::array<phase, unit_blocks> blocks{};
  };

  void set_phase(std::uint64_t index, chunk& c, std::uint32_t at, phase to);
  void make_room(chunk& c, std::uint64_t index, std::uint32_t blocks);
  std::byte* writable(chunk& c);
  std::byte* block_for_writing(std::uint64_t block, bool keep_content);
  void erase_if_empty(std::map<std::uint64_t, chunk>::iterator it);
  template <class Fn>
  void each(block_range range, Fn fn);

  std::map<std::uint64_t, chunk> chunks_; ///< By block / 16.
  std::set<std::uint64_t> dirty_chunks_;  ///< Those with a dirty block.
  std::uint64_t dirty_count_ = 0;
  std::uint64_t flushing_count_ = 0;  ///< Flushing or flushing_dirty.
  std::uint64_t rewritten_count_ = 0; ///< Flushing_dirty.
  std::uint64_t memory_bytes_ = 0;
};

} // namespace troupe
