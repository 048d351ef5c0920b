// Goal: with all guards on, no seed violates safety, lease reads or liveness.
// Method: every run is chaos (loss, delay, duplication, splits, slow disks, crashes that lose
// unsynced writes, transfers, installs) with calm moments in which a majority must elect, then
// healing and convergence. A failure prints its seed; TROUPE_SEED=n TROUPE_TRACE=1 replays it.

#include "tests/sim/seeds.hpp"

using namespace troupe;
using test::consensus_campaign;

namespace {

constexpr std::uint64_t static_seeds = 250; // per half: 500 together
constexpr std::uint64_t churn_seeds = 200;
constexpr std::uint64_t resize_seeds = 60;

void play_static(std::uint64_t first, bool pre_vote) {
  consensus_campaign campaign;
  test::for_each_seed(first, static_seeds, [&](std::uint64_t seed) {
    consensus_run run;
    run.seed = seed;
    run.pre_vote = pre_vote;
    campaign.play(run, "static");
    return campaign.bad < 3;
  });
  CHECK(campaign.bad == 0);
  if (campaign.runs >= static_seeds) { // the chaos was one
    CHECK(campaign.sum.acknowledged > 500 * campaign.runs);
    CHECK(campaign.sum.elections > 5 * campaign.runs);
    CHECK(campaign.sum.crashes > 5 * campaign.runs);
    CHECK(campaign.sum.installs > campaign.runs);
    CHECK(campaign.sum.calms > campaign.runs / 2);
    CHECK(campaign.sum.lease_reads > campaign.sum.leader_samples / 2);
  }
}

} // namespace

TEST_CASE("consensus: static members stay safe and live", "[sim][consensus]") {
  play_static(1, true);
}

TEST_CASE("consensus: static members stay safe and live without pre-vote", "[sim][consensus]") {
  play_static(100'001, false);
}

TEST_CASE("consensus: members that die in pairs, are replaced and move stay safe and live",
          "[sim][consensus]") {
  consensus_campaign campaign;
  test::for_each_seed(200'001, churn_seeds, [&](std::uint64_t seed) {
    consensus_run run;
    run.seed = seed;
    run.churn = true;
    campaign.play(run, "churn");
    return campaign.bad < 3;
  });
  CHECK(campaign.bad == 0);
  if (campaign.runs >= churn_seeds) {
    CHECK(campaign.sum.membership_changes > 5 * campaign.runs);
    CHECK(campaign.sum.double_losses > campaign.runs / 2); // two dead replicas, both replaced
    CHECK(campaign.sum.installs > 5 * campaign.runs);
  }
}

TEST_CASE("consensus: a group that shrinks to one voter and grows stays safe and live",
          "[sim][consensus]") {
  consensus_campaign campaign;
  test::for_each_seed(300'001, resize_seeds, [&](std::uint64_t seed) {
    consensus_run run;
    run.seed = seed;
    run.voters = 3;
    run.churn = true;
    run.resize = true;
    campaign.play(run, "resize");
    return campaign.bad < 3;
  });
  CHECK(campaign.bad == 0);
  if (campaign.runs >= resize_seeds)
    CHECK(campaign.sum.membership_changes > 5 * campaign.runs);
}

TEST_CASE("consensus: the same seed gives the same run", "[sim][consensus]") {
  for (bool churn : {false, true}) {
    consensus_run run;
    run.seed = 4711;
    run.churn = churn;
    auto first = simulate_consensus(run);
    auto again = simulate_consensus(run);
    CHECK(first.digest == again.digest);
    CHECK(first.events == again.events);
    run.seed = 4712;
    CHECK(simulate_consensus(run).digest != first.digest);
  }
}
