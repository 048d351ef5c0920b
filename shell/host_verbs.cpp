#include "shell/verbs.hpp"

#include <memory>
#include <ostream>

namespace troupe::shell {

namespace {

struct up_arguments {
  cluster_wish wish;
  std::string level = to_string(suggested_level);
  std::string mount_point;
  std::vector<std::string> settings; ///< NAME=VALUE
};

void add_wish_options(CLI::App& verb, up_arguments& args) {
  verb.add_option("--name", args.wish.name, "name of a new cluster")->capture_default_str();
  verb.add_option("--nodes", args.wish.nodes, "nodes of a new cluster")
    ->capture_default_str()
    ->check(CLI::Range(1, 252));
  verb.add_option("--drives", args.wish.drives_per_node, "drives per node of a new cluster")
    ->capture_default_str()
    ->check(CLI::Range(1, 64));
  verb
    .add_option("--drive-size", args.wish.drive_bytes,
                "size of each drive of a new cluster, "
                "e.g. 4GiB")
    ->transform(CLI::AsSizeValue(false))
    ->default_str("1GiB");
  verb.add_option("--level", args.level, "protection level of a new cluster")
    ->capture_default_str();
  verb
    .add_option("--port-first", args.wish.port_first,
                "node n listens for nodes on this port + n, for clients on this port + nodes + n")
    ->capture_default_str()
    ->check(CLI::Range(1024, 65000));
  verb
    .add_option("--set", args.settings,
                "option of the nodes of a new cluster, NAME=VALUE as in `troupe config show`; may "
                "be repeated")
    ->allow_extra_args(false);
}

/// Reads NAME=VALUE. @returns what is wrong with it; empty if nothing.
std::string add_option(const std::string& text, std::map<std::string, std::string>& out) {
  auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    return "'" + text + "' is not NAME=VALUE";
  out[text.substr(0, equals)] = text.substr(equals + 1);
  return {};
}

/// Fills in what the options say as text. @returns false if it was reported as wrong.
bool complete(context& ctx, up_arguments& args) {
  auto level = parse_protection_level(args.level);
  if (!level) {
    report(ctx, "nothing was changed", level.error());
    return false;
  }
  for (const auto& setting : args.settings)
    if (auto wrong = add_option(setting, args.wish.options); !wrong.empty()) {
      report(ctx, "nothing was changed",
             error{errc::invalid_argument, "--set " + wrong, trp::bad_config_file});
      return false;
    }
  args.wish.level = *level;
  args.wish.directory = ctx.directory;
  return true;
}

void next_hints(context& ctx, const std::string& mount_point) {
  auto dir = " --dir " + ctx.directory;
  ctx.out << "try:\n";
  if (!mount_point.empty())
    ctx.out << "  cp -r /usr/include " << mount_point << "/\n"
            << "  troupe get -D /include/stdio.h" << dir << '\n';
  else
    ctx.out << "  troupe mount /mnt/troupe" << dir << '\n';
  ctx.out << "  troupe status" << dir << '\n' << "  troupe down" << dir << '\n';
}

/// A cluster serves without some of its nodes: said aloud, or nobody looks.
void warn_of_absent_nodes(context& ctx) {
  auto port = ctx.host.connect(ctx.directory);
  if (!port)
    return;
  for (const auto& n : (*port)->nodes())
    if (!n.status)
      ctx.out << "warning: node " << n.node.id.value
              << " does not answer: " << describe(n.status.error()) << "\n  see " << ctx.directory
              << "/node-" << n.node.id.value << "/node.log\n";
}

void add_cluster_verbs(CLI::App& app, context& ctx) {
  auto up = std::make_shared<up_arguments>();
  auto* verb = add_changing_verb(
    app, ctx, "up", "start the cluster of a directory, creating it if there is none", [&ctx, up] {
      if (!complete(ctx, *up))
        return;
      run_plan(ctx, ctx.host.plan_up(up->wish, up->mount_point));
      if (ctx.result != exit_code::ok || ctx.json || ctx.dry_run)
        return;
      warn_of_absent_nodes(ctx);
      next_hints(ctx, up->mount_point);
    });
  add_wish_options(*verb, *up);
  verb->add_option("--mount", up->mount_point, "mount it there");

  auto destroy = std::make_shared<bool>(false);
  verb = add_changing_verb(app, ctx, "down", "stop mounts and nodes", [&ctx, destroy] {
    run_plan(ctx, ctx.host.plan_down(ctx.directory, *destroy));
  });
  verb->add_flag("--destroy", *destroy, "remove the cluster and all data in it");

  auto* cluster = app.add_subcommand("cluster", "make clusters")->require_subcommand(1);
  auto init = std::make_shared<up_arguments>();
  verb = add_changing_verb(*cluster, ctx, "init",
                           "create directories, keys and drives of a cluster; starts nothing",
                           [&ctx, init] {
                             if (complete(ctx, *init))
                               run_plan(ctx, ctx.host.plan_init(init->wish));
                           });
  add_wish_options(*verb, *init);
}

void add_process_verbs(CLI::App& app, context& ctx) {
  auto config = std::make_shared<std::string>();
  auto* verb = app.add_subcommand("node", "run one node in this process");
  verb->add_option("--config", *config, "its node.json")->required();
  verb->callback(
    [&ctx, config] { ctx.result = static_cast<exit_code>(ctx.host.run_node(*config)); });

  verb =
    add_verb(app, ctx, "failsafe", "run the nodes of a directory, restart those that die",
             [&ctx] { ctx.result = static_cast<exit_code>(ctx.host.run_failsafe(ctx.directory)); });

  auto point = std::make_shared<std::string>();
  auto foreground = std::make_shared<bool>(false);
  verb = add_changing_verb(app, ctx, "mount", "mount the cluster", [&ctx, point, foreground] {
    if (*foreground)
      ctx.result = static_cast<exit_code>(ctx.host.run_mount(ctx.directory, *point));
    else
      run_plan(ctx, ctx.host.plan_mount(ctx.directory, *point));
  });
  verb->add_option("mount_point", *point, "an empty directory")->required();
  verb->add_flag("--foreground", *foreground, "stay in this process until it is unmounted");

  verb = add_changing_verb(app, ctx, "umount", "unmount the cluster", [&ctx, point] {
    run_plan(ctx, ctx.host.plan_unmount(ctx.directory, *point));
  });
  verb->add_option("mount_point", *point, "where it is mounted")->required();
}

} // namespace

void add_host_verbs(CLI::App& app, context& ctx) {
  add_cluster_verbs(app, ctx);
  add_process_verbs(app, ctx);
}

} // namespace troupe::shell
