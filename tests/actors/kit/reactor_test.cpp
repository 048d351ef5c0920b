#include "actors/kit/reactor.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <string>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

using namespace troupe;

TEST_CASE("reactor: timers fire in order and a cancelled one never", "[unit][reactor]") {
  reactor loop;
  std::string seen;
  loop.call_after_ms(20, [&] { seen += 'c'; });
  loop.call_after_ms(1, [&] { seen += 'a'; });
  auto dropped = loop.call_after_ms(5, [&] { seen += 'x'; });
  loop.call_after_ms(10, [&] {
    seen += 'b';
    loop.cancel(dropped); // fired or cancelled before: passed over
  });
  loop.cancel(dropped);
  auto start = system_clock().boot().ns;
  loop.call_after_ms(30, [&] { loop.stop(); });
  loop.run();
  CHECK(seen == "abc");
  CHECK(system_clock().boot().ns - start >= 30'000'000);
}

TEST_CASE("reactor: posts from other threads run in order on the reactor thread",
          "[unit][reactor]") {
  reactor loop;
  constexpr int per_thread = 10'000;
  std::vector<int> last(3, -1);
  int wrong = 0;
  int left = 3 * per_thread;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < per_thread; ++i)
        loop.post([&, t, i] {
          wrong += last[t] != i - 1 || !loop.on_thread();
          last[t] = i;
          if (--left == 0)
            loop.stop();
        });
    });
  CHECK_FALSE(loop.on_thread());
  loop.run();
  for (auto& t : threads)
    t.join();
  CHECK(wrong == 0);
  CHECK(left == 0);
}

TEST_CASE("reactor: an unwatched descriptor is silent though its event was in hand",
          "[unit][reactor]") {
  reactor loop;
  int a = ::eventfd(1, EFD_NONBLOCK);
  int b = ::eventfd(1, EFD_NONBLOCK);
  int calls = 0;
  // Both are readable in the same turn; whichever runs first silences the other and itself.
  auto silence = [&](std::uint32_t) {
    ++calls;
    loop.unwatch(a);
    loop.unwatch(b);
  };
  loop.watch(a, EPOLLIN, silence);
  loop.watch(b, EPOLLIN, silence);
  loop.run_once(100);
  loop.run_once(0);
  CHECK(calls == 1);
  // The number may be watched again at once.
  int again = 0;
  loop.watch(a, EPOLLIN, [&](std::uint32_t) { again = 1; });
  loop.run_once(100);
  CHECK(again == 1);
  loop.unwatch(a);
  ::close(a);
  ::close(b);
}

TEST_CASE("reactor: a turn is bounded and asks sources before it sleeps", "[unit][reactor]") {
  reactor loop{{.posts_per_turn_max = 10}};
  int posts = 0;
  for (int i = 0; i < 25; ++i)
    loop.post([&] { ++posts; });
  int work = 3;
  loop.add_source([&] { return work > 0 && --work > 0; });
  std::vector<int> posts_at_hook;
  auto hook = loop.add_turn_hook([&] { posts_at_hook.push_back(posts); });
  for (int i = 0; i < 4; ++i)
    loop.run_once(0);
  CHECK(posts_at_hook == std::vector<int>{10, 20, 25, 25});
  CHECK(work == 0);
  loop.remove(hook);
  loop.run_once(0);
  CHECK(posts_at_hook.size() == 4);
}

TEST_CASE("reactor: work that a hook asks for is not slept over", "[unit][reactor]") {
  reactor loop;
  int hooks = 0;
  int turns_with_work = 0;
  bool wanted = false;
  loop.add_source([&] {
    turns_with_work += wanted;
    wanted = false;
    return false;
  });
  loop.add_turn_hook([&] {
    if (++hooks == 1) {
      wanted = true;
      loop.request_turn();
    }
  });
  loop.run_once(0);
  auto start = system_clock().boot().ns;
  loop.run_once(1000);
  CHECK(turns_with_work == 1);
  CHECK(system_clock().boot().ns - start < 500'000'000);
}

TEST_CASE("reactor: the longest turn is told once", "[unit][reactor]") {
  reactor loop;
  loop.post([] { std::this_thread::sleep_for(std::chrono::milliseconds{30}); });
  loop.run_once(0);
  loop.run_once(0);
  CHECK(loop.take_longest_turn_ns() >= 30'000'000);
  CHECK(loop.take_longest_turn_ns() == 0);
}
