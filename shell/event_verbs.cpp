#include "shell/json_of.hpp"
#include "shell/render.hpp"
#include "shell/verbs.hpp"

#include <memory>
#include <ostream>

namespace troupe::shell {

namespace {

using nlohmann::json;

struct event_arguments {
  std::string severity = "info";
  std::uint32_t count = 50;
  std::string name; ///< "NODE:NUMBER" as `list` prints it.
};

event_severity parse_severity(const std::string& text) {
  for (auto s : {event_severity::debug, event_severity::info, event_severity::warn})
    if (text == to_string(s))
      return s;
  return event_severity::error;
}

std::string fields_of(const event_record& e) {
  std::string out;
  for (const auto& [name, value] : e.fields)
    out += (out.empty() ? "" : " ") + name + "=" + value;
  return out;
}

std::string name_of(const event_record& e) {
  return std::to_string(e.node.value) + ":" + std::to_string(e.number);
}

void list_newest(context& ctx, const event_arguments& args) {
  auto port = ctx.connect();
  if (!port)
    return;
  auto events = port->events(parse_severity(args.severity), args.count);
  if (!events)
    return report(ctx, "cannot list events", events.error());
  if (ctx.json) {
    json out = {{"events", json::array()}};
    for (const auto& e : *events)
      out["events"].push_back(json_of(e));
    return ctx.print(out);
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& e : *events)
    rows.push_back({name_of(e), render_time(e.time), to_string(e.severity), e.name, fields_of(e)});
  ctx.out << render_table({"EVENT", "TIME", "SEVERITY", "NAME", "FIELDS"}, rows);
}

void view_one(context& ctx, const event_arguments& args) {
  auto port = ctx.connect();
  if (!port)
    return;
  auto events = port->events(event_severity::debug, 100'000);
  if (!events)
    return report(ctx, "cannot read events", events.error());
  for (const auto& e : *events) {
    if (name_of(e) != args.name)
      continue;
    if (ctx.json)
      return ctx.print(json_of(e));
    ctx.out << "event     " << name_of(e) << "\ntime      " << render_time(e.time) << "\nseverity  "
            << to_string(e.severity) << "\nname      " << e.name << '\n';
    for (const auto& [name, value] : e.fields)
      ctx.out << name << std::string(name.size() < 9 ? 10 - name.size() : 1, ' ') << value << '\n';
    return;
  }
  report(ctx, "cannot show the event",
         error{errc::not_found, "no event '" + args.name + "'; `troupe event list` names them"});
}

} // namespace

void add_event_verbs(CLI::App& app, context& ctx) {
  auto* event = app.add_subcommand("event", "what happened")->require_subcommand(1);
  auto args = std::make_shared<event_arguments>();
  auto* verb = add_verb(*event, ctx, "list", "newest events of all nodes",
                        [&ctx, args] { list_newest(ctx, *args); });
  verb->add_option("--severity", args->severity, "at least")
    ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
    ->capture_default_str();
  verb->add_option("--count", args->count, "at most")->capture_default_str();
  verb = add_verb(*event, ctx, "view", "one event", [&ctx, args] { view_one(ctx, *args); });
  verb->add_option("event", args->name, "as `list` names it, e.g. 2:17")->required();
}

} // namespace troupe::shell
