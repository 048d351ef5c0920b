#pragma once

#include "messages/error.hpp"
#include "storage/base/clock.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace troupe {

using task = std::function<void()>;

/// Names a pending timer; 0 is none.
enum class timer_id : std::uint64_t {};
/// Names a source or turn hook; 0 is none.
enum class hook_id : std::uint64_t {};

struct reactor_options {
  std::uint32_t events_per_turn_max = 64;  ///< Descriptors served before actors run again.
  std::uint32_t posts_per_turn_max = 256;  ///< Tasks of other threads per turn.
  std::uint32_t timers_per_turn_max = 256; ///< Expired timers per turn.
  std::uint32_t sleep_ms_max = 1000;       ///< Bounds how late a timer is after a suspend.
};

/// What the loop did since it was made. Read on the reactor thread.
struct reactor_counters {
  std::uint64_t turns = 0;
  std::uint64_t sleeps = 0;       ///< Turns that found nothing to do and waited.
  std::uint64_t wake_ups = 0;     ///< Eventfd writes by other threads.
  std::uint64_t busy_ns = 0;      ///< Time outside epoll_wait.
  std::uint64_t turn_ns_max = 0;  ///< Longest turn since it was taken: what everybody waited for.
  std::uint64_t timers_fired = 0; ///< Callbacks of timers.
};

/// The one loop of a process: sockets, timers, completions of I/O and all cooperative actors run
/// on its thread, because a hand-over between threads costs 6 to 280 us here and a function call
/// costs nothing. A turn serves a bounded number of descriptors, posted tasks and timers, then
/// asks every source once for more work, then runs the turn hooks, then sleeps if nothing is left.
/// So nobody starves, and a hook sees everything that one turn produced (batched writes).
///
/// All members are for the reactor thread only, except where they say otherwise. The thread that
/// calls `run` or `run_once` is the reactor thread. Nothing that it calls may block.
class reactor {
public:
  explicit reactor(reactor_options options = {}, const clock& time = system_clock());
  ~reactor();
  reactor(const reactor&) = delete;
  reactor& operator=(const reactor&) = delete;

  // -- descriptors (epoll, level-triggered) -------------------------------------------------

  /// Calls `callback(events)` on the reactor thread whenever one of `events` (EPOLLIN, …) is
  /// there. The descriptor stays the caller's; he unwatches before he closes it.
  void watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> callback);
  /// Replaces the set of events.
  void change(int fd, std::uint32_t events);
  /// The callback is never called again, not even for events that are already in hand.
  void unwatch(int fd);

  // -- time (CLOCK_BOOTTIME) ----------------------------------------------------------------

  timer_id call_at(boot_time when, task what);
  timer_id call_after_ms(std::uint64_t ms, task what);
  /// A timer that fired or was cancelled is passed over.
  void cancel(timer_id id);
  /// Read once per turn: cheap, and the same for everything in a turn.
  boot_time now() const { return now_; }
  const clock& time() const { return clock_; }

  // -- work -----------------------------------------------------------------------------------

  /// Runs `what` on the reactor thread, soon, in order. From any thread; wakes the loop only if
  /// it may be asleep.
  void post(task what);
  /// `run_some` does a bounded piece of work per turn; @returns true if more is left.
  hook_id add_source(std::function<bool()> run_some);
  /// Called at the end of every turn: flushes what the turn produced.
  hook_id add_turn_hook(task hook);
  /// Takes a source or turn hook away, at once.
  void remove(hook_id id);
  /// A source or hook has something to do: the next turn does not sleep.
  void request_turn() { again_ = true; }

  // -- the loop -------------------------------------------------------------------------------

  /// Loops until `stop`.
  void run();
  /// One turn, sleeping at most `timeout_ms`. @returns false if nothing happened.
  bool run_once(std::uint32_t timeout_ms);
  /// Makes `run` return after the turn. From any thread.
  void stop();
  /// True on the thread that is inside `run` or `run_once` of this reactor. From any thread.
  bool on_thread() const { return current_ == this; }
  const reactor_counters& counters() const { return counters_; }
  /// The longest turn since this was asked last.
  std::uint64_t take_longest_turn_ns() { return std::exchange(counters_.turn_ns_max, 0); }

private:
  struct watched {
    std::uint64_t generation = 0;
    std::uint32_t events = 0;
    std::function<void(std::uint32_t)> callback;
  };

  void wake();
  bool serve_descriptors(int timeout_ms);
  bool run_posted();
  bool run_timers();
  int wait_ms(std::uint32_t timeout_ms) const;

  static thread_local const reactor* current_;

  reactor_options options_;
  const clock& clock_;
  int epoll_ = -1;
  int wake_fd_ = -1;
  boot_time now_;
  std::unordered_map<int, std::shared_ptr<watched>>
    watched_; // never iterated: order cannot be seen
  std::uint64_t next_generation_ = 1;
  std::map<std::pair<boot_time, std::uint64_t>, task> timers_;
  std::unordered_map<std::uint64_t, boot_time> timer_due_;
  std::uint64_t next_timer_ = 1;
  std::map<hook_id, std::function<bool()>> sources_;
  std::map<hook_id, task> hooks_;
  std::uint64_t next_hook_ = 1;
  bool again_ = false;
  reactor_counters counters_;

  std::mutex posted_mutex_;
  std::vector<task> posted_; // guarded by posted_mutex_
  std::vector<task> running_;
  std::size_t running_at_ = 0;
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> wake_ups_{0};
};

} // namespace troupe
