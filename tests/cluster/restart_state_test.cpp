#include "cluster/restart_state.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

TEST_CASE("restart: waits longer while it keeps dying, and forgets that after a good life",
          "[unit][restart]") {
  restart_state state{{.delay_first_ns = 10, .delay_max_ns = 50, .stable_ns = 1000}};
  auto next_delay = [&](std::uint64_t born, std::uint64_t died) {
    state.started(boot_time{born});
    return state.died(boot_time{died}).ns - died;
  };
  CHECK(next_delay(0, 1) == 10);
  CHECK(next_delay(20, 21) == 20);
  CHECK(next_delay(50, 51) == 40);
  CHECK(next_delay(100, 101) == 50);
  CHECK(next_delay(200, 201) == 50);
  CHECK(next_delay(300, 1300) == 10);
  CHECK(state.restarts() == 6);
}
