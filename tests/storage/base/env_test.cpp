#include "storage/base/fault_env.hpp"
#include "storage/base/hold_unsynced_env.hpp"
#include "storage/base/memory_env.hpp"
#include "storage/base/posix_env.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <unistd.h>

using namespace troupe;

namespace {

/// A directory of the real file system that goes away with the test.
struct scratch {
  std::string path;
  scratch() {
    std::string text = std::filesystem::temp_directory_path() / "troupe-env-XXXXXX";
    path = ::mkdtemp(text.data());
  }
  ~scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

std::string read_all(env& e, const std::string& path) {
  auto bytes = e.read_file(path, 1 << 20);
  REQUIRE(bytes);
  return std::string{as_text(*bytes)};
}

/// What all environments must agree on.
void check_common(env& e, const std::string& root) {
  auto dir = root + "/a/b";
  REQUIRE(e.make_directory(dir));
  REQUIRE(e.make_directory(dir)); // again is fine
  auto path = dir + "/f";
  CHECK(e.open(path, open_mode::read_only).error().code == errc::not_found);
  CHECK(e.open(path, open_mode::read_write).error().code == errc::not_found);
  CHECK(e.open(root + "/nowhere/f", open_mode::create_new).error().code == errc::not_found);
  CHECK(e.open(root + "/nowhere/f", open_mode::create_new).error().id == trp::path_not_found);
  auto f = e.open(path, open_mode::create_new);
  REQUIRE(f);
  CHECK(e.open(path, open_mode::create_new).error().code == errc::already_exists);
  REQUIRE((*f)->write_at(3, as_bytes("defg")));
  CHECK(read_all(e, path) == std::string("\0\0\0defg", 7));
  REQUIRE((*f)->write_at(0, as_bytes("abc")));
  CHECK(*(*f)->size() == 7);
  byte_vector into(4);
  CHECK(*(*f)->read_at(5, into) == 2); // fewer only at the end
  CHECK(*(*f)->read_at(7, into) == 0);
  CHECK(*(*f)->read_at(100, into) == 0);
  REQUIRE((*f)->preallocate(4096));
  CHECK(*(*f)->size() == 4096);
  REQUIRE((*f)->preallocate(10)); // never shorter
  CHECK(*(*f)->size() == 4096);
  REQUIRE((*f)->write_zeros(2, 5));
  REQUIRE((*f)->truncate(7));
  CHECK(read_all(e, path) == std::string("ab\0\0\0fg", 7));
  REQUIRE((*f)->sync());
  CHECK((*e.open(path, open_mode::read_only))->write_at(0, as_bytes("x")).error().code
        == errc::invalid_argument);
  CHECK(e.read_file(path, 6).error().code == errc::too_large);

  REQUIRE(e.replace_file(path, as_bytes("new")));
  CHECK(read_all(e, path) == "new");
  REQUIRE(e.rename(path, dir + "/g"));
  CHECK_FALSE(*e.exists(path));
  CHECK(*e.exists(dir + "/g"));
  CHECK(e.rename(path, dir + "/h").error().code == errc::not_found);
  REQUIRE(e.open(dir + "/e", open_mode::create_or_open));
  CHECK(*e.list(dir) == std::vector<std::string>{"e", "g"});
  CHECK(*e.list(root) == std::vector<std::string>{"a"});
  CHECK(e.list(root + "/x").error().code == errc::not_found);
  CHECK(e.list(dir + "/g").error().code == errc::not_directory);
  CHECK(e.remove_directory(dir).error().code == errc::not_empty);
  CHECK(e.remove_file(dir + "/x").error().code == errc::not_found);
  REQUIRE(e.remove_file(dir + "/e"));
  REQUIRE(e.remove_file(dir + "/g"));
  REQUIRE(e.sync_directory(dir));
  CHECK(e.sync_directory(root + "/x").error().code == errc::not_found);
  REQUIRE(e.remove_directory(dir));
  CHECK_FALSE(*e.exists(dir));
  CHECK(*e.free_bytes(root) > 0);

  auto held = e.lock(root + "/lock");
  REQUIRE(held);
  CHECK(e.lock(root + "/lock").error().code == errc::busy);
  held->reset();
  CHECK(e.lock(root + "/lock"));
}

} // namespace

TEST_CASE("posix_env: does what every environment does", "[unit][env]") {
  scratch dir;
  posix_env e;
  check_common(e, dir.path);
}

TEST_CASE("memory_env: does what every environment does", "[unit][env]") {
  memory_env e;
  REQUIRE(e.make_directory("/root"));
  check_common(e, "/root");
}

TEST_CASE("fault_env: without faults does what every environment does", "[unit][env]") {
  memory_env inner;
  fault_env e{inner};
  REQUIRE(e.make_directory("/root"));
  check_common(e, "/root");
}

TEST_CASE("hold_unsynced_env: does what every environment does", "[unit][env]") {
  auto keep_one_in = GENERATE(0u, 1u, 3u);
  hold_unsynced_options options{.enabled = true, .keep_one_in = keep_one_in};
  SECTION("over files") {
    scratch dir;
    posix_env inner;
    hold_unsynced_env e{inner, options};
    check_common(e, dir.path);
  }
  SECTION("over memory") {
    memory_env inner;
    hold_unsynced_env e{inner, options};
    REQUIRE(e.make_directory("/root"));
    check_common(e, "/root");
  }
}

TEST_CASE("posix_env: reserves the room of a preallocated file", "[unit][env]") {
  scratch dir;
  posix_env e;
  auto f = e.open(dir.path + "/f", open_mode::create_new);
  REQUIRE(f);
  CHECK((*f)->descriptor() >= 0);
  auto before = *e.free_bytes(dir.path);
  auto absurd = (*f)->preallocate(std::uint64_t{1} << 50);
  REQUIRE_FALSE(absurd);
  CHECK((absurd.error().code == errc::no_space || absurd.error().code == errc::too_large));
  CHECK(absurd.error().context.find(dir.path) != std::string::npos);
  CHECK(*(*f)->size() == 0);
  CHECK(before > 0);
  REQUIRE((*f)->preallocate(1 << 20));
  byte_vector page(16, std::byte{1});
  CHECK(*(*f)->read_at((1 << 20) - 16, page) == 16);
  CHECK(page == byte_vector(16));
}

TEST_CASE("posix_env: a refused file names the path and the cause", "[unit][env]") {
  scratch dir;
  posix_env e;
  REQUIRE(e.replace_file(dir.path + "/f", as_bytes("x")));
  std::filesystem::permissions(dir.path, std::filesystem::perms::none);
  auto was_root = ::geteuid() == 0; // root may do anything: be nobody for a moment
  if (was_root)
    REQUIRE(::seteuid(65534) == 0);
  auto refused = e.open(dir.path + "/f", open_mode::read_only);
  auto unknown = e.exists(dir.path + "/f");
  if (was_root)
    REQUIRE(::seteuid(0) == 0);
  std::filesystem::permissions(dir.path, std::filesystem::perms::owner_all);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::permission_denied);
  CHECK(refused.error().id == trp::no_permission);
  CHECK(refused.error().context.find(dir.path + "/f") != std::string::npos);
  CHECK(unknown.error().code == errc::permission_denied); // not "it does not exist"
}

