#pragma once

#include "storage/base/env.hpp"
#include "storage/base/random.hpp"

#include <array>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace troupe {

/// What a disk writes as a whole, whenever it likes.
inline constexpr std::uint64_t held_page_bytes = 4096;
using held_page = std::shared_ptr<const std::array<std::byte, held_page_bytes>>;

/// Unsynced bytes on their way to the medium, see `held_file::begin_flush`.
struct held_flush {
  struct run {
    std::uint64_t offset = 0;
    shared_bytes bytes;
  };
  std::vector<run> runs;                                  ///< What to write; runs do not touch.
  std::vector<std::pair<std::uint64_t, held_page>> pages; ///< The same by page index.
};

/// How to read a range, see `held_file::plan_read`.
struct held_read {
  std::size_t bytes = 0;        ///< All that there are; fewer than asked only at the end.
  std::size_t medium_bytes = 0; ///< The first so many are to be read from the medium.
  std::vector<std::pair<std::uint64_t, held_page>> pages; ///< Newer than the medium.

  /// Lays zeros and newer pages over what the medium gave.
  /// @param got  bytes that the medium gave of `medium_bytes`.
  void complete(std::uint64_t offset, std::span<std::byte> into, std::size_t got) const;
};

/// One file whose unsynced bytes are in memory only: pages over the *medium*, the file as a power
/// cut would leave it. `sync` writes them through. With `keep_one_in` = n, each written page goes
/// to the medium at once as well with chance 1/n, out of order: a disk may do that. Thread-safe.
class held_file {
public:
  /// @param medium  the real file, or empty for one that has no name on the medium yet.
  held_file(std::unique_ptr<file> medium, std::uint64_t medium_bytes, std::uint32_t keep_one_in,
            std::uint64_t seed);
  ~held_file();

  /// These are as in `file`. `sync` waits for a flush that was begun: never call it on the thread
  /// that ends that one.
  expected<std::size_t> read(std::uint64_t offset, std::span<std::byte> into);
  expected<void> write(std::uint64_t offset, byte_view from);
  expected<void> sync();
  expected<void> preallocate(std::uint64_t bytes);
  expected<void> truncate(std::uint64_t bytes);
  std::uint64_t size() const;
  /// Of the medium; -1 where there is none.
  int descriptor() const;

  /// For I/O that does not block: the caller reads the medium, then calls `complete`.
  held_read plan_read(std::uint64_t offset, std::size_t bytes) const;
  /// Begins a sync that the caller carries out: he writes `runs` to the medium, syncs it, and calls
  /// `end_flush`. One at a time.
  /// @param ranges  [begin, end) of what shall be flushed; empty for everything.
  expected<held_flush>
  begin_flush(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& ranges);
  /// @param done  false: the file stays failed.
  void end_flush(const held_flush& flushed, bool done);

  /// The file got a name: everything synced so far is copied to the new medium, durably.
  expected<void> move_to(std::unique_ptr<file> medium);
  /// Nothing would be lost in a power cut.
  bool clean() const;
  std::uint64_t unsynced_bytes() const;

private:
  error poisoned() const;
  held_read plan(std::uint64_t offset, std::size_t bytes) const;
  expected<std::size_t> read_locked(std::uint64_t offset, std::span<std::byte> into) const;
  expected<void> settle_length();
  held_flush collect(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& ranges) const;

  mutable std::mutex mutex_;
  std::condition_variable flushed_;
  std::unique_ptr<file> medium_;
  bool named_ = false;
  bool failed_ = false;
  bool flushing_ = false;
  std::map<std::uint64_t, held_page> pages_; ///< By index: what is not on the medium for sure.
  std::uint64_t length_ = 0;
  std::uint64_t medium_length_ = 0;
  std::uint64_t floor_ = 0;    ///< The medium's bytes from here on were truncated away.
  std::uint64_t reserved_ = 0; ///< By `preallocate`.
  std::uint32_t keep_one_in_ = 0;
  random_source random_;
};

} // namespace troupe
