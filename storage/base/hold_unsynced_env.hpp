#pragma once

#include "storage/base/env.hpp"
#include "storage/base/held_file.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace troupe {

struct hold_unsynced_options {
  bool enabled = false; ///< For who makes the environment; never by default.
  /// 0: the end of the process loses everything unsynced. n: each written page, and each change of
  /// names with those of its directory before it, reaches the medium early with chance 1/n.
  std::uint32_t keep_one_in = 0;
  std::uint64_t seed = 1; ///< Of these choices.
};

/// Another environment in front of which unsynced bytes and names stay in memory: whatever ends the
/// process is a power cut. Creations, removals and renames wait for `sync_directory` and reach the
/// medium in the order in which they were made, as with any journaling file system; a rename
/// between directories and everything about directories themselves is durable at once. Slow; takes
/// as much memory as there are unsynced bytes. Thread-safe. Files may outlive it.
class hold_unsynced_env final : public env {
public:
  /// @param inner  what a power cut leaves; must outlive this and its files.
  hold_unsynced_env(env& inner, hold_unsynced_options options);
  ~hold_unsynced_env() override;

  expected<std::unique_ptr<file>> open(const std::string& path, open_mode mode) override;
  expected<void> make_directory(const std::string& path) override;
  expected<void> remove_directory(const std::string& path) override;
  expected<std::vector<std::string>> list(const std::string& path) override;
  expected<bool> exists(const std::string& path) override;
  expected<void> remove_file(const std::string& path) override;
  expected<void> rename(const std::string& from, const std::string& to) override;
  expected<void> sync_directory(const std::string& path) override;
  expected<std::uint64_t> free_bytes(const std::string& path) override;
  /// A lock file is created at once: it means nothing after a power cut.
  expected<std::unique_ptr<file>> lock(const std::string& path) override;

  /// The file behind a descriptor of this environment, for I/O that does not block; empty if there
  /// is none. The descriptor stays open as long as the result lives.
  std::shared_ptr<held_file> held(int descriptor);
  /// Bytes that the end of the process would lose.
  std::uint64_t unsynced_bytes();

private:
  /// A change of names that the medium does not have.
  struct naming {
    enum class kind : std::uint8_t { create, remove, rename } what = kind::create;
    std::string from;
    std::string to;                  ///< Of a rename.
    std::shared_ptr<held_file> node; ///< Kept until the medium knows its name.
  };
  struct shared;
  class handle;

  expected<std::shared_ptr<held_file>> find(const std::string& path, open_mode mode);
  expected<bool> there(const std::string& path);
  expected<void> queue(const std::string& directory, naming change);
  expected<void> write_names(const std::string& directory);
  std::shared_ptr<held_file> adopt(std::unique_ptr<file> medium, std::uint64_t bytes);
  std::uint64_t next_seed() { return random_.next(); }

  env& inner_;
  hold_unsynced_options options_;
  random_source random_;
  std::shared_ptr<shared> shared_;
};

} // namespace troupe
