#include "shell/json_of.hpp"
#include "shell/render.hpp"
#include "shell/verbs.hpp"

#include <algorithm>
#include <ostream>
#include <set>

namespace troupe::shell {

namespace {

using nlohmann::json;

/// Partitions (not the cluster group) for which no answering node says "I lead and serve".
std::size_t leaderless(const cluster_config& config, const std::vector<node_answer>& nodes) {
  std::set<group_id> led;
  for (const auto& n : nodes)
    if (n.status)
      for (const auto& r : n.status->replicas)
        if (r.serving)
          led.insert(r.group);
  return static_cast<std::size_t>(
    std::count_if(config.groups.begin(), config.groups.end(),
                  [&](const auto& g) { return g.first != group_id{0} && !led.contains(g.first); }));
}

json node_json(const node_answer& n) {
  json out = {{"node", n.node.id.value},
              {"address", n.node.address},
              {"client_address", n.node.client_address},
              {"state", to_string(n.node.state)},
              {"answers", static_cast<bool>(n.status)}};
  if (!n.status) {
    out["error"] = json_of(n.status.error());
    out["lease_valid"] = false;
    out["drives"] = json::array();
    return out;
  }
  const auto& s = *n.status;
  out["pid"] = s.pid;
  out["version"] = s.version;
  out["config_version"] = s.config.value;
  out["lease_valid"] = s.lease_valid;
  out["io"] = s.io;
  out["uptime_ms"] = s.uptime_ms;
  out["cpu_ms"] = s.cpu_ms;
  out["resident_bytes"] = s.resident_bytes;
  out["descriptors"] = s.descriptors;
  for (const auto& d : s.drives)
    out["drives"].push_back(json_of(d));
  for (const auto& r : s.replicas)
    out["replicas"].push_back(json_of(r));
  for (const auto& l : s.links)
    out["links"].push_back(json_of(l));
  return out;
}

std::vector<std::string> node_row(const node_answer& n, const cluster_config& config) {
  std::vector<std::string> row = {std::to_string(n.node.id.value), n.node.address,
                                  to_string(n.node.state)};
  if (!n.status) {
    row.push_back("no answer");
    return row;
  }
  const auto& s = *n.status;
  std::size_t healthy = 0;
  std::size_t drives = 0;
  for (const auto& [id, d] : config.drives)
    if (d.node == n.node.id) {
      ++drives;
      healthy += d.state == drive_state::healthy;
    }
  auto leads = std::count_if(s.replicas.begin(), s.replicas.end(),
                             [](const auto& r) { return r.role == replica_role::leader; });
  row.push_back(s.lease_valid ? "valid" : "none");
  row.push_back(std::to_string(healthy) + "/" + std::to_string(drives));
  row.push_back(std::to_string(leads) + "/" + std::to_string(s.replicas.size()));
  row.push_back(render_bytes(s.resident_bytes));
  row.push_back(std::to_string(s.descriptors));
  row.push_back(s.io);
  row.push_back(std::to_string(s.pid));
  return row;
}

/// How the data connections of the nodes are protected (`backend-encryption`).
void print_connections(context& ctx, const std::vector<node_answer>& nodes) {
  std::size_t encrypted = 0;
  std::size_t authenticated = 0;
  for (const auto& n : nodes)
    if (n.status)
      for (const auto& l : n.status->links)
        if (l.connected)
          ++(l.encrypted ? encrypted : authenticated);
  ctx.out << "\ndata connections: " << encrypted << " encrypted, " << authenticated
          << " authenticated only (both ends on one machine, or backend_encryption=never)\n";
}

void print_text(context& ctx, const cluster_config& config, const std::vector<node_answer>& nodes,
                const expected<space_report>& space, const std::vector<mount_record>& mounts) {
  ctx.out << "cluster " << config.name << " (" << to_string(config.cluster) << "), level "
          << to_string(config.default_level) << ", configuration " << config.version.value << '\n';
  if (space)
    ctx.out << "space   " << render_bytes(space->free_bytes) << " free of "
            << render_bytes(space->total_bytes) << " (parity not taken off)\n";
  if (auto n = leaderless(config, nodes); n > 0)
    ctx.out << "WARNING " << n << " of " << config.groups.size() - 1
            << " partitions have no serving leader: see `troupe part list`\n";
  ctx.out << '\n';
  std::vector<std::vector<std::string>> rows;
  for (const auto& n : nodes)
    rows.push_back(node_row(n, config));
  ctx.out << render_table(
    {"NODE", "ADDRESS", "STATE", "LEASE", "DRIVES", "LEADS", "MEMORY", "FDS", "I/O", "PID"}, rows);
  print_connections(ctx, nodes);
  std::vector<std::vector<std::string>> sick;
  for (const auto& [id, d] : config.drives)
    if (d.state != drive_state::healthy)
      sick.push_back({std::to_string(d.node.value) + ":" + std::to_string(d.bay.value),
                      to_string(d.state), to_string(id)});
  if (!sick.empty())
    ctx.out << '\n' << render_table({"DRIVE", "STATE", "UUID"}, sick);
  for (const auto& m : mounts)
    ctx.out << "mount   " << m.mount_point << " (pid " << m.pid << (m.alive ? ")\n" : ", dead)\n");
}

void show_status(context& ctx) {
  auto port = ctx.connect();
  if (!port)
    return;
  auto config = port->config();
  if (!config)
    return report(ctx, "cannot read the configuration", config.error());
  auto nodes = port->nodes();
  auto space = port->space();
  auto mounts = ctx.host.mounts(ctx.directory);
  if (!ctx.json)
    return print_text(ctx, *config, nodes, space, mounts);
  json out = {{"cluster", to_string(config->cluster)},
              {"name", config->name},
              {"level", to_string(config->default_level)},
              {"config_version", config->version.value},
              {"partitions_without_leader", leaderless(*config, nodes)},
              {"nodes", json::array()},
              {"drives", json::array()},
              {"mounts", json::array()}};
  if (space)
    out["space"] = {{"total_bytes", space->total_bytes}, {"free_bytes", space->free_bytes}};
  for (const auto& n : nodes)
    out["nodes"].push_back(node_json(n));
  for (const auto& [id, d] : config->drives)
    out["drives"].push_back({{"uuid", to_string(id)},
                             {"node", d.node.value},
                             {"bay", d.bay.value},
                             {"state", to_string(d.state)},
                             {"bytes_total", d.blocks_total * block_bytes}});
  for (const auto& m : mounts)
    out["mounts"].push_back({{"mount_point", m.mount_point}, {"pid", m.pid}, {"alive", m.alive}});
  ctx.print(out);
}

} // namespace

void add_status_verbs(CLI::App& app, context& ctx) {
  add_verb(app, ctx, "status", "nodes, drives, space and mounts", [&ctx] { show_status(ctx); });
}

} // namespace troupe::shell
