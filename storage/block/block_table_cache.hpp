#pragma once

#include "storage/block/block_format.hpp"

#include <cstdint>
#include <list>
#include <map>
#include <set>
#include <vector>

namespace troupe {

/// The pages of the run table that are in memory: those in use (pinned), those changed and not yet
/// in place (held), and the most recently used others, up to a limit. Not thread-safe.
class block_table_cache {
public:
  explicit block_table_cache(std::uint32_t pages_max) : pages_max_(pages_max) {}

  bool contains(std::uint64_t page) const { return pages_.contains(page); }
  std::size_t size() const { return pages_.size(); }
  /// Puts a page in, pinned `pins` times; pages that nobody needs make room.
  void insert(std::uint64_t page, byte_vector bytes, std::uint32_t pins);
  void pin(std::uint64_t page);
  void unpin(std::uint64_t page);
  /// A held page stays, whether pinned or not.
  void hold(std::uint64_t page, bool held);
  /// The bytes of a page that is here; valid until the page is dropped.
  std::span<std::byte> bytes(std::uint64_t page);

private:
  struct entry {
    byte_vector bytes;
    std::uint32_t pins = 0;
    bool held = false;
    bool idle = false;                          ///< In `idle_`, at `place`.
    std::list<std::uint64_t>::iterator place{}; ///< Only if idle.
  };
  void settle(std::uint64_t page, entry& e);
  void shrink();

  std::uint32_t pages_max_;
  std::map<std::uint64_t, entry> pages_;
  std::list<std::uint64_t> idle_; ///< Neither pinned nor held; longest unused first.
};

/// Which pages of bitmap and table differ from what is in place, and from which LSN on the log is
/// needed to make up for it.
class block_dirty_pages {
public:
  std::size_t size() const { return pages_.size(); }
  bool contains(block_format::page_id page) const { return pages_.contains(page); }
  /// The page was changed by the batch with this LSN.
  void touch(block_format::page_id page, std::uint64_t lsn);
  /// Picks at most `count` pages, oldest first, for a checkpoint step: changes from now on count as
  /// new. Each pick is followed by `settle`.
  std::vector<block_format::page_id> pick(std::size_t count);
  /// The pages picked are in place as they were then. @returns those that are clean now.
  std::vector<block_format::page_id> settle();
  /// The log is needed from here on; UINT64_MAX if not at all.
  std::uint64_t oldest_lsn() const;

private:
  struct entry {
    std::uint64_t lsn = 0;
    std::uint64_t lsn_after_pick = 0; ///< First change since the pick; 0 if none.
    bool picked = false;
  };
  std::map<block_format::page_id, entry> pages_;
  std::set<std::pair<std::uint64_t, block_format::page_id>> by_lsn_;
};

} // namespace troupe
