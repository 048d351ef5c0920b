#include "shell/json_of.hpp"
#include "shell/render.hpp"
#include "shell/verbs.hpp"

#include <algorithm>
#include <memory>
#include <ostream>

namespace troupe::shell {

namespace {

using nlohmann::json;

expected<std::vector<actor_report>> fetch(context& ctx, const std::string& glob) {
  auto port = ctx.host.connect(ctx.directory);
  if (!port)
    return port.error();
  auto actors = (*port)->actors(glob);
  if (!actors)
    return actors.error();
  std::sort(actors->begin(), actors->end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  return actors;
}

void list_actors_matching(context& ctx, const std::string& glob) {
  auto actors = fetch(ctx, glob);
  if (!actors)
    return report(ctx, "cannot list actors", actors.error());
  if (ctx.json) {
    json out = {{"actors", json::array()}};
    for (const auto& a : *actors)
      out["actors"].push_back(json_of(a));
    return ctx.print(out);
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& a : *actors)
    rows.push_back(
      {a.path, a.kind, std::to_string(a.messages), std::to_string(a.restarts), a.state});
  ctx.out << render_table({"PATH", "KIND", "MESSAGES", "RESTARTS", "STATE"}, rows);
}

/// Paths as a tree: what a path shares with the one before it is not repeated.
void show_tree(context& ctx) {
  auto actors = fetch(ctx, "*");
  if (!actors)
    return report(ctx, "cannot list actors", actors.error());
  if (ctx.json) {
    json out = {{"actors", json::array()}};
    for (const auto& a : *actors)
      out["actors"].push_back(json_of(a));
    return ctx.print(out);
  }
  std::vector<std::string> above;
  for (const auto& a : *actors) {
    std::vector<std::string> parts;
    std::string part;
    for (char c : a.path + "/") {
      if (c != '/') {
        part += c;
        continue;
      }
      parts.push_back(std::exchange(part, {}));
    }
    std::size_t same = 0;
    while (same < parts.size() && same < above.size() && parts[same] == above[same])
      ++same;
    for (std::size_t i = same; i < parts.size(); ++i)
      ctx.out << std::string(i * 2, ' ') << parts[i]
              << (i + 1 == parts.size() && !a.state.empty() ? "  (" + a.state + ")" : "") << '\n';
    above = std::move(parts);
  }
}

void view_actor(context& ctx, const std::string& path) {
  auto actors = fetch(ctx, path);
  if (actors && actors->empty())
    actors = error{errc::not_found, path, trp::actor_not_found};
  if (!actors)
    return report(ctx, "cannot show the actor", actors.error());
  for (const auto& a : *actors) {
    if (ctx.json)
      ctx.print(json_of(a));
    else
      ctx.out << "path      " << a.path << "\nkind      " << a.kind << "\nstate     " << a.state
              << "\nmessages  " << a.messages << "\nrestarts  " << a.restarts << '\n';
  }
}

void kill_one(context& ctx, const std::string& path) {
  auto actors = fetch(ctx, path);
  if (actors && actors->empty())
    actors = error{errc::not_found, path, trp::actor_not_found};
  if (actors && actors->size() > 1)
    actors = error{errc::invalid_argument,
                   path + " names " + std::to_string(actors->size()) + " actors; name one"};
  if (!actors)
    return report(ctx, "nothing was killed", actors.error());
  plan what{"actors kill", {{"kill_actor", actors->front().path, {}}}};
  if (only_planned(ctx, what))
    return;
  auto port = ctx.connect();
  if (!port)
    return;
  auto killed = port->kill_actor(what.steps.front().object);
  if (!killed)
    return report(ctx, "nothing was killed", killed.error());
  if (ctx.json)
    ctx.print({{"done", json_of(what)}});
  else
    ctx.out << render_step(what.steps.front());
}

} // namespace

void add_actor_verbs(CLI::App& app, context& ctx) {
  auto* actors = app.add_subcommand("actors", "running actors")->require_subcommand(1);
  auto glob = std::make_shared<std::string>("*");
  auto* verb = add_verb(*actors, ctx, "list", "actors, by path; globs allowed",
                        [&ctx, glob] { list_actors_matching(ctx, *glob); });
  verb->add_option("path", *glob, "e.g. 'node/3/*'");
  add_verb(*actors, ctx, "tree", "all actors as a tree", [&ctx] { show_tree(ctx); });
  auto path = std::make_shared<std::string>();
  verb = add_verb(*actors, ctx, "view", "one actor", [&ctx, path] { view_actor(ctx, *path); });
  verb->add_option("path", *path, "its path")->required();
  verb = add_changing_verb(*actors, ctx, "kill", "kill one actor; its supervisor restarts it",
                           [&ctx, path] { kill_one(ctx, *path); });
  verb->add_option("path", *path, "its path")->required();
}

} // namespace troupe::shell
