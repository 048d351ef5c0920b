#include "actors/kit/io_pool.hpp"

#include <cerrno>
#include <cstring>
#include <limits>
#include <unistd.h>

namespace troupe {

namespace {

error failed(const char* what, int number) {
  auto code = number == ENOSPC || number == EDQUOT ? errc::no_space : errc::io_error;
  return {code, std::string{what} + ": " + std::strerror(number)};
}

expected<std::size_t> read_all(int fd, std::uint64_t offset, std::span<std::byte> into) {
  std::size_t got = 0;
  while (got < into.size()) {
    auto n = ::pread(fd, into.data() + got, into.size() - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return failed("pread", errno);
    if (n == 0)
      break;
    got += static_cast<std::size_t>(n);
  }
  return got;
}

expected<void> write_all(int fd, const io_write& piece) {
  std::size_t put = 0;
  while (put < piece.bytes.size()) {
    auto n = ::pwrite(fd, piece.bytes.data() + put, piece.bytes.size() - put,
                      static_cast<off_t>(piece.offset + put));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return failed("pwrite", errno);
    put += static_cast<std::size_t>(n);
  }
  return {};
}

expected<void> write_and_sync(int fd, const std::vector<io_write>& writes, bool sync) {
  for (const auto& piece : writes) {
    auto ok = write_all(fd, piece);
    if (!ok)
      return ok;
  }
  if (sync && ::fdatasync(fd) != 0)
    return failed("fdatasync", errno);
  return {};
}

} // namespace

io_pool::io_pool(reactor& loop, const file_io_options& options)
  : workers_(loop, {.threads = options.pool_threads,
                    .jobs_max = std::numeric_limits<std::uint32_t>::max()}) {}

void io_pool::read(int fd, std::uint64_t offset, std::span<std::byte> into, read_done done) {
  static_cast<void>(workers_.run_for([=] { return read_all(fd, offset, into); }, std::move(done)));
}

void io_pool::write(int fd, std::vector<io_write> writes, bool sync, write_done done) {
  static_cast<void>(workers_.run_for(
    [fd, sync, writes = std::move(writes)] { return write_and_sync(fd, writes, sync); },
    std::move(done)));
}

} // namespace troupe
