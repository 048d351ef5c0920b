#include "messages/catalogue.hpp"
#include "messages/error_ids.hpp"
#include "shell/render.hpp"
#include "shell/verbs.hpp"

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

namespace troupe::shell {

namespace {

using nlohmann::json;

std::string senders_of(const catalogue_entry& entry) {
  std::string out;
  for (auto role : {peer_role::node, peer_role::client, peer_role::admin})
    if (entry.senders.has(role))
      out += (out.empty() ? "" : " ") + std::string{to_string(role)};
  return out.empty() ? "who was asked" : out;
}

std::string answer_of(const catalogue_entry& entry) {
  std::string answer = entry.answer;
  return answer.empty() ? "is one" : answer == "-" ? "none" : answer;
}

void list_messages(context& ctx) {
  if (ctx.json) {
    json out = {{"messages", json::array()}};
    for (const auto& m : message_catalogue())
      out["messages"].push_back({{"number", m.number},
                                 {"name", m.name},
                                 {"answer", answer_of(m)},
                                 {"senders", senders_of(m)},
                                 {"meaning", m.meaning}});
    return ctx.print(out);
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& m : message_catalogue())
    rows.push_back({std::to_string(m.number), m.name, answer_of(m), senders_of(m), m.meaning});
  ctx.out << render_table({"NUMBER", "MESSAGE", "ANSWER", "SENT BY", "MEANING"}, rows);
}

std::string id_text(const error_entry& entry) {
  return "TRP-" + std::to_string(entry.id.value);
}

void print_errors(context& ctx, const std::string& wanted) {
  json list = json::array();
  bool found = false;
  for (const auto& e : error_table()) {
    if (!wanted.empty() && wanted != id_text(e) && wanted != std::to_string(e.id.value))
      continue;
    found = true;
    list.push_back(
      {{"id", id_text(e)}, {"title", e.title}, {"cause", e.cause}, {"next_step", e.next_step}});
    if (!ctx.json)
      ctx.out << id_text(e) << ' ' << e.title << "\n  cause: " << e.cause
              << "\n  next:  " << e.next_step << '\n';
  }
  if (!found)
    return report(ctx, "no such error",
                  error{errc::not_found, wanted + ": `troupe errors` lists all of them"});
  if (ctx.json)
    ctx.print({{"errors", std::move(list)}});
}

} // namespace

void add_catalogue_verbs(CLI::App& app, context& ctx) {
  add_verb(app, ctx, "messages", "every message that travels between processes",
           [&ctx] { list_messages(ctx); });
  auto id = std::make_shared<std::string>();
  auto* verb = add_verb(app, ctx, "errors", "what an error id means and what to do about it",
                        [&ctx, id] { print_errors(ctx, *id); });
  verb->add_option("id", *id, "TRP-1001; without it, all of them");
}

} // namespace troupe::shell
