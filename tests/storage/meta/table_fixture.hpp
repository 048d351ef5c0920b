#pragma once

#include "storage/base/hold_unsynced_env.hpp"
#include "storage/base/posix_env.hpp"
#include "storage/base/random.hpp"
#include "storage/meta/leveldb_engine.hpp"
#include "storage/meta/ordered_engine.hpp"
#include "storage/meta/table_store.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <unistd.h>

namespace troupe::test {

/// A directory that goes with the test.
class scratch_directory {
public:
  scratch_directory() {
    auto pattern = (std::filesystem::temp_directory_path() / "troupe_tables_XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~scratch_directory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

private:
  std::string path_;
};

/// An engine that can lose power and come back.
class ordered_host {
public:
  ordered_host() : engine_(std::make_shared<ordered_engine>(ordered_engine_options{4096})) {}
  std::shared_ptr<table_engine> open() { return engine_; }
  void power_cut(std::uint64_t seed) { engine_->crash(seed); }

private:
  std::shared_ptr<ordered_engine> engine_;
};

class leveldb_host {
public:
  std::shared_ptr<table_engine> open() {
    leveldb_options options;
    options.write_buffer_bytes = 64 << 10; // the least that LevelDB accepts
    if (!held_)
      held_ = std::make_unique<hold_unsynced_env>(
        disk_, hold_unsynced_options{true, keep_one_in_, ++opened_});
    options.files = held_.get();
    auto engine = leveldb_engine::open(directory_.path() + "/tables", !created_, options);
    if (!engine)
      FAIL(describe(engine.error()));
    created_ = true;
    engine_ = *engine;
    return engine_;
  }
  void power_cut(std::uint64_t seed) {
    REQUIRE(engine_.use_count() == 1);
    engine_.reset();
    held_.reset();
    keep_one_in_ =
      static_cast<std::uint32_t>(seed % 4); // from now on; 0: nothing unsynced survives
  }

private:
  scratch_directory directory_;
  posix_env disk_;
  std::unique_ptr<hold_unsynced_env> held_;
  std::uint32_t keep_one_in_ = 2;
  std::uint64_t opened_ = 0;
  bool created_ = false;
  std::shared_ptr<leveldb_engine> engine_;
};

/// Runs jobs on this thread, in any order that a pool could choose: some wait long between their
/// start, the work, and the completion.
class job_runner {
public:
  explicit job_runner(std::uint64_t seed) : random_(seed) {}

  /// One job makes one step.
  void step(table_store& store) {
    collect(store);
    if (waiting_.empty() && done_.empty())
      return;
    bool run = done_.empty() || (!waiting_.empty() && random_.one_in(2));
    auto& from = run ? waiting_ : done_;
    auto at = from.begin() + static_cast<std::ptrdiff_t>(random_.below(from.size()));
    auto job = std::move(*at);
    from.erase(at);
    if (run) {
      job.run();
      done_.push_back(std::move(job));
    } else {
      job.finish();
    }
    collect(store);
  }
  void drain(table_store& store) {
    collect(store);
    while (!waiting_.empty() || !done_.empty())
      step(store);
    CHECK(store.idle());
  }
  /// The process dies: nothing that is under way completes.
  void forget() {
    waiting_.clear();
    done_.clear();
  }

private:
  void collect(table_store& store) {
    for (auto& job : store.take_jobs())
      waiting_.push_back(std::move(job));
  }

  random_source random_;
  std::vector<table_job> waiting_;
  std::vector<table_job> done_;
};

} // namespace troupe::test
