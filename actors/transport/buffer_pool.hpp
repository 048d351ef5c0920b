#pragma once

#include "messages/bytes.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace troupe {

/// Writable memory whose owner can be handed to `shared_bytes`.
struct pooled_buffer {
  std::shared_ptr<void> owner;
  std::span<std::byte> bytes; ///< Starts on a 4096-byte boundary, as O_DIRECT wants it.

  shared_bytes window(std::size_t offset, std::size_t count) const {
    return {owner, byte_view{bytes}.subspan(offset, count)};
  }
};

/// Buffers for received bulk, used again: fresh memory of this size costs a page fault per 4 KiB,
/// which was as much as the copy out of the socket. Thread-safe; the last owner may let go on any
/// thread, also after the pool is gone.
class buffer_pool {
public:
  /// Keeps at most `kept_bytes_max` of unused buffers.
  explicit buffer_pool(std::size_t kept_bytes_max = 16 * 1024 * 1024);

  /// At least `bytes` bytes, uninitialised.
  pooled_buffer allocate(std::size_t bytes);
  std::size_t kept_bytes() const;

private:
  struct shelf {
    mutable std::mutex mutex;
    std::size_t kept_bytes_max = 0;
    std::size_t kept_bytes = 0;
    std::map<std::size_t, std::vector<void*>> free; // by size class
    ~shelf();
    void put_back(void* memory, std::size_t bytes);
  };
  std::shared_ptr<shelf> shelf_;
};

} // namespace troupe
