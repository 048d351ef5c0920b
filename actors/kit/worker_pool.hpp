#pragma once

#include "actors/kit/reactor.hpp"

#include <condition_variable>
#include <deque>
#include <memory>
#include <optional>
#include <type_traits>

namespace troupe {

struct worker_pool_options {
  std::uint32_t threads = 2;
  std::uint32_t jobs_max = 4096; ///< Queued and running; above it `run` answers errc::busy.
};

/// A few threads for calls that block: LevelDB, key files, directory syncs. A job runs on one of
/// them, its completion on the reactor thread. Jobs of one pool run in any order; who needs an
/// order submits the next job from the completion of the one before.
class worker_pool {
public:
  worker_pool(reactor& loop, worker_pool_options options);
  /// Runs what is queued, waits for the threads; completions that the reactor has not run yet are
  /// dropped with it.
  ~worker_pool();
  worker_pool(const worker_pool&) = delete;
  worker_pool& operator=(const worker_pool&) = delete;

  /// Runs `job` on a thread of the pool, then `done` on the reactor thread. From the reactor
  /// thread. @returns errc::busy if the pool is full; then neither runs.
  expected<void> run(task job, task done);

  /// The same with a value: `done(job())`.
  template <class Job, class Done>
  expected<void> run_for(Job job, Done done) {
    using value = std::invoke_result_t<Job&>;
    auto result = std::make_shared<std::optional<value>>();
    return run([job = std::move(job), result]() mutable { result->emplace(job()); },
               [done = std::move(done), result]() mutable { done(std::move(**result)); });
  }

  /// Jobs that were accepted and whose completion has not run yet.
  std::size_t in_flight() const { return in_flight_; }

private:
  struct entry {
    task job;
    task done;
  };
  void work();

  reactor& loop_;
  worker_pool_options options_;
  std::size_t in_flight_ = 0; // reactor thread only
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  std::mutex mutex_;
  std::condition_variable wanted_;
  std::deque<entry> queue_; // guarded by mutex_
  bool ending_ = false;     // guarded by mutex_
  std::vector<std::thread> threads_;
};

} // namespace troupe
