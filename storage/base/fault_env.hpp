#pragma once

#include "storage/base/env.hpp"

#include <optional>

namespace troupe {

/// The calls that a fault can hit.
enum class env_call : std::uint8_t {
  open,
  create, ///< An open that may create, or a lock.
  read,
  write,
  sync,
  preallocate,
  truncate,
  make_directory,
  remove,
  rename,
  sync_directory,
};

/// One fault to come.
struct env_fault {
  env_call call = env_call::write;
  std::string path_part = {};   ///< Only paths that contain this; empty for all.
  std::uint64_t after = 0;      ///< So many matching calls pass first.
  std::uint64_t count = 1;      ///< Then so many fail; UINT64_MAX for ever.
  errc code = errc::io_error;   ///< What they answer.
  std::uint64_t done_bytes = 0; ///< For write: so many bytes are written before it fails.
};

/// What passed through, over all files.
struct env_counters {
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t syncs = 0;
  std::uint64_t changes = 0; ///< All calls that change something or make it durable.
  std::uint64_t written_bytes = 0;
};

namespace fault_env_detail {
struct plan;
}

/// Another environment with faults in front. A `sync` that was made to fail leaves its file failed,
/// as a real one does. Thread-safe; files keep the plan alive, `inner` must outlive them.
class fault_env final : public env {
public:
  explicit fault_env(env& inner);
  ~fault_env() override;

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

  /// Adds a fault; several may wait at once, the first that matches a call is the one.
  void add(env_fault fault);
  /// After `bytes` more written bytes: errc::no_space, the part that fits being written.
  void limit_space(std::uint64_t bytes);
  /// After `changes` more changing calls every one fails with errc::unavailable and does nothing,
  /// except that the first failing write still reaches the inner environment: it was under way at
  /// the moment of the power cut, to be followed by `memory_env::crash` of the inner one.
  void stop_after(std::uint64_t changes);
  /// Every read that covers this byte sees the bits of `mask` flipped.
  void flip_on_read(std::string path_part, std::uint64_t offset, std::uint8_t mask);
  /// Reads give at most so many bytes per call, as if the file ended there.
  void shorten_reads(std::string path_part, std::uint64_t bytes_max);
  /// Forgets all faults; failed files stay failed.
  void heal();
  env_counters counters() const;

private:
  env& inner_;
  std::shared_ptr<fault_env_detail::plan> plan_;
};

} // namespace troupe
