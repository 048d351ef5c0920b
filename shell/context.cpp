#include "shell/context.hpp"

#include "shell/json_of.hpp"
#include "shell/render.hpp"

#include <nlohmann/json.hpp>
#include <ostream>

namespace troupe::shell {

namespace {

exit_code code_for(const error& err) {
  switch (err.code) {
  case errc::timeout:
  case errc::unavailable:
  case errc::not_leader: return exit_code::unreachable;
  default: return exit_code::failed;
  }
}

} // namespace

std::unique_ptr<cluster_port> context::connect() {
  auto port = host.connect(directory);
  if (port)
    return std::move(*port);
  report(*this, "cannot reach the cluster in " + directory, port.error());
  return nullptr;
}

void context::print(const nlohmann::json& document) {
  out << document.dump(2) << '\n';
}

void report(context& ctx, const std::string& what, const error& err) {
  ctx.result = code_for(err);
  if (ctx.json)
    ctx.print({{"error", json_of(err)}, {"command", what}});
  else
    ctx.err << "troupe: " << what << "\n  " << describe(err) << '\n';
}

bool only_planned(context& ctx, const plan& what) {
  if (!ctx.dry_run)
    return false;
  if (ctx.json)
    ctx.print(json_of(what));
  else
    ctx.out << render_plan(what);
  return true;
}

void run_plan(context& ctx, const expected<plan>& what) {
  if (!what)
    return report(ctx, "nothing was changed", what.error());
  if (only_planned(ctx, *what))
    return;
  auto tell = [&](const plan_step& step) {
    if (!ctx.json)
      ctx.out << render_step(step) << std::flush;
  };
  auto done = ctx.host.execute(*what, tell);
  if (!done)
    return report(ctx, what->command + " stopped", done.error());
  if (ctx.json)
    ctx.print({{"done", json_of(*what)}});
}

CLI::App* add_verb(CLI::App& parent, context& ctx, const std::string& name, const std::string& help,
                   std::function<void()> run) {
  auto* verb = parent.add_subcommand(name, help);
  verb->add_flag("--json", ctx.json, "print JSON");
  verb->add_option("--dir", ctx.directory, "directory of the cluster")
    ->envname("TROUPE_DIR")
    ->capture_default_str();
  verb->callback(std::move(run));
  return verb;
}

CLI::App* add_changing_verb(CLI::App& parent, context& ctx, const std::string& name,
                            const std::string& help, std::function<void()> run) {
  auto* verb = add_verb(parent, ctx, name, help, std::move(run));
  verb->add_flag("--dry-run", ctx.dry_run, "print what would be done, change nothing");
  return verb;
}

} // namespace troupe::shell
