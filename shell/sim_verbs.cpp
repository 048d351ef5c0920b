#include "messages/sim_port.hpp"
#include "shell/render.hpp"
#include "shell/verbs.hpp"

#include <algorithm>
#include <iomanip>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

namespace troupe::shell {

namespace {

struct sim_arguments {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  std::string planted;
  bool trace = false;
};

std::string hex(std::uint64_t x) {
  std::ostringstream out;
  out << std::hex << std::setw(16) << std::setfill('0') << x;
  return out.str();
}

nlohmann::json json_of_outcome(const sim_outcome& x) {
  return {{"seed", x.seed},           {"digest", hex(x.digest)},    {"violation", x.violation},
          {"events", x.events},       {"virtual_ms", x.virtual_ms}, {"calls", x.calls},
          {"succeeded", x.succeeded}, {"elections", x.elections},   {"power_cuts", x.power_cuts},
          {"kills", x.kills}};
}

/// Plays seed after seed; the first violation ends it, as its seed is what one needs.
void run_sim(context& ctx, const sim_arguments& what) {
  if (ctx.simulator == nullptr)
    return report(ctx, "cannot simulate",
                  error{errc::not_supported, "this program is built without the simulator"});
  auto names = ctx.simulator->planted_bugs();
  if (!what.planted.empty() && std::find(names.begin(), names.end(), what.planted) == names.end()) {
    std::string all;
    for (const auto& name : names)
      all += " " + name;
    ctx.err << "troupe: nobody can plant '" << what.planted << "'\n  next: one of" << all << "\n";
    ctx.result = exit_code::usage;
    return;
  }
  nlohmann::json all = nlohmann::json::array();
  for (auto seed = what.seed; seed < what.seed + what.seeds; ++seed) {
    auto outcome = ctx.simulator->play({seed, what.planted, what.trace ? &ctx.err : nullptr});
    if (ctx.json)
      all.push_back(json_of_outcome(outcome));
    else
      ctx.out << "seed " << seed << "  digest " << hex(outcome.digest) << "  "
              << outcome.virtual_ms / 1000 << " s, " << outcome.events << " events, "
              << outcome.succeeded << " of " << outcome.calls << " calls done, "
              << outcome.elections << " elections, " << outcome.power_cuts << " power cuts, "
              << outcome.kills << " kills"
              << (outcome.violation.empty() ? "" : "\n  VIOLATION " + outcome.violation) << "\n";
    if (outcome.violation.empty())
      continue;
    ctx.result = exit_code::findings;
    if (!ctx.json)
      ctx.err << "  next: troupe sim --seed " << seed
              << (what.planted.empty() ? "" : " --plant " + what.planted) << " --trace\n";
    break;
  }
  if (ctx.json)
    ctx.print(all);
}

} // namespace

void add_sim_verbs(CLI::App& app, context& ctx) {
  auto what = std::make_shared<sim_arguments>();
  auto* verb = add_verb(app, ctx, "sim", "simulate a whole cluster under faults, from a seed",
                        [&ctx, what] { run_sim(ctx, *what); });
  verb->add_option("--seed", what->seed, "the first seed")->capture_default_str();
  verb->add_option("--seeds", what->seeds, "how many seeds, one after the other")
    ->capture_default_str();
  verb->add_option("--plant", what->planted, "plant a bug, to see that the checkers notice");
  verb->add_flag("--trace", what->trace, "every event, to standard error");
}

} // namespace troupe::shell
