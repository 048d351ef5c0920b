#include "actors/kit/caf_error.hpp"
#include "actors/kit/reactor_scheduler.hpp"
#include "actors/kit/traced.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <catch2/catch.hpp>

#include <optional>
#include <stdexcept>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

using drive_handle = caf::typed_actor<caf::replies_to<free_runs>::with<runs_freed>>;
struct drive_shell {
  std::uint32_t freed = 0;
};
using drive_self = caf::stateful_actor<drive_shell, traced<drive_handle::base>>;

drive_handle::behavior_type drive(drive_self* self, std::string path) {
  self->set_path(path);
  return {[self](const free_runs& m) -> caf::result<runs_freed> {
    if (m.runs.size() == 13)
      throw std::runtime_error("thirteen");
    if (m.runs.size() == 14)
      return to_caf(error{errc::io_error, "drive 2", trp::drive_failed});
    self->state.freed += static_cast<std::uint32_t>(m.runs.size());
    return runs_freed{self->state.freed};
  }};
}

using client_self = traced<caf::event_based_actor>;

struct traced_system {
  reactor loop;
  struct config : caf::actor_system_config {
    explicit config(reactor& loop) {
      reactor_scheduler::install(*this, loop);
      add_error_category(caf::atom("troupe"), render_error);
    }
  } cfg{loop};
  caf::actor_system sys{cfg};
  traced_system() { sys.await_actors_before_shutdown(false); }
  template <class Predicate>
  bool until(Predicate done) {
    for (int i = 0; i < 200 && !done(); ++i)
      loop.run_once(10);
    return done();
  }
};

} // namespace

TEST_CASE_METHOD(traced_system, "traced: one operation is followed there and back",
                 "[actor][traced]") {
  auto target = sys.spawn(drive, "node/1/drive/2");
  auto id = new_trace_id();
  trace_context at_answer;
  {
    trace_scope scope{{id, 5}};
    sys.spawn([&, target](client_self* self) {
      self->set_path("client/7");
      trace_scope inner{{id, 6}};
      self->request(target, 1s, free_runs{{run_ref{}, run_ref{}}}).then([&](const runs_freed&) {
        at_answer = current_trace();
      });
    });
  }
  REQUIRE(until([&] { return bool{at_answer}; }));
  CHECK(at_answer.id == id);
  auto records = process_trace().snapshot(id);
  REQUIRE(records.size() == 2);
  CHECK(std::string{records[0].receiver} == "node/1/drive/2");
  CHECK(std::string{records[0].type} == "free_runs");
  CHECK(records[0].parent == 6);
  CHECK(std::string{records[1].receiver} == "client/7");
  CHECK(std::string{records[1].sender} == "node/1/drive/2");
  CHECK(std::string{records[1].type} == "runs_freed");
  CHECK(records[1].parent == records[0].span);
  CHECK(records[0].sent <= records[0].dequeued);
  CHECK(records[0].dequeued <= records[0].finished);
  caf::anon_send_exit(target, caf::exit_reason::user_shutdown);
}

TEST_CASE_METHOD(traced_system, "traced: an exception is an event and ends only that actor",
                 "[actor][traced]") {
  auto target = sys.spawn(drive, "node/1/drive/3");
  std::vector<event_record> events;
  event_listener listen{[&](const event_record& e) { events.push_back(e); }};
  std::optional<error> got;
  sys.spawn([&, target](client_self* self) {
    self->request(target, 1s, free_runs{std::vector<run_ref>(13)})
      .then([](const runs_freed&) {}, [&](const caf::error& e) { got = from_caf(e); });
  });
  REQUIRE(until([&] { return got.has_value(); }));
  CHECK(got->code == errc::may_have_happened);
  REQUIRE(events.size() == 1);
  CHECK(events[0].name == "actor_failed");
  CHECK(events[0].fields.at("actor") == "node/1/drive/3");
  CHECK(events[0].fields.at("what") == "thirteen");
}

TEST_CASE_METHOD(traced_system, "traced: our errors cross CAF with code, words and id",
                 "[actor][traced]") {
  auto target = sys.spawn(drive, "node/1/drive/4");
  std::optional<error> got;
  std::string rendered;
  sys.spawn([&, target](client_self* self) {
    self->request(target, 1s, free_runs{std::vector<run_ref>(14)})
      .then([](const runs_freed&) {},
            [&](const caf::error& e) {
              got = from_caf(e);
              rendered = sys.render(e);
            });
  });
  REQUIRE(until([&] { return got.has_value(); }));
  CHECK(got->code == errc::io_error);
  CHECK(got->context == "drive 2");
  CHECK(got->id == trp::drive_failed);
  CHECK(rendered.find("TRP-1020 drive failed: drive 2") == 0);
  CHECK(from_caf(caf::sec::request_timeout).code == errc::timeout);
  CHECK(from_caf(caf::exit_reason::kill).code == errc::may_have_happened);
  CHECK(from_caf(caf::error{}).code == errc::none);
  caf::anon_send_exit(target, caf::exit_reason::user_shutdown);
}

TEST_CASE_METHOD(traced_system, "traced: a continuation runs inside the actor, or not at all",
                 "[actor][traced]") {
  auto target = sys.spawn(drive, "node/1/drive/5");
  std::string where;
  run_in(target, [&] { where = current_actor(); });
  REQUIRE(until([&] { return !where.empty(); }));
  CHECK(where == "node/1/drive/5");
  CHECK(std::string{current_actor()}.empty());
  caf::actor_addr weak = target.address();
  caf::anon_send_exit(target, caf::exit_reason::user_shutdown);
  target = nullptr;
  REQUIRE(until([&] { return !caf::actor_cast<caf::actor>(weak); }));
  bool ran = false;
  run_in(weak, [&] { ran = true; });
  for (int i = 0; i < 5; ++i)
    loop.run_once(1);
  CHECK_FALSE(ran);
}
