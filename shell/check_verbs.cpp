#include "shell/json_of.hpp"
#include "shell/render.hpp"
#include "shell/verbs.hpp"

#include <algorithm>
#include <memory>
#include <ostream>

namespace troupe::shell {

namespace {

void run_check(context& ctx) {
  auto port = ctx.connect();
  if (!port)
    return;
  auto found = port->check();
  if (!found)
    return report(ctx, "the check could not finish", found.error());
  // A leak costs space and loses nothing: it is shown, but it is not a failure.
  if (std::any_of(found->findings.begin(), found->findings.end(),
                  [](const auto& f) { return !f.leak; }))
    ctx.result = exit_code::findings;
  if (ctx.json)
    return ctx.print(json_of(*found));
  std::vector<std::vector<std::string>> rows;
  for (const auto& f : found->findings)
    rows.push_back({f.leak ? "leak" : "DAMAGE", f.kind, f.object, f.detail});
  ctx.out << found->inodes << " inodes, " << found->directories << " directories, "
          << found->stripes << " stripes checked, " << rows.size() << " findings\n";
  if (!rows.empty())
    ctx.out << render_table({"CLASS", "KIND", "OBJECT", "DETAIL"}, rows);
}

} // namespace

void add_check_verbs(CLI::App& app, context& ctx) {
  auto check = std::make_shared<bool>(false); // kept by the callback: the parser writes to it
  auto* verb = add_verb(app, ctx, "fsck", "check the metadata of all partitions",
                        [&ctx, check] { run_check(ctx); });
  verb->add_flag("--check", *check, "look, change nothing (the only mode there is)")->required();
}

} // namespace troupe::shell
