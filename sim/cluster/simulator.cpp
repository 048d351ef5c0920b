#include "sim/cluster/simulator.hpp"

#include "sim/cluster/cluster_run.hpp"

namespace troupe {

sim_outcome simulator::play(const sim_wish& wish) {
  cluster_run run;
  run.seed = wish.seed;
  run.trace = wish.trace;
  for (auto bug : troupe::planted_bugs())
    if (wish.planted == to_string(bug))
      run.planted = bug;
  auto verdict = simulate_cluster(run);
  sim_outcome out;
  out.seed = wish.seed;
  out.digest = verdict.digest;
  out.violation = verdict.violation;
  out.events = verdict.events;
  out.virtual_ms = verdict.virtual_ms;
  out.calls = verdict.calls;
  out.succeeded = verdict.succeeded;
  out.elections = verdict.elections;
  out.power_cuts = verdict.power_cuts;
  out.kills = verdict.kills;
  return out;
}

std::vector<std::string> simulator::planted_bugs() const {
  std::vector<std::string> out;
  for (auto bug : troupe::planted_bugs())
    out.push_back(to_string(bug));
  return out;
}

} // namespace troupe
