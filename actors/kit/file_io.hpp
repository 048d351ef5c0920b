#pragma once

#include "actors/kit/reactor.hpp"
#include "messages/bytes.hpp"

#include <memory>

namespace troupe {

struct file_io_options {
  bool io_uring = true;             ///< False forces the thread pool.
  std::uint32_t ring_entries = 256; ///< In flight at once; more wait in a queue in memory.
  std::uint32_t pool_threads = 4;   ///< Of the thread pool.
};

/// One contiguous piece of a write.
struct io_write {
  std::uint64_t offset = 0;
  shared_bytes bytes;
};

/// File I/O that never blocks the reactor: calls return at once, completions run on the reactor
/// thread in any order. What is submitted in one turn goes to the kernel in one call. Short reads
/// and writes are continued; the completion sees all or an error. Descriptors must stay open and
/// buffers alive until the completion ran.
///
/// The queue is bounded by its users: a drive admits a bounded number of requests.
class file_io {
public:
  /// The bytes read (fewer than asked only at the end of the file) or an error.
  using read_done = std::function<void(expected<std::size_t>)>;
  using write_done = std::function<void(expected<void>)>;

  virtual ~file_io() = default;
  virtual void read(int fd, std::uint64_t offset, std::span<std::byte> into, read_done done) = 0;
  /// All of `writes`, in any order among themselves, then one fdatasync if `sync`: a group commit.
  /// The sync starts only after every write has succeeded; after any error nothing is known about
  /// what was stored, and the caller must not use the descriptor again (hazards F23a).
  virtual void write(int fd, std::vector<io_write> writes, bool sync, write_done done) = 0;
  /// "io_uring" or "threads"; `status` shows it.
  virtual const char* kind() const = 0;
  /// Calls whose completion has not run yet.
  virtual std::size_t in_flight() const = 0;
};

/// io_uring if the kernel allows it and the options do, else a thread pool.
/// @param why  is set to the reason (trp::no_io_uring) when the pool was taken against the options.
/// The destructor waits for what the kernel still has; those completions are dropped uncalled.
std::unique_ptr<file_io> make_file_io(reactor& loop, const file_io_options& options,
                                      error* why = nullptr);

} // namespace troupe