TEST_CASE("posix_env: system errors become what callers can act on", "[unit][env]") {
  CHECK(posix_error(ENOSPC, "write", "/x").code == errc::no_space);
  CHECK(posix_error(ENOSPC, "write", "/x").id == trp::not_enough_disk_space);
  CHECK(posix_error(EIO, "sync", "/x").code == errc::io_error);
  CHECK(posix_error(EIO, "sync", "/x").id == trp::drive_failed);
  CHECK(posix_error(EROFS, "open", "/x").id == trp::no_permission);
  CHECK(posix_error(EIO, "sync", "/x").context == "sync /x: Input/output error");
}

TEST_CASE("memory_env: a full environment answers no_space and keeps what it has", "[unit][env]") {
  memory_env e{1000};
  auto f = e.open("f", open_mode::create_new);
  REQUIRE((*f)->write_at(0, byte_vector(900)));
  CHECK(*e.free_bytes("/") == 100);
  CHECK((*f)->write_at(900, byte_vector(101)).error().code == errc::no_space);
  CHECK((*f)->preallocate(1001).error().code == errc::no_space);
  CHECK(*(*f)->size() == 900);
  CHECK((*f)->write_at(100, byte_vector(800))); // no growth
}

TEST_CASE("memory_env: a crash keeps what was synced and at most more", "[unit][memory_env]") {
  bool torn = false;
  bool lost = false;
  bool kept = false;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    memory_env e;
    auto f = e.open("f", open_mode::create_new);
    REQUIRE(e.sync_directory("/"));
    REQUIRE((*f)->write_at(0, byte_vector(4096, std::byte{1})));
    REQUIRE((*f)->sync());
    REQUIRE((*f)->write_at(1024, byte_vector(2048, std::byte{2})));
    REQUIRE((*f)->write_at(4096, byte_vector(512, std::byte{3})));
    e.crash(seed);
    CHECK((*f)->sync().error().code == errc::unavailable);
    auto after = e.read_file("f", 1 << 20);
    REQUIRE(after);
    REQUIRE((after->size() == 4096 || after->size() == 4608));
    auto count = [&](int value) {
      return std::count(after->begin(), after->end(), std::byte(value));
    };
    auto twos = count(2);
    CHECK(twos % 512 == 0); // sectors are atomic
    CHECK(count(1) + twos == 4096);
    torn = torn || (twos > 0 && twos < 2048);
    lost = lost || (twos == 0 && after->size() == 4096);
    kept = kept || (twos == 2048 && count(3) == 512);
    if (seed == 0)
      CHECK((twos == 0 && after->size() == 4096));
    if (seed == 1)
      CHECK((twos == 2048 && count(3) == 512));
  }
  CHECK(torn);
  CHECK(lost);
  CHECK(kept);
}

