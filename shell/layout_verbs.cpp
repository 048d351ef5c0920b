#include "shell/json_of.hpp"
#include "shell/render.hpp"
#include "shell/verbs.hpp"

#include <memory>
#include <ostream>

namespace troupe::shell {

namespace {

struct get_arguments {
  std::string path;
  int detail = 0; ///< Number of -D.
};

/// "node 3 bay 2" for a drive of the configuration.
std::string drive_name(const cluster_config& config, const drive_uuid& drive) {
  auto it = config.drives.find(drive);
  if (it == config.drives.end())
    return "unknown drive " + to_string(drive);
  return "node " + std::to_string(it->second.node.value) + " bay "
         + std::to_string(it->second.bay.value);
}

std::string drive_condition(const cluster_config& config, const drive_uuid& drive) {
  auto it = config.drives.find(drive);
  if (it == config.drives.end())
    return "GONE";
  auto node = config.nodes.find(it->second.node);
  if (node == config.nodes.end() || node->second.state != node_state::up)
    return "NODE DOWN";
  return to_string(it->second.state);
}

std::string shape_text(const stripe_shape& s) {
  auto text = std::to_string(s.data_units) + "+" + std::to_string(s.parity_units);
  return s.per_node > 1 ? text + "/" + std::to_string(s.per_node) : text;
}

void print_stripes(context& ctx, const file_layout& f, const cluster_config& config, bool units) {
  if (f.inline_bytes > 0)
    ctx.out << "  " << f.inline_bytes << " bytes inline in the metadata\n";
  for (const auto& e : f.extents)
    ctx.out << "  [" << e.file_offset << ", " << e.file_offset + e.bytes << ") in stripe "
            << to_string(lin{e.stripe.value}) << " at " << e.stripe_offset << '\n';
  for (const auto& s : f.stripes) {
    ctx.out << "  stripe " << to_string(lin{s.id.value}) << ": " << shape_text(s.layout.shape)
            << ", units of " << s.layout.unit_blocks << " blocks"
            << (s.layout.at_risk ? ", AT RISK: below its level" : "") << '\n';
    for (std::size_t i = 0; units && i < s.layout.units.size(); ++i) {
      const auto& run = s.layout.units[i].run;
      ctx.out << "    " << (i < s.layout.shape.data_units ? "data   " : "parity ") << i << "  "
              << drive_name(config, run.drive) << ", blocks [" << run.start_block << ", "
              << run.start_block + run.block_count << "), birth " << run.born.value << ", "
              << drive_condition(config, run.drive) << '\n';
    }
  }
}

void show_layout(context& ctx, const get_arguments& args) {
  auto port = ctx.connect();
  if (!port)
    return;
  auto f = port->layout(args.path);
  if (!f)
    return report(ctx, "get " + args.path, f.error());
  if (ctx.json)
    return ctx.print(json_of(*f));
  auto slash = args.path.rfind('/');
  auto name = slash == std::string::npos ? args.path : args.path.substr(slash + 1);
  ctx.out << (f->level_is_default ? "default" : f->level) << ' ' << f->layout << " concurrency on "
          << (name.empty() ? args.path : name) << '\n';
  if (args.detail == 0)
    return;
  auto config = port->config();
  if (!config)
    return report(ctx, "get " + args.path, config.error());
  ctx.out << "  LIN " << to_string(f->attributes.id) << ", " << f->attributes.size << " bytes, "
          << f->attributes.physical_blocks * block_bytes << " on drives, level " << f->level
          << '\n';
  print_stripes(ctx, *f, *config, args.detail > 1);
}

} // namespace

void add_layout_verbs(CLI::App& app, context& ctx) {
  auto args = std::make_shared<get_arguments>();
  auto* verb = add_verb(app, ctx, "get", "protection and layout of a file",
                        [&ctx, args] { show_layout(ctx, *args); });
  verb->add_flag("-D", args->detail,
                 "extents and stripes; -DD: every unit with drive, birth, state");
  verb->add_option("path", args->path, "in the cluster, e.g. /README.txt")->required();
}

} // namespace troupe::shell
