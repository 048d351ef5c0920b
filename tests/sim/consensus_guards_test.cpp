// Goal: the simulator notices when a guard is missing, and when its surroundings are broken.
// Method: seeds of a suitable campaign with one guard off; one of the stated number must end in a
// violation, and the very seed must be clean with the guard on. A crash of the process counts as a
// violation, so every run is a child process. H has a schedule here; E and L, which random seeds do
// not hit, have theirs in tests/storage/consensus/guards_test.cpp, A and C have one there as well.
// The table is in storage/consensus/README.md.

#include "tests/apart.hpp"
#include "tests/sim/seeds.hpp"

using namespace troupe;
using test::outcome;

namespace {

outcome play_apart(const consensus_run& run) {
  return test::play_apart([&] { return !simulate_consensus(run).ok(); });
}

using change = std::function<void(consensus_run&)>;

/// Plays up to `seeds` seeds of `campaign` with `removal`; the first violation ends it.
void expect_caught(const char* name, const change& campaign, const change& removal,
                   std::uint64_t seeds) {
  std::uint64_t caught = 0;
  test::for_each_seed(1, seeds, [&](std::uint64_t seed) {
    consensus_run run;
    run.seed = seed;
    campaign(run);
    removal(run);
    if (play_apart(run) != outcome::held)
      caught = seed;
    return caught == 0;
  });
  INFO(name << " within " << seeds << " seeds");
  REQUIRE(caught != 0);
  std::cout << "consensus: without " << name << " seed " << caught << " of at most " << seeds
            << " is violated\n";
  INFO("seed " << caught << " is clean with it");
  consensus_run whole;
  whole.seed = caught;
  campaign(whole);
  CHECK(play_apart(whole) == outcome::held);
}

void as_it_is(consensus_run&) {}
void with_churn(consensus_run& run) {
  run.churn = true;
}
void with_resize(consensus_run& run) {
  run.voters = 3;
  run.churn = true;
  run.resize = true;
}
/// Leaders hand over again and again while the network splits.
void with_many_transfers(consensus_run& run) {
  run.voters = 3;
  run.pre_vote = false;
  run.faults.transfer_every_ms = 300;
  run.faults.split_every_ms = 700;
  run.faults.late_per_mille_max = 150;
  run.faults.late_ms_max = 500;
}
/// Again and again elections are interrupted, and then one voter is down and all else is well.
void with_cut_elections(consensus_run& run) {
  run.voters = 3;
  run.faults.calm_every_ms = 1500;
  run.faults.crash_every_ms = 1500;
  run.faults.split_every_ms = 1000;
  run.faults.loss_per_mille_max = 150;
}
/// Leaders are cut off with clients that go on writing to them: long stale tails.
void with_stale_tails(consensus_run& run) {
  run.voters = 3;
  run.faults.split_every_ms = 700;
  run.faults.loss_per_mille_max = 200;
}

} // namespace

TEST_CASE("consensus guards: the removal of A is caught within 20 seeds", "[sim][consensus]") {
  expect_caught(
    "A", as_it_is, [](auto& run) { run.guards.own_term_first = false; }, 20);
}
TEST_CASE("consensus guards: the removal of B is caught within 100 seeds", "[sim][consensus]") {
  expect_caught(
    "B", with_stale_tails, [](auto& run) { run.guards.clamp_results = false; }, 100);
}
TEST_CASE("consensus guards: the removal of C is caught within 100 seeds", "[sim][consensus]") {
  expect_caught(
    "C", as_it_is, [](auto& run) { run.guards.serial_follower = false; }, 100);
}
TEST_CASE("consensus guards: the removal of D is caught within 50 seeds", "[sim][consensus]") {
  expect_caught(
    "D", with_churn, [](auto& run) { run.guards.committed_membership = false; }, 50);
}
TEST_CASE("consensus guards: the removal of F is caught within 200 seeds", "[sim][consensus]") {
  expect_caught(
    "F", with_cut_elections, [](auto& run) { run.guards.true_pre_vote_term = false; }, 200);
}
TEST_CASE("consensus guards: the removal of G is caught within 200 seeds", "[sim][consensus]") {
  expect_caught(
    "G",
    [](auto& run) {
      run.churn = true;
      run.faults.strike_per_mille = 1000;
    },
    [](auto& run) { run.guards.forgetting_learner = false; }, 200);
}
TEST_CASE("consensus guards: the removal of H is caught by a steady stream", "[sim][consensus]") {
  // A schedule: nothing fails, and clients never pause.
  consensus_run run;
  run.voters = 3;
  run.chaos_ms = 3000;
  run.propose_every_ms = 1;
  run.faults = {};
  run.faults.loss_per_mille_max = run.faults.duplicate_per_mille_max = 0;
  run.faults.late_per_mille_max = 0;
  run.faults.split_every_ms = run.faults.crash_every_ms = run.faults.slow_disk_every_ms = 0;
  run.faults.transfer_every_ms = run.faults.calm_every_ms = 0;
  auto guarded = simulate_consensus(run);
  CHECK(guarded.ok());
  run.guards.one_batch = false;
  auto starved = simulate_consensus(run);
  INFO(guarded.acknowledged << " with, " << starved.acknowledged << " without");
  CHECK(guarded.acknowledged > 10 * starved.acknowledged);
}
TEST_CASE("consensus guards: the removal of I is caught within 20 seeds", "[sim][consensus]") {
  expect_caught(
    "I", [](auto& run) { run.planted.backend_errors_per_million = 500; },
    [](auto& run) { run.guards.reopen = false; }, 20);
}
TEST_CASE("consensus guards: the removal of J is caught within 50 seeds", "[sim][consensus]") {
  expect_caught(
    "J", with_resize, [](auto& run) { run.guards.sole_voter_term = false; }, 50);
}
TEST_CASE("consensus guards: the removal of K is caught within 10 seeds", "[sim][consensus]") {
  expect_caught(
    "K", as_it_is, [](auto& run) { run.guards.votes_before_sends = false; }, 10);
}
TEST_CASE("consensus guards: the removal of M is caught within 100 seeds", "[sim][consensus]") {
  expect_caught(
    "M", with_many_transfers, [](auto& run) { run.guards.transfer_drops_lease = false; }, 100);
}

TEST_CASE("consensus checkers: reads without a lease are caught within 50 seeds",
          "[sim][consensus]") {
  expect_caught(
    "lease", as_it_is, [](auto& run) { run.planted.read_without_lease = true; }, 50);
}
TEST_CASE("consensus checkers: a pulled state on top of old tables is caught within 20 seeds",
          "[sim][consensus]") {
  expect_caught(
    "tables", as_it_is, [](auto& run) { run.planted.reuse_tables = true; }, 20);
}
TEST_CASE("consensus checkers: a disk that lies about syncs is caught within 20 seeds",
          "[sim][consensus]") {
  expect_caught(
    "disk", as_it_is, [](auto& run) { run.planted.lying_disk = true; }, 20);
}
