#include "cluster/node_lease_state.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

namespace {

constexpr node_lease_options small{.lease_ns = 800, .slack_ns = 100, .renewal_ns = 100};
constexpr boot_time at(std::uint64_t ns) {
  return boot_time{ns};
}

} // namespace

TEST_CASE("node_lease: counts from the sending of the renewal", "[unit][node_lease]") {
  node_lease_holder_state holder{small};
  CHECK(holder.renewal_due(at(5)));
  CHECK_FALSE(holder.valid(at(5)));
  holder.sent(at(5));
  CHECK_FALSE(holder.renewal_due(at(50)));
  holder.granted(at(5), 800); // the answer came late; that does not make the lease longer
  CHECK(holder.valid(at(804)));
  CHECK_FALSE(holder.valid(at(805)));
}

TEST_CASE("node_lease: an old grant does not shorten a newer one", "[unit][node_lease]") {
  node_lease_holder_state holder{small};
  holder.granted(at(500), 800);
  holder.granted(at(100), 800);
  CHECK(holder.valid(at(1299)));
}

TEST_CASE("node_lease: a node is called down only after lease and slack", "[unit][node_lease]") {
  node_lease_granter_state granter{small};
  granter.elected({node_id{1}, node_id{2}}, at(1000));
  CHECK(granter.expired(at(1900)).empty());
  granter.renewed(node_id{2}, at(1500));
  CHECK(granter.expired(at(1901)) == std::vector{node_id{1}});
  CHECK(granter.expired(at(2401)) == std::vector{node_id{1}, node_id{2}});
}

TEST_CASE("node_lease: whatever the holder believes, the granter waits longer",
          "[unit][node_lease]") {
  // Goal: no schedule of one renewal lets the holder act after the granter gave it up.
  for (std::uint64_t sent = 0; sent < 300; sent += 7)
    for (std::uint64_t transit = 0; transit < 300; transit += 11) {
      node_lease_holder_state holder{small};
      node_lease_granter_state granter{small};
      granter.elected({node_id{1}}, at(0));
      auto lease = granter.renewed(node_id{1}, at(sent + transit));
      holder.granted(at(sent), lease);
      for (std::uint64_t now = 0; now < 2000; now += 13)
        if (holder.valid(at(now)))
          REQUIRE(granter.expired(at(now)).empty());
    }
}

TEST_CASE("node_lease: a new leader counts every grant from its election", "[unit][node_lease]") {
  node_lease_granter_state granter{small};
  granter.elected({node_id{1}}, at(0));
  granter.deposed();
  CHECK(granter.expired(at(10'000)).empty());
  granter.elected({node_id{1}}, at(10'000));
  CHECK(granter.expired(at(10'900)).empty());
}
