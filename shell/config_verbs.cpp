#include "shell/json_of.hpp"
#include "shell/render.hpp"
#include "shell/verbs.hpp"

#include <memory>
#include <ostream>

namespace troupe::shell {

namespace {

using nlohmann::json;

void check_config(context& ctx, const std::string& path) {
  auto problems = ctx.host.check_node_config(path);
  if (!problems.empty())
    ctx.result = exit_code::findings;
  if (ctx.json) {
    json out = {{"file", path}, {"problems", json::array()}};
    for (const auto& p : problems)
      out["problems"].push_back(json_of(p));
    return ctx.print(out);
  }
  if (problems.empty())
    ctx.out << path << ": a node can start with it\n";
  for (const auto& p : problems)
    ctx.out << path << ":\n  " << describe(p) << '\n';
}

void show_effective(context& ctx, std::uint32_t node) {
  auto port = ctx.connect();
  if (!port)
    return;
  auto options = port->effective_config(node_id{node});
  if (!options)
    return report(ctx, "cannot read the configuration of node " + std::to_string(node),
                  options.error());
  if (ctx.json)
    return ctx.print({{"node", node}, {"options", *options}});
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : *options)
    rows.push_back({name, value});
  ctx.out << render_table({"OPTION", "VALUE"}, rows);
}

} // namespace

void add_config_verbs(CLI::App& app, context& ctx) {
  auto* config = app.add_subcommand("config", "options")->require_subcommand(1);
  auto path = std::make_shared<std::string>();
  auto* verb = add_verb(*config, ctx, "check", "can a node start with this file?",
                        [&ctx, path] { check_config(ctx, *path); });
  verb->add_option("file", *path, "a node.json")->required();
  auto node = std::make_shared<std::uint32_t>(1);
  auto effective = std::make_shared<bool>(false); // kept by the callback: the parser writes to it
  verb = add_verb(*config, ctx, "show", "the options that a node runs with",
                  [&ctx, node, effective] { show_effective(ctx, *node); });
  verb->add_option("--node", *node, "which node")->capture_default_str();
  verb->add_flag("--effective", *effective, "as in force, defaults included (always)");
}

} // namespace troupe::shell
