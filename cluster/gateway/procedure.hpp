#pragma once

#include "storage/base/assert.hpp"
#include "storage/base/clock.hpp"

#include <coroutine>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

// Procedures: the steps of one operation written one after the other, although answers of other
// nodes lie between them. A procedure is a coroutine that runs only inside an input of the state
// that owns its runner, until it waits; so a state made of them stays what a state is: the same
// inputs give the same effects, in the same order, without a thread, a clock or a lock.
//
// Rules for writing one: parameters by value (they live in the frame) or references to what
// outlives the runner; no coroutine lambdas with captures; what is built for a co_await gets a
// name first where it is more than a call.

namespace troupe {

class procedure_runner;

/// Somebody who waits: for a wake-up, or for a point in time. Shared by the list and the timer
/// that may end the wait, of which the first wins.
struct wait_state {
  std::coroutine_handle<> waiting;
  procedure_runner* runner = nullptr;
  std::optional<std::pair<boot_time, std::uint64_t>> timer;
  bool over = false;
  bool timed_out = false;
};

namespace detail {

struct procedure_promise_base {
  procedure_runner* runner = nullptr;
  std::coroutine_handle<> continuation;
  bool root = false;

  std::suspend_always initial_suspend() noexcept { return {}; }
  struct final_awaiter {
    bool await_ready() noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> self) noexcept;
    void await_resume() noexcept {}
  };
  final_awaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { std::terminate(); } // nothing here throws; out of memory
};

template <class T>
struct procedure_promise : procedure_promise_base {
  std::optional<T> value;
  std::coroutine_handle<procedure_promise> get_return_object() {
    return std::coroutine_handle<procedure_promise>::from_promise(*this);
  }
  template <class U>
  void return_value(U&& x) {
    value.emplace(std::forward<U>(x));
  }
  T take() { return std::move(*value); }
};
template <>
struct procedure_promise<void> : procedure_promise_base {
  std::coroutine_handle<procedure_promise> get_return_object() {
    return std::coroutine_handle<procedure_promise>::from_promise(*this);
  }
  void return_void() {}
  void take() {}
};

} // namespace detail

/// An operation in steps that ends with a T. Starts when it is awaited (once, as an rvalue) or
/// given to `procedure_runner::start`; destroying it ends it wherever it waits.
template <class T = void>
class [[nodiscard]] procedure {
public:
  using promise_type = detail::procedure_promise<T>;
  using handle = std::coroutine_handle<promise_type>;

  procedure(handle h) : handle_(h) {}
  procedure(procedure&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  procedure& operator=(procedure&&) = delete;
  ~procedure() {
    if (handle_)
      handle_.destroy();
  }

  /// Runs the child until it waits; if it never does, the parent goes on at once.
  struct awaiter {
    handle child;
    bool await_ready() { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> parent) {
      child.promise().runner = parent.promise().runner;
      child.resume();
      if (child.done())
        return false;
      child.promise().continuation = parent;
      return true;
    }
    T await_resume() { return child.promise().take(); }
  };
  awaiter operator co_await() && { return {handle_}; }

  handle release() { return std::exchange(handle_, nullptr); }

private:
  handle handle_;
};

/// Runs procedures of one state, one at a time, in the order in which they became ready.
class procedure_runner {
public:
  procedure_runner() = default;
  procedure_runner(const procedure_runner&) = delete;
  procedure_runner& operator=(const procedure_runner&) = delete;
  ~procedure_runner() { destroy_all(); }

  /// Starts it at once, up to its first wait; the runner owns it from here on.
  void start(procedure<void> p);
  /// Resumes everything that is ready and what becomes ready by that.
  void run();
  /// Ends all procedures where they stand. Call it before what they refer to goes away.
  void destroy_all();

  boot_time now() const { return now_; }
  /// Time passes: whoever waits for a point up to `now` becomes ready. Never goes back.
  void advance(boot_time now);
  /// When somebody waits for time next, if anybody does.
  std::optional<boot_time> next_due() const;
  std::size_t running_count() const { return roots_.size(); }

