#include "actors/kit/worker_pool.hpp"

#include "storage/base/assert.hpp"

namespace troupe {

worker_pool::worker_pool(reactor& loop, worker_pool_options options)
  : loop_(loop), options_(options) {
  TROUPE_ASSERT(options_.threads > 0);
  for (std::uint32_t i = 0; i < options_.threads; ++i)
    threads_.emplace_back([this] { work(); });
}

worker_pool::~worker_pool() {
  {
    std::lock_guard guard{mutex_};
    ending_ = true;
  }
  wanted_.notify_all();
  for (auto& t : threads_)
    t.join();
  *alive_ = false;
}

expected<void> worker_pool::run(task job, task done) {
  if (in_flight_ >= options_.jobs_max)
    return error{errc::busy, "worker pool: " + std::to_string(in_flight_) + " jobs"};
  ++in_flight_;
  {
    std::lock_guard guard{mutex_};
    queue_.push_back({std::move(job), std::move(done)});
  }
  wanted_.notify_one();
  return {};
}

void worker_pool::work() {
  std::unique_lock guard{mutex_};
  for (;;) {
    wanted_.wait(guard, [this] { return ending_ || !queue_.empty(); });
    if (queue_.empty())
      return;
    auto next = std::move(queue_.front());
    queue_.pop_front();
    guard.unlock();
    next.job();
    next.job = nullptr; // what it captured dies here, not while the lock is held
    loop_.post([this, alive = alive_, done = std::move(next.done)] {
      if (!*alive)
        return;
      --in_flight_;
      done();
    });
    guard.lock();
  }
}

} // namespace troupe
