#include "storage/consensus/lease.hpp"

#include <catch2/catch.hpp>

#include <limits>

using namespace troupe;

namespace {

constexpr std::uint64_t election = 3'000'000'000;

group_configuration voters(std::uint64_t n) {
  group_configuration out;
  for (std::uint64_t i = 1; i <= n; ++i)
    out.members.push_back({replica_id{i}, member_role::voter});
  return out;
}

std::uint64_t until(const leader_lease& lease, const group_configuration& members) {
  return lease.until(members, replica_id{1}, election, 10).ns;
}

} // namespace

TEST_CASE("lease: counts from the newest message that a majority has answered",
          "[unit][consensus]") {
  leader_lease lease;
  auto members = voters(5);
  CHECK(until(lease, members) == 0);
  lease.answered(replica_id{2}, {1000}, 900);
  CHECK(until(lease, members) == 0); // two of five
  lease.answered(replica_id{3}, {2000}, 1500);
  CHECK(until(lease, members) == 900 + election / 10 * 9);
  lease.answered(replica_id{4}, {2000}, 1700);
  CHECK(until(lease, members) == 1500 + election / 10 * 9);
  lease.answered(replica_id{4}, {2100}, 800); // overtaken on its way
  CHECK(until(lease, members) == 1500 + election / 10 * 9);
}

TEST_CASE("lease: learners do not count, nor does a leader that is not a voter",
          "[unit][consensus]") {
  leader_lease lease;
  auto members = voters(3);
  members.members[2].role = member_role::learner;
  lease.answered(replica_id{3}, {2000}, 1500);
  CHECK(until(lease, members) == 0);
  auto others = voters(3);
  others.members.erase(others.members.begin()); // only 2 and 3
  CHECK(until(lease, others) == 0);
  lease.answered(replica_id{2}, {2000}, 1000);
  CHECK(until(lease, others) == 1000 + election / 10 * 9);
}

TEST_CASE("lease: a sole voter has it for ever, a dropped one is gone for the term",
          "[unit][consensus]") {
  leader_lease lease;
  CHECK(until(lease, voters(1)) == std::numeric_limits<std::uint64_t>::max());
  lease.drop();
  CHECK(until(lease, voters(1)) == 0);
  lease.begin_term();
  CHECK(until(lease, voters(1)) != 0);
}

TEST_CASE("lease: an echo from the future counts as now", "[unit][consensus]") {
  leader_lease lease;
  lease.answered(replica_id{2}, {1000}, 999'999'999'999);
  CHECK(until(lease, voters(3)) == 1000 + election / 10 * 9);
}
