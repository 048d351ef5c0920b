#include "actors/kit/reactor.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace troupe {

namespace {

constexpr std::uint64_t ns_per_ms = 1'000'000;
constexpr std::size_t events_max = 256;

} // namespace

thread_local const reactor* reactor::current_ = nullptr;

reactor::reactor(reactor_options options, const clock& time)
  : options_(options), clock_(time), now_(time.boot()) {
  options_.events_per_turn_max =
    std::clamp<std::uint32_t>(options_.events_per_turn_max, 1, events_max);
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  TROUPE_ASSERT(epoll_ >= 0); // only descriptors or memory of the process can be exhausted here
  TROUPE_ASSERT(wake_fd_ >= 0);
  watch(wake_fd_, EPOLLIN, [this](std::uint32_t) {
    std::uint64_t count = 0;
    [[maybe_unused]] auto n = ::read(wake_fd_, &count, sizeof(count));
  });
}

reactor::~reactor() {
  ::close(wake_fd_);
  ::close(epoll_);
}

void reactor::watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> callback) {
  auto generation = next_generation_++;
  epoll_event event{};
  event.events = events;
  // The generation tells events of this watch from those of an earlier one on the same number.
  event.data.u64 = (generation << 24) | static_cast<std::uint64_t>(fd);
  TROUPE_ASSERT(fd >= 0 && fd < (1 << 24));
  auto [it, fresh] = watched_.emplace(
    fd, std::make_shared<watched>(watched{generation, events, std::move(callback)}));
  TROUPE_ASSERT(fresh);
  TROUPE_ASSERT(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
}

void reactor::change(int fd, std::uint32_t events) {
  auto it = watched_.find(fd);
  TROUPE_ASSERT(it != watched_.end());
  if (it->second->events == events)
    return;
  it->second->events = events;
  epoll_event event{};
  event.events = events;
  event.data.u64 = (it->second->generation << 24) | static_cast<std::uint64_t>(fd);
  TROUPE_ASSERT(::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) == 0);
}

void reactor::unwatch(int fd) {
  if (watched_.erase(fd) != 0)
    ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
}

timer_id reactor::call_at(boot_time when, task what) {
  auto id = next_timer_++;
  timers_.emplace(std::pair{when, id}, std::move(what));
  timer_due_.emplace(id, when);
  return timer_id{id};
}

timer_id reactor::call_after_ms(std::uint64_t ms, task what) {
  // From the clock itself: `now()` may be a whole turn old, or older outside the loop.
  return call_at(boot_time{clock_.boot().ns + ms * ns_per_ms}, std::move(what));
}

void reactor::cancel(timer_id id) {
  auto it = timer_due_.find(static_cast<std::uint64_t>(id));
  if (it == timer_due_.end())
    return;
  timers_.erase({it->second, it->first});
  timer_due_.erase(it);
}

void reactor::post(task what) {
  {
    std::lock_guard guard{posted_mutex_};
    posted_.push_back(std::move(what));
  }
  // Pairs with the fence in run_once: either the loop sees the task before it sleeps, or we see
  // that it may be asleep.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (asleep_.load(std::memory_order_relaxed))
    wake();
}

void reactor::wake() {
  wake_ups_.fetch_add(1, std::memory_order_relaxed);
  std::uint64_t one = 1;
  [[maybe_unused]] auto n = ::write(wake_fd_, &one, sizeof(one));
}

hook_id reactor::add_source(std::function<bool()> run_some) {
  hook_id id{next_hook_++};
  sources_.emplace(id, std::move(run_some));
  return id;
}

hook_id reactor::add_turn_hook(task hook) {
  hook_id id{next_hook_++};
  hooks_.emplace(id, std::move(hook));
  return id;
}

void reactor::remove(hook_id id) {
  sources_.erase(id);
  hooks_.erase(id);
}

void reactor::stop() {
  stop_.store(true);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (asleep_.load(std::memory_order_relaxed))
    wake();
}

void reactor::run() {
  while (!stop_.load())
    run_once(options_.sleep_ms_max);
  stop_.store(false);
}

int reactor::wait_ms(std::uint32_t timeout_ms) const {
  std::uint64_t wait = std::min(timeout_ms, options_.sleep_ms_max);
  if (!timers_.empty()) {
    auto due = timers_.begin()->first.first;
    auto now = clock_.boot();
    std::uint64_t left = due > now ? (due.ns - now.ns + ns_per_ms - 1) / ns_per_ms : 0;
    wait = std::min(wait, left);
  }
  return static_cast<int>(wait);
}

bool reactor::serve_descriptors(int timeout_ms) {
  std::array<epoll_event, events_max> events;
  int count =
    ::epoll_wait(epoll_, events.data(), static_cast<int>(options_.events_per_turn_max), timeout_ms);
  asleep_.store(false, std::memory_order_relaxed);
  now_ = clock_.boot();
  for (int i = 0; i < count; ++i) {
    auto word = events[static_cast<std::size_t>(i)].data.u64;
    auto it = watched_.find(static_cast<int>(word & 0xff'ffff));
    if (it == watched_.end() || it->second->generation != word >> 24)
      continue;             // unwatched by an earlier callback of this turn
    auto keep = it->second; // it may unwatch itself
    keep->callback(events[static_cast<std::size_t>(i)].events);
  }
  return count > 0;
}

bool reactor::run_posted() {
  if (running_at_ == running_.size()) {
    running_.clear();
    running_at_ = 0;
    std::lock_guard guard{posted_mutex_};
    running_.swap(posted_);
  }
  std::size_t budget = options_.posts_per_turn_max;
  bool any = running_at_ < running_.size();
  while (running_at_ < running_.size() && budget-- > 0) {
    auto what = std::move(running_[running_at_++]);
    what();
  }
  return any;
}

bool reactor::run_timers() {
  std::size_t budget = options_.timers_per_turn_max;
  bool any = false;
  while (!timers_.empty() && timers_.begin()->first.first <= now_ && budget-- > 0) {
    auto node = timers_.extract(timers_.begin());
    timer_due_.erase(node.key().second);
    ++counters_.timers_fired;
    any = true;
    node.mapped()();
  }
  return any;
}

bool reactor::run_once(std::uint32_t timeout_ms) {
  const reactor* outer = std::exchange(current_, this);
  int sleep = 0;
  if (!again_ && running_at_ == running_.size()) {
    asleep_.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    bool pending = stop_.load();
    if (!pending) {
      std::lock_guard guard{posted_mutex_};
      pending = !posted_.empty();
    }
    if (pending)
      asleep_.store(false, std::memory_order_relaxed);
    else
      sleep = wait_ms(timeout_ms);
  }
  again_ = false;
  if (sleep > 0)
    ++counters_.sleeps;
  bool any = serve_descriptors(sleep);
  auto start = now_;
  any |= run_posted();
  any |= run_timers();
  // By key, not by iterator: a source or hook may add and remove others, and itself.
  for (auto it = sources_.begin(); it != sources_.end();) {
    auto [id, source] = *it;
    again_ |= source();
    it = sources_.upper_bound(id);
  }
  for (auto it = hooks_.begin(); it != hooks_.end();) {
    auto [id, hook] = *it;
    hook();
    it = hooks_.upper_bound(id);
  }
  ++counters_.turns;
  counters_.wake_ups = wake_ups_.load(std::memory_order_relaxed);
  auto spent = clock_.boot().ns - start.ns;
  counters_.busy_ns += spent;
  counters_.turn_ns_max = std::max(counters_.turn_ns_max, spent);
  current_ = outer;
  return any || again_;
}

} // namespace troupe
