#pragma once

#include "messages/host_port.hpp"
#include "messages/sim_port.hpp"

#include <CLI/CLI.hpp>
#include <functional>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace troupe::shell {

/// What a script can tell apart. Stable.
enum class exit_code : int {
  ok = 0,
  failed = 1,      ///< Understood and tried, but it did not work.
  usage = 2,       ///< The command line makes no sense.
  unreachable = 3, ///< No node or no majority answers; it may work later.
  findings = 4,    ///< A check found something.
};

/// One run of the command line. Verbs write results to `out` and explanations to `err`.
struct context {
  host_port& host;
  std::ostream& out;
  std::ostream& err;
  std::istream& in;
  std::string directory; ///< --dir: the cluster that is meant; absolute.
  bool json = false;     ///< --json
  bool dry_run = false;  ///< --dry-run
  exit_code result = exit_code::ok;
  sim_port* simulator = nullptr; ///< Null: this program has none.

  /// Connects to the cluster of `directory`; on failure reports it and gives null.
  std::unique_ptr<cluster_port> connect();
  /// Prints a JSON document.
  void print(const nlohmann::json& document);
};

/// Prints "cannot do x" with cause and next step (as JSON with --json) and sets the exit code.
void report(context& ctx, const std::string& what, const error& err);
/// Prints the plan; the real run goes on to execute it. @returns true if that was --dry-run.
bool only_planned(context& ctx, const plan& what);
/// Executes a plan of the host, or prints it; reports errors.
void run_plan(context& ctx, const expected<plan>& what);

/// Adds the options that every verb understands (--json, --dir).
CLI::App* add_verb(CLI::App& parent, context& ctx, const std::string& name, const std::string& help,
                   std::function<void()> run);
/// The same for a verb that changes something (--dry-run too).
CLI::App* add_changing_verb(CLI::App& parent, context& ctx, const std::string& name,
                            const std::string& help, std::function<void()> run);

} // namespace troupe::shell
