#include "cluster/leader_preference_state.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

namespace {

constexpr leader_preference_options small{.settled_ns = 30, .again_ns = 100};
constexpr replica_id self{1};
constexpr replica_id home{2};
constexpr boot_time at(std::uint64_t ns) {
  return boot_time{ns};
}

} // namespace

TEST_CASE("leader_preference: hands over once the preferred replica has been well for a while",
          "[unit][leader_preference]") {
  leader_preference_state state{small};
  CHECK_FALSE(state.look(true, self, home, true, at(10)));
  CHECK_FALSE(state.look(true, self, home, true, at(39)));
  CHECK(state.look(true, self, home, true, at(40)));
}

TEST_CASE("leader_preference: a moment of illness starts the wait again",
          "[unit][leader_preference]") {
  leader_preference_state state{small};
  CHECK_FALSE(state.look(true, self, home, true, at(10)));
  CHECK_FALSE(state.look(true, self, home, false, at(30)));
  CHECK_FALSE(state.look(true, self, home, true, at(41)));
  CHECK(state.look(true, self, home, true, at(71)));
}

TEST_CASE("leader_preference: a failed attempt is not repeated at once",
          "[unit][leader_preference]") {
  leader_preference_state state{small};
  state.look(true, self, home, true, at(0));
  CHECK(state.look(true, self, home, true, at(30)));
  CHECK_FALSE(state.look(true, self, home, true, at(129)));
  CHECK(state.look(true, self, home, true, at(130)));
}

TEST_CASE("leader_preference: followers and the preferred leader itself do nothing",
          "[unit][leader_preference]") {
  leader_preference_state state{small};
  for (std::uint64_t now = 0; now < 500; now += 10) {
    CHECK_FALSE(state.look(false, self, home, true, at(now)));
    CHECK_FALSE(state.look(true, home, home, true, at(now)));
    CHECK_FALSE(state.look(true, self, replica_id{}, true, at(now)));
  }
}
