#include "cluster/gateway/procedure.hpp"

#include <catch2/catch.hpp>

#include <string>

using namespace troupe;

namespace {

procedure<int> twice(wait_list& go, int x) {
  co_await go.wait();
  co_return 2 * x;
}
procedure<std::string> at_once(std::string text) {
  co_return text + "!";
}
procedure<void> sum(wait_list& go, int& out) {
  int a = co_await twice(go, 1);
  int b = co_await twice(go, 10);
  auto text = co_await at_once("12");
  out = a + b + static_cast<int>(text.size());
}
procedure<void> locked(fifo_lock& lock, wait_list& go, std::string& log, char name) {
  auto held = co_await lock.acquire();
  log += name;
  co_await go.wait();
  log += name;
}
procedure<void> sleeper(procedure_runner& run, boot_time due, std::string& log, char name) {
  co_await sleep_until(due);
  CHECK(run.now() >= due);
  log += name;
}
procedure<void> patient(wait_list& go, boot_time due, int& outcome) {
  outcome = co_await go.wait_until(due) ? 1 : 2;
}
procedure<void> taker(fifo_budget& budget, std::uint64_t amount, std::string& log, char name) {
  co_await budget.acquire(amount);
  log += name;
}
procedure<void> counter(int rounds, int& out) {
  for (int i = 0; i < rounds; ++i)
    out += static_cast<int>((co_await at_once("")).size());
}
struct flag_on_death {
  bool& dead;
  ~flag_on_death() { dead = true; }
};
procedure<void> mortal(wait_list& go, bool& dead) {
  flag_on_death flag{dead};
  co_await go.wait();
}

} // namespace

TEST_CASE("procedure: steps follow each other across waits", "[unit][gateway][procedure]") {
  procedure_runner run;
  wait_list go;
  int out = 0;
  run.start(sum(go, out));
  CHECK(run.running_count() == 1);
  go.wake_all();
  run.run();
  CHECK(out == 0);
  go.wake_all();
  run.run();
  CHECK(out == 25);
  CHECK(run.running_count() == 0);
}

TEST_CASE("procedure: a long run of steps that never wait needs no stack",
          "[unit][gateway][procedure]") {
  procedure_runner run;
  int out = 0;
  run.start(counter(200'000, out));
  run.run();
  CHECK(out == 200'000);
}

TEST_CASE("procedure: a lock is held by one at a time, in order of arrival",
          "[unit][gateway][procedure]") {
  procedure_runner run;
  fifo_lock lock;
  wait_list go;
  std::string log;
  run.start(locked(lock, go, log, 'a'));
  run.start(locked(lock, go, log, 'b'));
  run.start(locked(lock, go, log, 'c'));
  for (int i = 0; i < 3; ++i) {
    go.wake_all();
    run.run();
  }
  CHECK(log == "aabbcc");
  CHECK_FALSE(lock.taken());
}

TEST_CASE("procedure: time wakes sleepers in the order of their times",
          "[unit][gateway][procedure]") {
  procedure_runner run;
  std::string log;
  run.start(sleeper(run, boot_time{30}, log, 'c'));
  run.start(sleeper(run, boot_time{10}, log, 'a'));
  run.start(sleeper(run, boot_time{10}, log, 'b'));
  CHECK(run.next_due() == boot_time{10});
  run.advance(boot_time{29});
  run.run();
  CHECK(log == "ab");
  run.advance(boot_time{40});
  run.run();
  CHECK(log == "abc");
  CHECK_FALSE(run.next_due());
}

TEST_CASE("procedure: of wake-up and time the first ends a wait", "[unit][gateway][procedure]") {
  procedure_runner run;
  wait_list go;
  int first = 0;
  int second = 0;
  run.start(patient(go, boot_time{10}, first));
  go.wake_all();
  run.run();
  CHECK(first == 1);
  CHECK_FALSE(run.next_due());
  run.start(patient(go, boot_time{20}, second));
  run.advance(boot_time{20});
  run.run();
  CHECK(second == 2);
  go.wake_all(); // nobody is there any more
  run.run();
}

TEST_CASE("procedure: a budget keeps the order, and grants too much only alone",
          "[unit][gateway][procedure]") {
  procedure_runner run;
  fifo_budget budget{10};
  std::string log;
  run.start(taker(budget, 8, log, 'a'));
  run.start(taker(budget, 20, log, 'b'));
  run.start(taker(budget, 1, log, 'c')); // would fit, but b was first
  run.run();
  CHECK(log == "a");
  CHECK(budget.contended());
  budget.release(8);
  run.run();
  CHECK(log == "ab");
  budget.release(20);
  run.run();
  CHECK(log == "abc");
  CHECK(budget.used() == 1);
}

TEST_CASE("procedure: ending the runner ends what waits", "[unit][gateway][procedure]") {
  wait_list go;
  bool dead = false;
  {
    procedure_runner run;
    run.start(mortal(go, dead));
    CHECK_FALSE(dead);
  }
  CHECK(dead);
}
