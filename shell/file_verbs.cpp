#include "shell/json_of.hpp"
#include "shell/render.hpp"
#include "shell/verbs.hpp"

#include <fstream>
#include <istream>
#include <memory>
#include <ostream>

namespace troupe::shell {

namespace {

using nlohmann::json;

constexpr std::size_t piece_bytes = 1 << 20;

struct file_arguments {
  std::string source;
  std::string path;
};

/// Prints a plan of one step, or executes it with `run`.
void change(context& ctx, plan what, const std::function<expected<void>(cluster_port&)>& run) {
  if (only_planned(ctx, what))
    return;
  auto port = ctx.connect();
  if (!port)
    return;
  auto done = run(*port);
  if (!done)
    return report(ctx, what.command + " " + what.steps.front().object, done.error());
  if (ctx.json)
    ctx.print({{"done", json_of(what)}});
}

/// Pieces of a stream until its end.
std::function<expected<byte_vector>()> pieces_of(std::istream& in, const std::string& name) {
  return [&in, name]() -> expected<byte_vector> {
    byte_vector piece(piece_bytes);
    in.read(reinterpret_cast<char*>(piece.data()), static_cast<std::streamsize>(piece.size()));
    if (in.bad())
      return error{errc::io_error, "cannot read " + name};
    piece.resize(static_cast<std::size_t>(in.gcount()));
    return piece;
  };
}

void put_file(context& ctx, const file_arguments& args) {
  std::ifstream opened;
  bool standard = args.source == "-";
  if (!standard) {
    opened.open(args.source, std::ios::binary);
    if (!opened)
      return report(ctx, "put",
                    error{errc::not_found, "cannot open " + args.source, trp::path_not_found});
  }
  auto& in = standard ? ctx.in : opened;
  plan what{"put", {{"write_file", args.path, {{"from", args.source}}}}};
  std::uint64_t bytes = 0;
  change(ctx, what, [&](cluster_port& port) -> expected<void> {
    auto written = port.put(args.path, 0644, pieces_of(in, args.source));
    if (!written)
      return written.error();
    bytes = *written;
    return {};
  });
  if (ctx.result == exit_code::ok && !ctx.json && !ctx.dry_run)
    ctx.out << args.path << ": " << bytes << " bytes\n";
}

void cat_file(context& ctx, const std::string& path) {
  auto port = ctx.connect();
  if (!port)
    return;
  auto done = port->cat(path, [&](byte_view piece) -> expected<void> {
    ctx.out.write(reinterpret_cast<const char*>(piece.data()),
                  static_cast<std::streamsize>(piece.size()));
    if (!ctx.out)
      return error{errc::io_error, "cannot write to standard output"};
    return {};
  });
  if (!done)
    report(ctx, "cat " + path, done.error());
}

void list_directory(context& ctx, const std::string& path) {
  auto port = ctx.connect();
  if (!port)
    return;
  auto entries = port->list(path);
  if (!entries)
    return report(ctx, "ls " + path, entries.error());
  if (ctx.json) {
    json out = {{"path", path}, {"entries", json::array()}};
    for (const auto& e : *entries) {
      auto item = json_of(e.attributes);
      item["name"] = e.name;
      out["entries"].push_back(std::move(item));
    }
    return ctx.print(out);
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& e : *entries) {
    const auto& a = e.attributes;
    rows.push_back({render_mode(a.kind, a.mode), std::to_string(a.link_count),
                    std::to_string(a.uid), std::to_string(a.gid), std::to_string(a.size),
                    render_time(a.modify_time), e.name});
  }
  ctx.out << render_table({"MODE", "LINKS", "UID", "GID", "SIZE", "MODIFIED", "NAME"}, rows);
}

void show_stat(context& ctx, const std::string& path) {
  auto port = ctx.connect();
  if (!port)
    return;
  auto a = port->stat(path);
  if (!a)
    return report(ctx, "stat " + path, a.error());
  if (ctx.json)
    return ctx.print(json_of(*a));
  ctx.out << "path      " << path << "\nlin       " << to_string(a->id) << "\nkind      "
          << render_kind(a->kind) << "\nmode      " << render_mode(a->kind, a->mode)
          << "\nowner     " << a->uid << ':' << a->gid << "\nlinks     " << a->link_count
          << "\nsize      " << a->size << "\nphysical  " << a->physical_blocks * block_bytes
          << "\naccessed  " << render_time(a->access_time) << "\nmodified  "
          << render_time(a->modify_time) << "\nchanged   " << render_time(a->change_time)
          << "\nborn      " << render_time(a->birth_time) << '\n';
}

void add_changing_files(CLI::App& app, context& ctx) {
  auto args = std::make_shared<file_arguments>();
  auto* verb = add_changing_verb(app, ctx, "put", "copy a file into the cluster, without a mount",
                                 [&ctx, args] { put_file(ctx, *args); });
  verb->add_option("source", args->source, "a file here, or - for standard input")->required();
  verb->add_option("path", args->path, "in the cluster, e.g. /a/b")->required();

  auto mode = std::make_shared<std::uint32_t>(0755);
  verb = add_changing_verb(app, ctx, "mkdir", "make a directory", [&ctx, args, mode] {
    change(ctx, {"mkdir", {{"make_directory", args->path, {}}}},
           [&](cluster_port& port) { return port.make_directory(args->path, *mode); });
  });
  verb->add_option("path", args->path, "in the cluster")->required();

  verb = add_changing_verb(app, ctx, "mv", "rename inside the cluster", [&ctx, args] {
    change(ctx, {"mv", {{"rename", args->source, {{"to", args->path}}}}},
           [&](cluster_port& port) { return port.rename(args->source, args->path); });
  });
  verb->add_option("from", args->source, "in the cluster")->required();
  verb->add_option("to", args->path, "in the cluster")->required();

  verb = add_changing_verb(app, ctx, "rm", "remove a file or an empty directory", [&ctx, args] {
    change(ctx, {"rm", {{"remove", args->path, {}}}},
           [&](cluster_port& port) { return port.remove(args->path); });
  });
  verb->add_option("path", args->path, "in the cluster")->required();
}

} // namespace

void add_file_verbs(CLI::App& app, context& ctx) {
  add_changing_files(app, ctx);
  auto path = std::make_shared<std::string>("/");
  auto* verb = add_verb(app, ctx, "cat", "print a file", [&ctx, path] { cat_file(ctx, *path); });
  verb->add_option("path", *path, "in the cluster")->required();
  verb = add_verb(app, ctx, "ls", "list a directory", [&ctx, path] { list_directory(ctx, *path); });
  verb->add_option("path", *path, "in the cluster")->capture_default_str();
  verb =
    add_verb(app, ctx, "stat", "attributes of one object", [&ctx, path] { show_stat(ctx, *path); });
  verb->add_option("path", *path, "in the cluster")->required();
}

} // namespace troupe::shell
