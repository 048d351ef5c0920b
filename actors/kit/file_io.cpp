#include "actors/kit/file_io.hpp"

#include "actors/kit/io_pool.hpp"
#include "actors/kit/io_ring.hpp"

namespace troupe {

std::unique_ptr<file_io> make_file_io(reactor& loop, const file_io_options& options, error* why) {
  if (options.io_uring) {
    auto ring = io_ring::make(loop, options);
    if (ring)
      return std::move(*ring);
    if (why)
      *why = ring.error();
  }
  return std::make_unique<io_pool>(loop, options);
}

} // namespace troupe
