#pragma once

#include "actors/kit/file_io.hpp"
#include "actors/kit/worker_pool.hpp"

namespace troupe {

/// `file_io` by blocking calls on a few threads, for where io_uring is forbidden. A write with
/// its sync is one job, so it costs one hand-over each way.
class io_pool : public file_io {
public:
  io_pool(reactor& loop, const file_io_options& options);
  void read(int fd, std::uint64_t offset, std::span<std::byte> into, read_done done) override;
  void write(int fd, std::vector<io_write> writes, bool sync, write_done done) override;
  const char* kind() const override { return "threads"; }
  std::size_t in_flight() const override { return workers_.in_flight(); }

private:
  worker_pool workers_;
};

} // namespace troupe
