#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace troupe {

/// Virtual time of a simulation, in nanoseconds, and what will happen when. Events of one moment
/// run in the order in which they were planned, so a run depends on nothing but its seed.
class event_queue {
public:
  using action = std::function<void()>;

  std::uint64_t now() const { return now_; }
  void at(std::uint64_t when, action what) {
    events_.push({when < now_ ? now_ : when, ++planned_, std::move(what)});
  }
  void after(std::uint64_t delay, action what) { at(now_ + delay, std::move(what)); }
  /// Runs everything up to and including `end`, also what is planned meanwhile.
  void run_until(std::uint64_t end) {
    while (!events_.empty() && events_.top().when <= end) {
      // The action leaves before it runs: it may plan others.
      auto next = std::move(const_cast<event&>(events_.top()));
      events_.pop();
      now_ = next.when;
      ++done_;
      next.what();
    }
    now_ = end;
  }
  std::uint64_t events_done() const { return done_; }

private:
  struct event {
    std::uint64_t when;
    std::uint64_t order;
    action what;
    bool operator<(const event& other) const {
      return when != other.when ? when > other.when : order > other.order;
    }
  };
  std::priority_queue<event> events_;
  std::uint64_t now_ = 0;
  std::uint64_t planned_ = 0;
  std::uint64_t done_ = 0;
};

} // namespace troupe
