#include "shell/json_of.hpp"
#include "shell/render.hpp"
#include "shell/verbs.hpp"

#include <ostream>

namespace troupe::shell {

namespace {

using nlohmann::json;

/// What all answering nodes together say about one group.
struct group_picture {
  const group_record* record = nullptr;
  const replica_report* leader = nullptr; ///< The report of the replica that leads, if any.
  node_id leader_node;
  std::uint64_t commits = 0; ///< Entries committed, whoever led, since those processes started.
  std::vector<const replica_record*> silent; ///< Replicas from whom there is no answer.
};

std::vector<group_picture> pictures(const cluster_config& config,
                                    const std::vector<node_answer>& nodes) {
  std::vector<group_picture> out;
  for (const auto& [id, group] : config.groups) {
    group_picture p;
    p.record = &group;
    for (const auto& replica : group.replicas) {
      const replica_report* found = nullptr;
      for (const auto& n : nodes)
        if (n.node.id == replica.node && n.status)
          for (const auto& r : n.status->replicas)
            if (r.replica == replica.id)
              found = &r;
      if (!found) {
        p.silent.push_back(&replica);
        continue;
      }
      p.commits += found->commits;
      if (found->role == replica_role::leader && (!p.leader || found->term > p.leader->term)) {
        p.leader = found;
        p.leader_node = replica.node;
      }
    }
    out.push_back(std::move(p));
  }
  return out;
}

std::string replica_names(const group_record& group) {
  std::string out;
  for (const auto& r : group.replicas)
    out +=
      (out.empty() ? "" : " ") + std::to_string(r.id.value) + "@" + std::to_string(r.node.value);
  return out;
}

std::string silent_names(const group_picture& p) {
  std::string out;
  for (const auto* r : p.silent)
    out +=
      (out.empty() ? "" : " ") + std::to_string(r->id.value) + "@" + std::to_string(r->node.value);
  return out.empty() ? "-" : out;
}

json picture_json(const group_picture& p, const cluster_config& config) {
  json slots = json::array();
  for (const auto& s : config.slots)
    if (s.group == p.record->id)
      slots.push_back({s.first, s.end});
  json replicas = json::array();
  for (const auto& r : p.record->replicas)
    replicas.push_back(
      {{"replica", r.id.value}, {"node", r.node.value}, {"drive", to_string(r.drive)}});
  json silent = json::array();
  for (const auto* r : p.silent)
    silent.push_back(r->id.value);
  return {{"group", p.record->id.value},
          {"slots", std::move(slots)},
          {"leader", p.leader ? p.leader->replica.value : 0},
          {"leader_node", p.leader_node.value},
          {"preferred_leader", p.record->preferred_leader.value},
          {"serving", p.leader && p.leader->serving},
          {"term", p.leader ? p.leader->term : 0},
          {"commit_index", p.leader ? p.leader->commit_index : 0},
          {"commits", p.commits},
          {"replicas", std::move(replicas)},
          {"no_answer", std::move(silent)}};
}

void list_parts(context& ctx) {
  auto port = ctx.connect();
  if (!port)
    return;
  auto config = port->config();
  if (!config)
    return report(ctx, "cannot read the configuration", config.error());
  auto nodes = port->nodes();
  auto all = pictures(*config, nodes);
  if (ctx.json) {
    json out = {{"partitions", json::array()}};
    for (const auto& p : all)
      if (p.record->id == group_id{0})
        out["cluster_group"] = picture_json(p, *config);
      else
        out["partitions"].push_back(picture_json(p, *config));
    return ctx.print(out);
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& p : all)
    rows.push_back({p.record->id == group_id{0} ? "cluster" : std::to_string(p.record->id.value),
                    p.leader ? std::to_string(p.leader->replica.value) + "@"
                                 + std::to_string(p.leader_node.value)
                             : "none",
                    std::to_string(p.record->preferred_leader.value),
                    p.leader && p.leader->serving ? "yes" : "no",
                    p.leader ? std::to_string(p.leader->term) : "-",
                    p.leader ? std::to_string(p.leader->commit_index) : "-",
                    std::to_string(p.commits), replica_names(*p.record), silent_names(p)});
  ctx.out << render_table({"PARTITION", "LEADER", "PREFERRED", "SERVES", "TERM", "INDEX", "COMMITS",
                           "REPLICAS", "NO ANSWER"},
                          rows);
}

} // namespace

void add_part_verbs(CLI::App& app, context& ctx) {
  auto* part = app.add_subcommand("part", "metadata partitions")->require_subcommand(1);
  add_verb(*part, ctx, "list", "leaders, replicas and progress of all partitions",
           [&ctx] { list_parts(ctx); });
}

} // namespace troupe::shell
