#include "actors/kit/holding_io.hpp"
#include "storage/base/posix_env.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>

using namespace troupe;

namespace {

struct fixture {
  std::string path = (std::filesystem::temp_directory_path() / "troupe-held-XXXXXX").string();
  posix_env disk;
  hold_unsynced_env held{disk, {.enabled = true}};
  reactor loop;
  std::unique_ptr<file_io> io;
  std::unique_ptr<file> f;

  explicit fixture(bool uring) {
    REQUIRE(::mkdtemp(path.data()) != nullptr);
    REQUIRE(disk.replace_file(path + "/f", byte_vector(1 << 20)));
    f = std::move(*held.open(path + "/f", open_mode::read_write));
    io = std::make_unique<holding_io>(
      loop, make_file_io(loop, {.io_uring = uring, .ring_entries = 8}), held);
  }
  ~fixture() {
    io.reset();
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  void wait() {
    for (int i = 0; i < 2000 && io->in_flight() > 0; ++i)
      loop.run_once(10);
    REQUIRE(io->in_flight() == 0);
  }
  void write(std::uint64_t offset, std::string text, bool sync) {
    io->write(f->descriptor(), {{offset, shared_bytes{std::move(text)}}}, sync,
              [](expected<void> done) { CHECK(done); });
  }
  std::string read(std::uint64_t offset, std::size_t bytes) {
    byte_vector into(bytes);
    std::size_t got = 0;
    io->read(f->descriptor(), offset, into, [&](expected<std::size_t> n) { got = n ? *n : 0; });
    wait();
    return std::string{as_text(byte_view{into}.first(got))};
  }
  std::string on_disk(std::uint64_t offset, std::size_t bytes) {
    byte_vector into(bytes);
    REQUIRE((*disk.open(path + "/f", open_mode::read_only))->read_at(offset, into));
    return std::string{as_text(into)};
  }
};

} // namespace

TEST_CASE("holding_io: what is not synced is read back and not on the disk", "[unit][holding_io]") {
  fixture x{GENERATE(true, false)};
  const std::string nothing(3, '\0');
  x.write(100, "abc", false);
  x.write(8192, "def", false);
  CHECK(x.read(99, 5) == std::string("\0abc\0", 5));
  CHECK(x.on_disk(100, 3) == nothing);
  // The sync of a call is about its own writes, a sync alone about all.
  x.write(16384, "ghi", true);
  x.wait();
  CHECK(x.on_disk(16384, 3) == "ghi");
  CHECK(x.on_disk(100, 3) == nothing);
  x.io->write(x.f->descriptor(), {}, true, [](expected<void> done) { CHECK(done); });
  x.wait();
  CHECK(x.on_disk(100, 3) == "abc");
  CHECK(x.on_disk(8192, 3) == "def");
  CHECK(x.read((1 << 20) - 1, 10).size() == 1);
  CHECK(x.held.unsynced_bytes() == 0);
}

TEST_CASE("holding_io: many syncs of one file at once end with the newest bytes",
          "[unit][holding_io]") {
  fixture x{GENERATE(true, false)};
  for (int round = 0; round < 200; ++round)
    x.write(static_cast<std::uint64_t>(round % 3) * 4096,
            std::string(4096, static_cast<char>('a' + round % 26)), round % 2 == 0);
  x.io->write(x.f->descriptor(), {}, true, [](expected<void> done) { CHECK(done); });
  x.wait();
  for (int page = 0; page < 3; ++page) {
    int last = 0;
    for (int round = 0; round < 200; ++round)
      if (round % 3 == page)
        last = round;
    std::string want(4096, static_cast<char>('a' + last % 26));
    CHECK(x.on_disk(static_cast<std::uint64_t>(page) * 4096, 4096) == want);
  }
}
