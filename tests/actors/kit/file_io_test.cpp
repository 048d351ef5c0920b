#include "actors/kit/file_io.hpp"
#include "actors/kit/worker_pool.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <unistd.h>

using namespace troupe;

namespace {

/// A file of its own that disappears with the test.
struct temporary_file {
  std::string path = "/tmp/troupe_file_io_XXXXXX";
  int fd = ::mkstemp(path.data());
  temporary_file() { REQUIRE(fd >= 0); }
  ~temporary_file() {
    ::close(fd);
    ::unlink(path.c_str());
  }
};

byte_vector pattern(std::size_t size, unsigned seed) {
  byte_vector out(size);
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<std::byte>((i * 31 + seed) & 0xff);
  return out;
}

template <class Predicate>
void run_until(reactor& loop, Predicate done) {
  for (int i = 0; i < 2000 && !done(); ++i)
    loop.run_once(10);
  REQUIRE(done());
}

} // namespace

TEST_CASE("file_io: what was written and synced is read back, many at once", "[unit][file_io]") {
  bool uring = GENERATE(true, false);
  reactor loop;
  error why;
  auto io = make_file_io(loop, {.io_uring = uring, .ring_entries = 8}, &why);
  if (uring && why.code != errc::none)
    CHECK(why.id == trp::no_io_uring);
  else
    CHECK(std::string{io->kind()} == (uring ? "io_uring" : "threads"));
  temporary_file f;
  // More than the ring holds, each of two pieces.
  constexpr std::size_t count = 100;
  constexpr std::size_t piece = 8192;
  std::size_t written = 0;
  for (std::size_t i = 0; i < count; ++i)
    io->write(f.fd,
              {{2 * i * piece, shared_bytes{pattern(piece, static_cast<unsigned>(i))}},
               {(2 * i + 1) * piece, shared_bytes{pattern(piece, static_cast<unsigned>(i + 1))}}},
              i % 10 == 0, [&](expected<void> ok) {
                CHECK(ok);
                CHECK(loop.on_thread());
                ++written;
              });
  run_until(loop, [&] { return written == count; });
  CHECK(io->in_flight() == 0);
  std::vector<byte_vector> back(count, byte_vector(2 * piece));
  std::size_t right = 0;
  for (std::size_t i = 0; i < count; ++i)
    io->read(f.fd, 2 * i * piece, back[i], [&, i](expected<std::size_t> n) {
      auto first = pattern(piece, static_cast<unsigned>(i));
      auto second = pattern(piece, static_cast<unsigned>(i + 1));
      first.insert(first.end(), second.begin(), second.end());
      right += n && *n == 2 * piece && back[i] == first;
    });
  run_until(loop, [&] { return io->in_flight() == 0; });
  CHECK(right == count);
}

TEST_CASE("file_io: reads past the end are short, errors are errors", "[unit][file_io]") {
  bool uring = GENERATE(true, false);
  reactor loop;
  auto io = make_file_io(loop, {.io_uring = uring});
  temporary_file f;
  REQUIRE(::ftruncate(f.fd, 1000) == 0);
  byte_vector into(4096);
  std::optional<expected<std::size_t>> tail, beyond, closed;
  io->read(f.fd, 900, into, [&](auto n) { tail = n; });
  io->read(f.fd, 5000, into, [&](auto n) { beyond = n; });
  io->read(-1, 0, into, [&](auto n) { closed = n; });
  std::optional<expected<void>> bad_write, only_sync, nothing;
  int read_only = ::open(f.path.c_str(), O_RDONLY | O_CLOEXEC);
  io->write(read_only, {{0, shared_bytes{pattern(10, 0)}}}, true, [&](auto ok) { bad_write = ok; });
  io->write(f.fd, {}, true, [&](auto ok) { only_sync = ok; });
  run_until(loop, [&] { return io->in_flight() == 0; });
  CHECK(**tail == 100);
  CHECK(**beyond == 0);
  CHECK(closed->error().code == errc::io_error);
  CHECK(bad_write->error().code == errc::io_error);
  CHECK(*only_sync);
  ::close(read_only);
}

TEST_CASE("file_io: ends while operations are in flight", "[unit][file_io]") {
  bool uring = GENERATE(true, false);
  reactor loop;
  auto io = make_file_io(loop, {.io_uring = uring, .ring_entries = 4});
  temporary_file f;
  int called = 0;
  for (std::uint64_t i = 0; i < 20; ++i)
    io->write(f.fd, {{i * 65536, shared_bytes{pattern(65536, 1)}}}, true, [&](auto) { ++called; });
  loop.run_once(0);
  io.reset();
  auto before = called;
  for (int i = 0; i < 10; ++i)
    loop.run_once(0);
  CHECK(called == before);
}

TEST_CASE("worker_pool: jobs run elsewhere, completions here, and a full pool refuses",
          "[unit][worker_pool]") {
  reactor loop;
  worker_pool pool{loop, {.threads = 2, .jobs_max = 3}};
  std::mutex gate;
  gate.lock();
  int sum = 0;
  auto job = [&] {
    std::lock_guard guard{gate};
    return loop.on_thread() ? 1000 : 1;
  };
  auto done = [&](int x) { sum += x + (loop.on_thread() ? 10 : 0); };
  CHECK(pool.run_for(job, done));
  CHECK(pool.run_for(job, done));
  CHECK(pool.run_for(job, done));
  CHECK(pool.run_for(job, done).error().code == errc::busy);
  gate.unlock();
  run_until(loop, [&] { return pool.in_flight() == 0; });
  CHECK(sum == 33);
  CHECK(pool.run_for(job, done));
  run_until(loop, [&] { return pool.in_flight() == 0; });
  CHECK(sum == 44);
}
