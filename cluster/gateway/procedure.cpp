#include "cluster/gateway/procedure.hpp"

namespace troupe {

void procedure_runner::start(procedure<void> p) {
  auto h = p.release();
  h.promise().runner = this;
  h.promise().root = true;
  roots_.insert(h);
  h.resume();
}

void procedure_runner::run() {
  while (!ready_.empty()) {
    auto h = ready_.front();
    ready_.pop_front();
    h.resume();
    destroy_retired();
  }
  destroy_retired();
}

void procedure_runner::destroy_retired() {
  while (!retired_.empty()) {
    auto h = retired_.back();
    retired_.pop_back();
    roots_.erase(h);
    h.destroy();
  }
}

void procedure_runner::destroy_all() {
  ready_.clear();
  timers_.clear();
  retired_.clear();
  while (!roots_.empty()) {
    auto h = *roots_.begin();
    roots_.erase(roots_.begin());
    h.destroy();
  }
  ready_.clear(); // what the dying procedures woke stays asleep
}

void procedure_runner::advance(boot_time now) {
  if (now <= now_)
    return;
  now_ = now;
  while (!timers_.empty() && timers_.begin()->first.first <= now_) {
    auto wait = timers_.begin()->second;
    wait->timed_out = true;
    wake(*wait);
  }
}

std::optional<boot_time> procedure_runner::next_due() const {
  if (timers_.empty())
    return std::nullopt;
  return timers_.begin()->first.first;
}

void procedure_runner::wake(wait_state& wait) {
  if (wait.timer)
    timers_.erase(*std::exchange(wait.timer, std::nullopt));
  if (!std::exchange(wait.over, true))
    schedule(wait.waiting);
}

void procedure_runner::add_timer(const std::shared_ptr<wait_state>& wait, boot_time due) {
  wait->timer = {due, ++timer_count_};
  timers_.emplace(*wait->timer, wait);
}

void wait_list::awaiter::suspend(std::coroutine_handle<> self, procedure_runner* runner) {
  state = std::make_shared<wait_state>();
  state->waiting = self;
  state->runner = runner;
  if (list) {
    // Waits that a timer ended are swept here, so that a list that is never woken stays short.
    std::erase_if(list->waits_, [](const auto& w) { return w->over; });
    list->waits_.push_back(state);
  }
  if (!due)
    return;
  runner->add_timer(state, *due);
  if (*due <= runner->now()) {
    state->timed_out = true;
    runner->wake(*state);
  }
}

void wait_list::wake_all() {
  auto waits = std::exchange(waits_, {});
  for (auto& w : waits)
    if (!w->over)
      w->runner->wake(*w);
}

procedure<fifo_lock::holder> fifo_lock::acquire() {
  auto mine = next_++;
  while (serving_ != mine)
    co_await waiting_.wait();
  co_return holder{this};
}

void fifo_lock::release() {
  ++serving_;
  waiting_.wake_all();
}

procedure<void> fifo_budget::acquire(std::uint64_t amount) {
  auto mine = next_++;
  while (serving_ != mine || !fits(amount))
    co_await waiting_.wait();
  ++serving_;
  used_ += amount;
  waiting_.wake_all();
}

void fifo_budget::release(std::uint64_t amount) {
  TROUPE_ASSERT(amount <= used_);
  used_ -= amount;
  waiting_.wake_all();
}

} // namespace troupe