  void schedule(std::coroutine_handle<> h) { ready_.push_back(h); }
  /// Ends a wait, unless it is over already.
  void wake(wait_state& wait);
  void add_timer(const std::shared_ptr<wait_state>& wait, boot_time due);

private:
  friend struct detail::procedure_promise_base;
  void retire(std::coroutine_handle<> root) { retired_.push_back(root); }
  void destroy_retired();

  boot_time now_;
  std::uint64_t timer_count_ = 0;
  std::deque<std::coroutine_handle<>> ready_;
  std::map<std::pair<boot_time, std::uint64_t>, std::shared_ptr<wait_state>> timers_;
  std::set<std::coroutine_handle<>> roots_;
  std::vector<std::coroutine_handle<>> retired_;
};

template <class Promise>
void detail::procedure_promise_base::final_awaiter::await_suspend(
  std::coroutine_handle<Promise> self) noexcept {
  auto& promise = self.promise();
  if (promise.root)
    promise.runner->retire(self);
  else if (promise.continuation)
    promise.runner->schedule(promise.continuation);
}

/// Those who wait for something to change. Like a condition variable: after waking, look again.
class wait_list {
public:
  /// Makes all waiting procedures ready, in the order in which they came.
  void wake_all();
  bool empty() const { return waits_.empty(); }

  struct awaiter {
    wait_list* list;
    std::optional<boot_time> due;
    std::shared_ptr<wait_state> state;
    bool await_ready() { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> self) {
      suspend(self, self.promise().runner);
    }
    /// @returns false if the time was over first.
    bool await_resume() { return !state->timed_out; }

  private:
    void suspend(std::coroutine_handle<> self, procedure_runner* runner);
  };
  awaiter wait() { return {this, std::nullopt, nullptr}; }
  /// Waits for a wake-up until `due` at the latest.
  awaiter wait_until(boot_time due) { return {this, due, nullptr}; }

private:
  std::vector<std::shared_ptr<wait_state>> waits_;
};

/// co_await sleep_until(t): until the state has been told that it is t.
inline wait_list::awaiter sleep_until(boot_time due) {
  return {nullptr, due, nullptr};
}

/// One procedure at a time, in order of arrival: `auto held = co_await lock.acquire();`
class fifo_lock {
public:
  /// Gives the lock back when it goes.
  class [[nodiscard]] holder {
  public:
    explicit holder(fifo_lock* lock) : lock_(lock) {}
    holder(holder&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
    holder& operator=(holder&&) = delete;
    ~holder() { release(); }
    void release() {
      if (lock_)
        std::exchange(lock_, nullptr)->release();
    }

  private:
    fifo_lock* lock_;
  };

  procedure<holder> acquire();
  bool taken() const { return serving_ != next_; }

private:
  void release();

  std::uint64_t next_ = 0;    ///< The number that the next comer draws.
  std::uint64_t serving_ = 0; ///< Who has it; equal to next_ if nobody.
  wait_list waiting_;
};

/// A bounded amount of something, handed out in order of arrival.
class fifo_budget {
public:
  explicit fifo_budget(std::uint64_t total) : total_(total) {}

  /// Takes `amount`, waiting for it as long as it takes. More than the total is granted when all
  /// is free: a request is never stuck.
  procedure<void> acquire(std::uint64_t amount);
  /// Takes without waiting, even beyond the total.
  void force(std::uint64_t amount) { used_ += amount; }
  void release(std::uint64_t amount);
  std::uint64_t used() const { return used_; }
  std::uint64_t total() const { return total_; }
  bool contended() const { return serving_ != next_; }

private:
  bool fits(std::uint64_t amount) const { return used_ == 0 || used_ + amount <= total_; }

  std::uint64_t total_;
  std::uint64_t used_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t serving_ = 0;
  wait_list waiting_;
};

/// How many of several procedures are still running: the parent waits for the last.
class countdown {
public:
  void add() { ++left_; }
  void done() {
    TROUPE_ASSERT(left_ > 0);
    if (--left_ == 0)
      finished_.wake_all();
  }
  std::uint32_t left() const { return left_; }
  procedure<void> wait() {
    while (left_ > 0)
      co_await finished_.wait();
  }

private:
  std::uint32_t left_ = 0;
  wait_list finished_;
};

} // namespace troupe
