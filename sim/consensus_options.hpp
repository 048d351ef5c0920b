#pragma once

#include "storage/consensus/consensus.hpp"

#include <cstdint>
#include <iosfwd>
#include <string>

namespace troupe {

/// How hostile a simulated consensus group's world is. Times are virtual.
struct consensus_faults {
  std::uint32_t loss_per_mille_max = 60; ///< Drawn per run in [0, max], as the next.
  std::uint32_t duplicate_per_mille_max = 40;
  std::uint32_t late_per_mille_max = 20; ///< Messages delayed by up to late_ms_max.
  std::uint32_t late_ms_max = 4000;
  std::uint32_t delay_ms_max = 15;     ///< Of a message that is in time.
  std::uint32_t split_every_ms = 2500; ///< Mean time between net splits; 0: never.
  std::uint32_t split_ms_max = 2500;
  std::uint32_t crash_every_ms = 3000;
  std::uint32_t down_ms_max = 2000;
  std::uint32_t slow_disk_every_ms = 4000;
  std::uint32_t slow_disk_ms_max = 600; ///< Latency of a sync while a disk is slow.
  std::uint32_t transfer_every_ms = 4000;
  /// Now and then all is quiet, some members are down, the rest is a majority and must elect.
  std::uint32_t calm_every_ms = 8000;
  std::uint32_t calm_ms_max = 6000;          ///< So long it may take.
  std::uint32_t strike_per_mille = 200;      ///< Promotions at whose end the leader goes down.
  std::uint32_t clock_rate_ppm_max = 30'000; ///< Clocks run up to this much fast or slow.
};

/// Bugs to plant in the surroundings, to see that the checkers notice.
struct consensus_planted {
  bool read_without_lease = false; ///< "I think that I am the leader" is enough.
  bool reuse_tables = false;       ///< A pulled state goes on top of the old one (hazards F24).
  bool lying_disk = false;         ///< Says "durable" long before it is.
  std::uint32_t backend_errors_per_million = 0; ///< Appends that the library sees fail.
};

/// One run of the consensus simulator.
struct consensus_run {
  std::uint64_t seed = 1;
  std::uint32_t voters = 0;        ///< 0: 3 or 5, drawn from the seed.
  bool churn = false;              ///< Members die for ever, are replaced, and move.
  bool resize = false;             ///< With churn: the group shrinks to one voter and grows again.
  std::uint32_t chaos_ms = 30'000; ///< Then everything heals.
  std::uint32_t heal_ms = 20'000;  ///< Until then the group must be one again.
  std::uint32_t propose_every_ms = 12; ///< Mean time between batches.
  consensus_faults faults;
  consensus_guards guards;
  consensus_planted planted;
  bool pre_vote = true;
  std::ostream* trace = nullptr; ///< One line per event, if not null.
};

/// What came of it. `violation` is empty if every checker was content.
struct consensus_verdict {
  std::string violation;
  bool stuck = false;       ///< The violation is one of liveness: no convergence after healing.
  std::uint64_t digest = 0; ///< Over everything that was applied and acknowledged.
  std::uint64_t events = 0;
  std::uint64_t acknowledged = 0; ///< Commands.
  std::uint64_t lease_reads = 0;
  std::uint64_t leader_samples = 0; ///< How often a leader was asked whether it has a lease.
  std::uint64_t elections = 0;
  std::uint64_t crashes = 0;
  std::uint64_t installs = 0; ///< Streamed states that took effect.
  std::uint64_t membership_changes = 0;
  std::uint64_t double_losses = 0; ///< Times when two members at once died for ever.
  std::uint64_t calms = 0;
  std::uint64_t reopens = 0;

  bool ok() const { return violation.empty(); }
};

/// Runs one seed. The same `run` gives the same verdict, digest included.
consensus_verdict simulate_consensus(const consensus_run& run);

} // namespace troupe
