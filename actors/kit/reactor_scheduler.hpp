#pragma once

#include "actors/kit/reactor.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/detail/simple_actor_clock.hpp>
#include <caf/execution_unit.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <deque>

namespace troupe {

/// CAF's clock on the reactor: one reactor timer for the earliest of all actor timeouts.
/// Calls from other threads (detached actors) are posted to the reactor.
class reactor_actor_clock : public caf::detail::simple_actor_clock {
public:
  using super = caf::detail::simple_actor_clock;
  explicit reactor_actor_clock(reactor& loop) : loop_(loop) {}

  void set_ordinary_timeout(time_point t, caf::abstract_actor* self, caf::atom_value type,
                            std::uint64_t id) override;
  void set_multi_timeout(time_point t, caf::abstract_actor* self, caf::atom_value type,
                         std::uint64_t id) override;
  void set_request_timeout(time_point t, caf::abstract_actor* self, caf::message_id id) override;
  void cancel_ordinary_timeout(caf::abstract_actor* self, caf::atom_value type) override;
  void cancel_request_timeout(caf::abstract_actor* self, caf::message_id id) override;
  void cancel_timeouts(caf::abstract_actor* self) override;
  void schedule_message(time_point t, caf::strong_actor_ptr receiver,
                        caf::mailbox_element_ptr content) override;
  void schedule_message(time_point t, caf::group target, caf::strong_actor_ptr sender,
                        caf::message content) override;
  void cancel_all() override;
  /// Drops everything that is scheduled, from the thread that ends the system.
  void shut_down();

private:
  bool here() const;
  void arm();

  reactor& loop_;
  timer_id timer_{};
  time_point armed_for_ = time_point::max();
  std::atomic<bool> closed_{false};
};

struct scheduler_options {
  std::uint32_t messages_per_resume_max = 32; ///< Then the next actor's turn.
  std::uint32_t resumes_per_turn_max = 256;   ///< Then descriptors and timers are served.
};

/// Runs all cooperative actors of a system on a reactor's thread. Put into the configuration with
/// `install`; CAF then does not make a scheduler of its own, and no worker threads. Messages
/// between cooperative actors never cross a thread. Actors may be spawned and sent to from any
/// thread, detached ones work as ever.
class reactor_scheduler : public caf::scheduler::abstract_coordinator {
public:
  using super = caf::scheduler::abstract_coordinator;

  reactor_scheduler(caf::actor_system& system, reactor& loop, scheduler_options options);

  /// `loop` must outlive every system made from the configuration.
  static void install(caf::actor_system_config& config, reactor& loop,
                      scheduler_options options = {});

  void enqueue(caf::resumable* what) override;
  caf::actor_clock& clock() noexcept override { return clock_; }
  bool detaches_utility_actors() const override { return false; }

protected:
  void start() override;
  /// Runs what is still queued on the calling thread. The reactor must not run any more.
  void stop() override;

private:
  struct unit : caf::execution_unit {
    explicit unit(reactor_scheduler& owner) : execution_unit(&owner.system()), owner_(owner) {}
    void exec_later(caf::resumable* what) override { owner_.enqueue_here(what); }
    reactor_scheduler& owner_;
  };

  void enqueue_here(caf::resumable* what);
  bool run_some(std::size_t resumes_max);

  reactor& loop_;
  scheduler_options options_;
  reactor_actor_clock clock_;
  std::deque<caf::resumable*> jobs_;
  unit unit_;
  hook_id source_{};
  std::atomic<bool> stopping_{false};
  std::thread::id stop_thread_;
};

} // namespace troupe
