#include "actors/kit/reactor_scheduler.hpp"

#include <caf/actor_cast.hpp>
#include <caf/actor_config.hpp>
#include <caf/actor_control_block.hpp>
#include <caf/actor_system.hpp>
#include <caf/group.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/make_actor.hpp>
#include <caf/monitorable_actor.hpp>
#include <caf/resumable.hpp>

#include <cstdio>

namespace troupe {

namespace {

/// Takes what actors print through `aout`, which is what CAF's own handlers do with unhandled
/// exceptions, and writes it to stderr. Any thread may enqueue.
class stderr_printer : public caf::monitorable_actor {
public:
  explicit stderr_printer(caf::actor_config& cfg) : monitorable_actor(cfg) {}
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) override {
    const auto& content = what->content();
    if (content.match_elements<caf::atom_value, caf::actor_id, std::string>()
        && content.get_as<caf::atom_value>(0) == caf::add_atom_v) {
      const auto& text = content.get_as<std::string>(2);
      std::fwrite(text.data(), 1, text.size(), stderr);
    }
  }
};

constexpr int drain_turns_max = 1000;

/// Keeps an actor alive until the reactor thread has done what another thread asked for.
caf::strong_actor_ptr keep(caf::abstract_actor* self) {
  return caf::actor_cast<caf::strong_actor_ptr>(self);
}

} // namespace

bool reactor_actor_clock::here() const {
  return loop_.on_thread();
}

void reactor_actor_clock::arm() {
  auto first = schedule_.empty() ? time_point::max() : schedule_.begin()->first;
  if (first == armed_for_)
    return;
  loop_.cancel(timer_);
  armed_for_ = first;
  if (first == time_point::max())
    return;
  using std::chrono::milliseconds;
  auto wait = std::chrono::ceil<milliseconds>(first - now());
  auto wait_ms = static_cast<std::uint64_t>(std::max(wait, milliseconds{0}).count());
  timer_ = loop_.call_after_ms(wait_ms, [this] {
    armed_for_ = time_point::max();
    trigger_expired_timeouts();
    arm();
  });
}

void reactor_actor_clock::set_ordinary_timeout(time_point t, caf::abstract_actor* self,
                                               caf::atom_value type, std::uint64_t id) {
  if (closed_)
    return;
  if (!here()) {
    loop_.post([=, this, k = keep(self)] { set_ordinary_timeout(t, self, type, id); });
    return;
  }
  super::set_ordinary_timeout(t, self, type, id);
  arm();
}

void reactor_actor_clock::set_multi_timeout(time_point t, caf::abstract_actor* self,
                                            caf::atom_value type, std::uint64_t id) {
  if (closed_)
    return;
  if (!here()) {
    loop_.post([=, this, k = keep(self)] { set_multi_timeout(t, self, type, id); });
    return;
  }
  super::set_multi_timeout(t, self, type, id);
  arm();
}

void reactor_actor_clock::set_request_timeout(time_point t, caf::abstract_actor* self,
                                              caf::message_id id) {
  if (closed_)
    return;
  if (!here()) {
    loop_.post([=, this, k = keep(self)] { set_request_timeout(t, self, id); });
    return;
  }
  super::set_request_timeout(t, self, id);
  arm();
}

// A cancelled timeout stays armed: the timer then finds nothing to do, which is cheaper than a new
// timer for every answered request.

// From another thread only the id goes along: an actor also cancels while it is being destroyed,
// when nobody may take a reference any more.

void reactor_actor_clock::cancel_ordinary_timeout(caf::abstract_actor* self, caf::atom_value type) {
  if (closed_)
    return;
  if (here())
    return super::cancel_ordinary_timeout(self, type);
  loop_.post([this, x = ordinary_timeout_cancellation{self->id(), type}] { handle(x); });
}

void reactor_actor_clock::cancel_request_timeout(caf::abstract_actor* self, caf::message_id id) {
  if (closed_)
    return;
  if (here())
    return super::cancel_request_timeout(self, id);
  loop_.post([this, x = request_timeout_cancellation{self->id(), id}] { handle(x); });
}

