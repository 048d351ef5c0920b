#include "storage/base/hold_unsynced_env.hpp"
#include "storage/base/memory_env.hpp"
#include "storage/base/posix_env.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <sys/wait.h>
#include <unistd.h>

using namespace troupe;

namespace {

struct scratch {
  std::string path;
  scratch() {
    std::string text = std::filesystem::temp_directory_path() / "troupe-held-XXXXXX";
    path = ::mkdtemp(text.data());
  }
  ~scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

/// All files of a directory with their contents.
std::map<std::string, std::string> contents(env& e, const std::string& directory) {
  std::map<std::string, std::string> out;
  auto names = e.list(directory);
  REQUIRE(names);
  for (const auto& name : *names) {
    auto bytes = e.read_file(directory + "/" + name, 1 << 20);
    REQUIRE(bytes);
    out[name] = std::string{as_text(*bytes)};
  }
  return out;
}

/// Open files and the random changes that are made to them, the same in two environments.
class twin {
public:
  twin(env& first, env& second, std::uint64_t seed) : envs_{&first, &second}, random_(seed) {}

  void step() {
    auto path = "/d/" + std::to_string(random_.below(4));
    auto other = "/d/" + std::to_string(random_.below(4));
    auto offset = random_.below(10'000);
    std::string bytes(random_.below(6'000), static_cast<char>('a' + random_.below(26)));
    auto what = random_.below(12);
    if (what == 11) {
      if (!open_.empty())
        open_.erase(open_.begin());
      return;
    }
    files* at = what >= 4 && what <= 10 ? file_of(path) : nullptr;
    for (std::size_t i = 0; i < 2; ++i) {
      auto& e = *envs_[i];
      auto* f = at ? (*at)[i].get() : nullptr;
      switch (what) {
      case 0: answer(i, e.sync_directory("/d")); break;
      case 1: answer(i, e.rename(path, other)); break;
      case 2: answer(i, e.remove_file(path)); break;
      case 3: answer(i, e.replace_file(path, as_bytes(bytes))); break;
      case 4:
      case 5: answer(i, f->sync()); break;
      case 6: answer(i, f->truncate(offset)); break;
      default: answer(i, f->write_at(offset, as_bytes(bytes)));
      }
    }
    CHECK(answers_[0] == answers_[1]);
    if (what <= 3)
      open_.clear(); // a handle may belong to another name now
  }

private:
  using files = std::array<std::unique_ptr<file>, 2>;

  files* file_of(const std::string& path) {
    auto& both = open_[path];
    for (std::size_t i = 0; i < 2; ++i)
      if (!both[i]) {
        auto opened = envs_[i]->open(path, open_mode::create_or_open);
        REQUIRE(opened);
        both[i] = std::move(*opened);
      }
    return &both;
  }
  void answer(std::size_t i, const expected<void>& done) {
    answers_[i] = done ? errc::none : done.error().code;
  }

  std::array<env*, 2> envs_;
  random_source random_;
  std::map<std::string, files> open_;
  std::array<errc, 2> answers_{};
};

} // namespace

// Goal: a cut loses exactly what was not synced, and until then nobody notices that it is held.
// Method: the same random changes here and in memory_env, whose crash with seed 0 is that rule.
TEST_CASE("hold_unsynced_env: the end of the process loses all that is unsynced, and only that",
          "[unit][env][hold_unsynced]") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    memory_env model;
    memory_env medium;
    REQUIRE(model.make_directory("/d"));
    REQUIRE(medium.make_directory("/d"));
    {
      hold_unsynced_env held{medium, {.enabled = true}};
      twin both{held, model, seed};
      for (int i = 0; i < 60; ++i)
        both.step();
      CHECK(contents(held, "/d") == contents(model, "/d"));
    }
    model.crash(0);
    CHECK(contents(medium, "/d") == contents(model, "/d"));
  }
}

// Goal: pages that the disk wrote early are there or not, each by itself, and never older ones.
TEST_CASE("hold_unsynced_env: some pages reach the medium before their sync, in any order",
          "[unit][env][hold_unsynced]") {
  constexpr std::uint64_t page_count = 32;
  std::uint64_t early = 0;
  std::uint64_t lost = 0;
  std::uint64_t holes = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    memory_env medium;
    REQUIRE(medium.make_directory("/d"));
    std::array<std::uint64_t, page_count> synced{};
    std::array<std::uint64_t, page_count> written{};
    {
      hold_unsynced_env held{medium, {.enabled = true, .keep_one_in = 3, .seed = seed}};
      auto f = held.open("/d/f", open_mode::create_new);
      REQUIRE(f);
      REQUIRE((*f)->preallocate(page_count * held_page_bytes));
      REQUIRE((*f)->sync());
      REQUIRE(held.sync_directory("/d"));
      random_source random{seed};
      for (std::uint64_t version = 1; version <= 100; ++version) {
        auto page = random.below(page_count);
        byte_vector bytes(held_page_bytes, static_cast<std::byte>(version));
        REQUIRE((*f)->write_at(page * held_page_bytes, bytes));
        written[page] = version;
        if (random.one_in(40)) {
          REQUIRE((*f)->sync());
          synced = written;
          CHECK(held.unsynced_bytes() == 0);
        }
      }
    }
    auto left = medium.read_file("/d/f", 1 << 20);
    REQUIRE(left);
    bool behind = false;
    for (std::uint64_t page = 0; page < page_count; ++page) {
      byte_vector bytes(left->begin() + static_cast<std::ptrdiff_t>(page * held_page_bytes),
                        left->begin() + static_cast<std::ptrdiff_t>((page + 1) * held_page_bytes));
      auto version = std::to_integer<std::uint64_t>(bytes.front());
      CHECK(bytes == byte_vector(held_page_bytes, bytes.front()));
      CHECK(version >= synced[page]);
      CHECK(version <= written[page]);
      early += version > synced[page];
      lost += version < written[page];
      holes += behind && version > synced[page];
      behind = behind || version < written[page];
    }
  }
  CHECK(early > 0);
  CHECK(lost > 0);
  CHECK(holes > 0);
}

TEST_CASE("hold_unsynced_env: SIGKILL loses what was not synced", "[unit][env][hold_unsynced]") {
  scratch dir;
  posix_env files;
  auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) { // no checks of the test framework here
    hold_unsynced_env held{files, {.enabled = true}};
    auto path = dir.path + "/f";
    auto kept = held.replace_file(path, as_bytes("old"));
    auto f = held.open(path, open_mode::read_write);
    bool fine = kept && f && (*f)->write_at(0, as_bytes("synced")) && (*f)->sync()
                && (*f)->write_at(0, as_bytes("unsynced"))
                && held.open(dir.path + "/g", open_mode::create_new) && held.read_file(path, 100)
                && as_text(*held.read_file(path, 100)) == "unsynced";
    if (!fine)
      ::_exit(1);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  CHECK(contents(files, dir.path) == std::map<std::string, std::string>{{"f", "synced"}});
}

TEST_CASE("hold_unsynced_env: a flush that somebody else carries out is a sync",
          "[unit][env][hold_unsynced]") {
  memory_env medium;
  hold_unsynced_env held{medium, {.enabled = true}};
  REQUIRE(medium.make_directory("/d"));
  REQUIRE(medium.replace_file("/d/f", byte_vector(4 * held_page_bytes)));
  held_file f{*medium.open("/d/f", open_mode::read_write), 4 * held_page_bytes, 0, 1};
  auto medium_has = [&] {
    auto bytes = medium.read_file("/d/f", 1 << 20);
    std::string out;
    for (std::uint64_t page = 0; page < 4; ++page)
      out += std::to_string(std::to_integer<int>((*bytes)[page * held_page_bytes]));
    return out;
  };
  auto put = [&](std::uint64_t page, int value) {
    REQUIRE(f.write(page * held_page_bytes, byte_vector(10, static_cast<std::byte>(value))));
  };
  auto carry_out = [&](const held_flush& flush) {
    auto out = medium.open("/d/f", open_mode::read_write);
    for (const auto& run : flush.runs)
      REQUIRE((*out)->write_at(run.offset, run.bytes.view()));
  };
  put(0, 1);
  put(1, 2);
  put(3, 3);
  CHECK(medium_has() == "0000");
  auto part = f.begin_flush({{held_page_bytes, held_page_bytes + 10}}); // only what a write wrote
  REQUIRE(part);
  carry_out(*part);
  put(1, 4); // while it is under way
  f.end_flush(*part, true);
  CHECK(medium_has() == "0200");
  CHECK(f.unsynced_bytes() == 3 * held_page_bytes);
  byte_vector seen(1);
  REQUIRE(f.read(held_page_bytes, seen));
  CHECK(std::to_integer<int>(seen[0]) == 4);
  auto all = f.begin_flush({});
  REQUIRE(all);
  CHECK(all->runs.size() == 2); // pages 0 and 1, page 3
  carry_out(*all);
  f.end_flush(*all, true);
  CHECK(medium_has() == "1403");
  CHECK(f.clean());
  put(2, 5);
  auto failing = f.begin_flush({});
  REQUIRE(failing);
  f.end_flush(*failing, false);
  CHECK(f.sync().error().code == errc::io_error);
  CHECK(f.write(0, byte_vector(1)).error().code == errc::io_error);
}
