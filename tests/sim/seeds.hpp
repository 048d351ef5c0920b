#pragma once

#include "sim/consensus_options.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <iostream>
#include <string>

namespace troupe::test {

/// A number from the environment, or `otherwise`.
inline std::uint64_t environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Calls `one(seed)` for `count` seeds from `first` on: times TROUPE_SIM_SEEDS for a soak; only for
/// TROUPE_SEED if that is set. `one` returns false to stop.
template <class One>
void for_each_seed(std::uint64_t first, std::uint64_t count, One&& one) {
  if (auto only = environment("TROUPE_SEED", 0); only != 0) {
    one(only);
    return;
  }
  auto end = first + count * environment("TROUPE_SIM_SEEDS", 1);
  for (auto seed = first; seed < end; ++seed)
    if (!one(seed))
      return;
}

/// Sums of many runs.
struct consensus_campaign {
  std::uint64_t runs = 0;
  std::uint64_t bad = 0;
  consensus_verdict sum;

  /// Runs one seed; a violation is reported with the seed that replays it.
  void play(consensus_run run, const char* name) {
    if (environment("TROUPE_SEED", 0) != 0 && environment("TROUPE_TRACE", 0) != 0)
      run.trace = &std::cerr;
    auto verdict = simulate_consensus(run);
    ++runs;
    sum.acknowledged += verdict.acknowledged;
    sum.lease_reads += verdict.lease_reads;
    sum.leader_samples += verdict.leader_samples;
    sum.elections += verdict.elections;
    sum.crashes += verdict.crashes;
    sum.installs += verdict.installs;
    sum.membership_changes += verdict.membership_changes;
    sum.double_losses += verdict.double_losses;
    sum.calms += verdict.calms;
    if (verdict.ok())
      return;
    ++bad;
    UNSCOPED_INFO(name << ": TROUPE_SEED=" << run.seed << ": " << verdict.violation);
  }
};

} // namespace troupe::test
