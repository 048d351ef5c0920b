#pragma once

#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace troupe {

/// One open file. Offsets and sizes in bytes. Calls may block. Not thread-safe except that
/// `read_at` may run beside anything. After a failed `sync` every further write and sync of this
/// file fails: a retried fdatasync can report success for pages that were dropped (hazards F23a).
class file {
public:
  virtual ~file() = default;
  /// Fills `into` from `offset`. @returns the bytes read; fewer than asked only at the end.
  virtual expected<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) = 0;
  /// Writes all of `from`; not durable until `sync`. errc::no_space leaves an unknown prefix.
  virtual expected<void> write_at(std::uint64_t offset, byte_view from) = 0;
  /// Returns when everything written so far survives a power cut (fdatasync).
  virtual expected<void> sync() = 0;
  /// Makes the file at least this long, with room reserved on the device for all of it; what was
  /// never written reads as zeros. errc::no_space leaves the length as it was. Quick: the device
  /// marks the room unwritten, so that the *first* write of a page costs a metadata commit at the
  /// next sync; where that matters (journal), `write_zeros` after it.
  virtual expected<void> preallocate(std::uint64_t bytes) = 0;
  virtual expected<void> truncate(std::uint64_t bytes) = 0;
  virtual expected<std::uint64_t> size() = 0;
  /// Writes zeros over [begin, end), a bounded piece at a time. Not durable until `sync`.
  expected<void> write_zeros(std::uint64_t begin, std::uint64_t end);
  /// The descriptor for io_uring, or -1 where there is none.
  virtual int descriptor() const { return -1; }
};

/// How to open a file.
enum class open_mode : std::uint8_t {
  read_only,
  read_write, ///< Must exist.
  create_new, ///< Must not exist (errc::already_exists).
  create_or_open,
};

/// All access to files and directories goes through this: POSIX, in memory with a crash model,
/// or either with faults in front. Paths are plain strings; errors name the path. Thread-safe.
/// A file that was created, removed or renamed is so for good only after `sync_directory` of its
/// directory; syncing the file itself is not enough.
class env {
public:
  virtual ~env() = default;
  virtual expected<std::unique_ptr<file>> open(const std::string& path, open_mode mode) = 0;
  /// With missing parents; no error if it exists. Durable when it returns.
  virtual expected<void> make_directory(const std::string& path) = 0;
  /// An empty one (errc::not_empty). Durable when it returns.
  virtual expected<void> remove_directory(const std::string& path) = 0;
  virtual expected<std::vector<std::string>> list(const std::string& path) = 0; ///< Sorted names.
  virtual expected<bool> exists(const std::string& path) = 0;
  virtual expected<void> remove_file(const std::string& path) = 0;
  virtual expected<void> rename(const std::string& from, const std::string& to) = 0;
  /// Makes creations, removals and renames inside a directory durable.
  virtual expected<void> sync_directory(const std::string& path) = 0;
  /// Bytes that an unprivileged writer can still use below `path`.
  virtual expected<std::uint64_t> free_bytes(const std::string& path) = 0;
  /// Holds an exclusive lock on a file, created if missing, until the handle dies.
  /// @returns errc::busy if it is held, by this process or another.
  virtual expected<std::unique_ptr<file>> lock(const std::string& path) = 0;

  /// Reads a whole file of at most `bytes_max`. errc::too_large above it.
  expected<byte_vector> read_file(const std::string& path, std::uint64_t bytes_max);
  /// Replaces a file as a whole: new file, sync, rename, sync of the directory. After a power cut
  /// the old or the new contents are there, never a mix.
  expected<void> replace_file(const std::string& path, byte_view contents);
};

} // namespace troupe