void reactor_actor_clock::cancel_timeouts(caf::abstract_actor* self) {
  if (closed_)
    return;
  if (here())
    return super::cancel_timeouts(self);
  loop_.post([this, x = timeouts_cancellation{self->id()}] { handle(x); });
}

void reactor_actor_clock::schedule_message(time_point t, caf::strong_actor_ptr receiver,
                                           caf::mailbox_element_ptr content) {
  if (closed_)
    return;
  if (!here()) {
    // std::function copies; the element has one owner.
    auto box = std::make_shared<caf::mailbox_element_ptr>(std::move(content));
    loop_.post([=, this] { schedule_message(t, receiver, std::move(*box)); });
    return;
  }
  super::schedule_message(t, std::move(receiver), std::move(content));
  arm();
}

void reactor_actor_clock::schedule_message(time_point t, caf::group target,
                                           caf::strong_actor_ptr sender, caf::message content) {
  if (closed_)
    return;
  if (!here()) {
    loop_.post([=, this] { schedule_message(t, target, sender, content); });
    return;
  }
  super::schedule_message(t, std::move(target), std::move(sender), std::move(content));
  arm();
}

void reactor_actor_clock::cancel_all() {
  if (closed_)
    return;
  if (!here()) {
    loop_.post([this] { cancel_all(); });
    return;
  }
  super::cancel_all();
  arm();
}

void reactor_actor_clock::shut_down() {
  closed_ = true;
  super::cancel_all();
  loop_.cancel(timer_);
}

reactor_scheduler::reactor_scheduler(caf::actor_system& system, reactor& loop,
                                     scheduler_options options)
  : super(system), loop_(loop), options_(options), clock_(loop), unit_(*this) {}

void reactor_scheduler::install(caf::actor_system_config& config, reactor& loop,
                                scheduler_options options) {
  config.module_factories.emplace_back(
    [&loop, options](caf::actor_system& system) -> caf::actor_system::module* {
      return new reactor_scheduler(system, loop, options); // CAF takes it
    });
}

void reactor_scheduler::start() {
  // CAF's own printer would be one more thread.
  caf::actor_config cfg{&unit_};
  utility_actors_[printer_id] = caf::make_actor<stderr_printer, caf::actor>(
    system().next_actor_id(), system().node(), &system(), cfg);
  source_ = loop_.add_source([this] { return run_some(options_.resumes_per_turn_max); });
}

void reactor_scheduler::enqueue_here(caf::resumable* what) {
  jobs_.push_back(what);
  loop_.request_turn();
}

void reactor_scheduler::enqueue(caf::resumable* what) {
  bool here = stopping_.load() ? std::this_thread::get_id() == stop_thread_ : loop_.on_thread();
  if (here)
    enqueue_here(what);
  else
    loop_.post([this, what] { enqueue_here(what); });
}

bool reactor_scheduler::run_some(std::size_t resumes_max) {
  // Only what is queued now: an actor that wakes another one gives its turn away.
  for (auto left = std::min(resumes_max, jobs_.size()); left > 0; --left) {
    auto job = jobs_.front();
    jobs_.pop_front();
    switch (job->resume(&unit_, options_.messages_per_resume_max)) {
    case caf::resumable::resume_later: jobs_.push_back(job); break;
    case caf::resumable::done:
    case caf::resumable::awaiting_message: caf::intrusive_ptr_release(job); break;
    case caf::resumable::shutdown_execution_unit: break;
    }
  }
  return !jobs_.empty();
}

void reactor_scheduler::stop() {
  stop_thread_ = std::this_thread::get_id();
  stopping_.store(true);
  // What other threads posted before, then what follows from it; bounded, because actors that
  // nobody ended may go on talking for ever.
  for (int turn = 0; turn < drain_turns_max; ++turn)
    if (!run_some(options_.resumes_per_turn_max) && !loop_.run_once(0) && jobs_.empty())
      break;
  loop_.remove(source_);
  clock_.shut_down();
  while (!jobs_.empty()) {
    cleanup_and_release(jobs_.front());
    jobs_.pop_front();
  }
}

} // namespace troupe
