#pragma once

#include "storage/base/env.hpp"

namespace troupe {

namespace memory_env_detail {
struct world;
}

/// Files in memory, with a model of what a power cut leaves behind. Paths are "/a/b" or "a/b"
/// (both name one file); parents of a file must exist. Thread-safe.
///
/// What a crash may do, per file, to bytes written since its last sync: each 512-byte sector keeps
/// any one of the states it went through (a page may be written back at any moment, and a write
/// may tear at a sector), and the length is any one of those it went through. Synced bytes stay.
/// Per directory: any subset of the creations, removals and renames since its last
/// `sync_directory` is kept, in order for each name; one rename is kept or lost as a whole.
class memory_env final : public env {
public:
  /// `capacity_bytes` bounds the sum of all file lengths: beyond it errc::no_space.
  explicit memory_env(std::uint64_t capacity_bytes = UINT64_MAX);
  ~memory_env() override;

  expected<std::unique_ptr<file>> open(const std::string& path, open_mode mode) override;
  expected<void> make_directory(const std::string& path) override;
  expected<void> remove_directory(const std::string& path) override;
  expected<std::vector<std::string>> list(const std::string& path) override;
  expected<bool> exists(const std::string& path) override;
  expected<void> remove_file(const std::string& path) override;
  expected<void> rename(const std::string& from, const std::string& to) override;
  expected<void> sync_directory(const std::string& path) override;
  expected<std::uint64_t> free_bytes(const std::string& path) override;
  expected<std::unique_ptr<file>> lock(const std::string& path) override;

  /// The power fails and returns: drops what the seed chooses of everything unsynced. Seeds 0 and 1
  /// are the extremes: 0 loses all of it, 1 keeps all of it. Handles from before answer
  /// errc::unavailable for ever; locks are released. The same history and seed give the same
  /// result.
  void crash(std::uint64_t seed);
  /// A separate world with the same contents, synced and unsynced; it has no handles and no locks.
  std::unique_ptr<memory_env> clone() const;
  /// Flips the bits of `mask` in one byte, on the medium and in the cache.
  expected<void> flip_bits(const std::string& path, std::uint64_t offset, std::uint8_t mask);

private:
  std::shared_ptr<memory_env_detail::world> world_;
};

} // namespace troupe