TEST_CASE("memory_env: a crash loses or keeps names that were not synced", "[unit][memory_env]") {
  std::set<std::vector<std::string>> outcomes;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    memory_env e;
    for (const char* name : {"a", "b"})
      REQUIRE((*e.open(name, open_mode::create_new))->sync());
    REQUIRE(e.sync_directory("/"));
    REQUIRE(e.rename("a", "c"));
    REQUIRE(e.remove_file("b"));
    e.crash(seed);
    outcomes.insert(*e.list("/"));
  }
  CHECK(outcomes == std::set<std::vector<std::string>>{{"a", "b"}, {"a"}, {"b", "c"}, {"c"}});
}

TEST_CASE("memory_env: a synced rename survives with the creation before it",
          "[unit][memory_env]") {
  memory_env e;
  REQUIRE(e.make_directory("d"));
  REQUIRE((*e.open("x", open_mode::create_new))->sync());
  REQUIRE(e.rename("x", "d/y"));
  REQUIRE(e.sync_directory("d"));
  e.crash(1);
  CHECK(*e.list("/") == std::vector<std::string>{"d"});
  CHECK(*e.list("d") == std::vector<std::string>{"y"});
}

TEST_CASE("memory_env: replace_file leaves the old or the new contents", "[unit][memory_env]") {
  std::set<std::string> outcomes;
  for (std::uint64_t changes = 0; changes < 8; ++changes)
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      memory_env e;
      REQUIRE(e.replace_file("f", as_bytes("old")));
      fault_env cut{e};
      cut.stop_after(changes);
      auto done = cut.replace_file("f", as_bytes("newer"));
      e.crash(seed);
      auto text = read_all(e, "f");
      outcomes.insert(text);
      CHECK((text == "old" || text == "newer"));
      if (done)
        CHECK(text == "newer");
    }
  CHECK(outcomes.size() == 2);
}

TEST_CASE("memory_env: a clone crashes on its own", "[unit][memory_env]") {
  memory_env e;
  auto f = e.open("f", open_mode::create_new);
  REQUIRE(e.sync_directory("/"));
  REQUIRE((*f)->write_at(0, as_bytes("abc")));
  auto other = e.clone();
  other->crash(0);
  CHECK(read_all(*other, "f").empty());
  CHECK(read_all(e, "f") == "abc");
  REQUIRE((*f)->sync());
  e.crash(0);
  CHECK(read_all(e, "f") == "abc");
  REQUIRE(e.flip_bits("f", 1, 0x01));
  CHECK(read_all(e, "f") == "acc");
}

TEST_CASE("fault_env: the n-th call fails, and no other", "[unit][fault_env]") {
  memory_env inner;
  fault_env e{inner};
  e.add({.call = env_call::write, .path_part = "f", .after = 1, .done_bytes = 2});
  e.add({.call = env_call::read, .code = errc::corrupt});
  auto f = e.open("f", open_mode::create_new);
  auto g = e.open("g", open_mode::create_new);
  CHECK((*f)->write_at(0, as_bytes("abcd")));
  CHECK((*g)->write_at(0, as_bytes("abcd")));
  CHECK((*f)->write_at(4, as_bytes("efgh")).error().code == errc::io_error);
  CHECK((*f)->write_at(8, as_bytes("ij")));
  byte_vector into(10);
  CHECK((*f)->read_at(0, into).error().code == errc::corrupt);
  CHECK(*(*f)->read_at(0, into) == 10);
  CHECK(as_text(into) == std::string_view("abcdef\0\0ij", 10));
  CHECK(e.counters().writes == 4);
  CHECK(e.counters().written_bytes == 10);
}

TEST_CASE("fault_env: a failed sync fails the file for good", "[unit][fault_env]") {
  memory_env inner;
  fault_env e{inner};
  e.add({.call = env_call::sync});
  auto f = e.open("f", open_mode::create_new);
  CHECK((*f)->write_at(0, as_bytes("abcd")));
  CHECK((*f)->sync().error().code == errc::io_error);
  CHECK((*f)->sync().error().code == errc::io_error);
  CHECK((*f)->write_at(0, as_bytes("abcd")).error().code == errc::io_error);
  e.heal();
  CHECK((*f)->sync().error().code == errc::io_error);
}

TEST_CASE("fault_env: space runs out in the middle of a write", "[unit][fault_env]") {
  memory_env inner;
  fault_env e{inner};
  e.limit_space(6);
  auto f = e.open("f", open_mode::create_new);
  CHECK((*f)->write_at(0, as_bytes("abcd")));
  CHECK(*e.free_bytes("/") == 2);
  CHECK((*f)->write_at(4, as_bytes("efgh")).error().code == errc::no_space);
  CHECK(read_all(e, "f") == "abcdef");
  CHECK((*f)->write_at(6, as_bytes("g")).error().code == errc::no_space);
}

TEST_CASE("fault_env: reads come back flipped or short", "[unit][fault_env]") {
  memory_env inner;
  fault_env e{inner};
  REQUIRE(e.replace_file("f", as_bytes("abcd")));
  e.flip_on_read("f", 2, 0x01);
  CHECK(read_all(e, "f") == "abbd");
  e.heal();
  e.shorten_reads("f", 3);
  CHECK(read_all(e, "f") == "abc");
}
