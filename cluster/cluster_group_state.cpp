#include "cluster/cluster_group_state.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace troupe {

namespace {

error not_leader() {
  return error{errc::not_leader, "cluster group"};
}

/// A process that registered later than the one the configuration knows, or that one again.
bool is_current(const node_record& node, incarnation process) {
  return process >= node.process;
}

expected<cluster_result> evaluate_register(const register_node& x, cluster_config& working) {
  auto node = working.nodes.find(x.node);
  if (node == working.nodes.end())
    return error{errc::not_found, "node " + std::to_string(x.node.value), trp::node_not_found};
  if (!is_current(node->second, x.process))
    return error{errc::stale, "node " + std::to_string(x.node.value) + " has a newer process"};
  node->second.address = x.address;
  node->second.client_address = x.client_address;
  node->second.process = x.process;
  node->second.state = node_state::up;
  for (const auto& found : x.drives) {
    auto drive = working.drives.find(found.id);
    if (drive == working.drives.end() || drive->second.node != x.node)
      return error{errc::wrong_cluster, "drive " + to_string(found.id),
                   trp::foreign_data_directory};
    drive->second.state = found.state;
    drive->second.mount = found.mount;
    drive->second.blocks_total = found.blocks_total;
  }
  return cluster_result{cluster_done{}};
}

/// So that the list fits into every message and every node's memory.
constexpr std::size_t revoked_max = 10'000;
constexpr std::size_t serial_chars_max = 64;
constexpr std::size_t reason_bytes_max = 200;
/// Clocks differ: an entry stays that much longer than its certificate is valid.
constexpr std::int64_t revoked_slack_ns = std::int64_t{86'400} * 1'000'000'000;

expected<cluster_result> evaluate_revoke(const revoked_certificate& x, cluster_config& working) {
  bool hexadecimal = x.serial && x.serial.hex.size() <= serial_chars_max
                     && x.serial.hex.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!hexadecimal || x.reason.size() > reason_bytes_max)
    return error{errc::invalid_argument, "certificate '" + x.serial.hex.substr(0, 80) + "'",
                 trp::certificate_not_found};
  std::erase_if(working.revoked, [&](const auto& entry) {
    return entry.second.not_after.ns + revoked_slack_ns < x.revoked_at.ns;
  });
  if (working.revoked.size() >= revoked_max)
    return error{errc::busy, std::to_string(revoked_max) + " revoked certificates: rotate the CA"};
  working.revoked.try_emplace(x.serial, x);
  return cluster_result{cluster_done{}};
}

expected<cluster_result> evaluate_drive(const set_drive_state& x, cluster_config& working) {
  auto drive = working.drives.find(x.drive);
  if (drive == working.drives.end())
    return error{errc::not_found, "drive " + to_string(x.drive)};
  if (x.mount < drive->second.mount)
    return error{errc::stale, "drive " + to_string(x.drive) + " was mounted again"};
  drive->second.state = x.state;
  drive->second.mount = x.mount;
  return cluster_result{cluster_done{}};
}

} // namespace

cluster_group_state::cluster_group_state(cluster_rows committed, cluster_config decoded,
                                         cluster_group_options options)
  : options_(options), rows_(std::move(committed)), config_(std::move(decoded)),
    leases_(options.lease) {}

void cluster_group_state::refuse(cluster_token token, error why, cluster_group_effects& out) const {
  out.push_back(reply_cluster{token, {std::move(why), leader_}});
}

void cluster_group_state::request(cluster_token token, const cluster_request& body,
                                  const cluster_now& now, cluster_group_effects& out) {
  if (!ready_)
    return refuse(token, not_leader(), out);
  if (const auto* renewal = std::get_if<renew_node_lease>(&body))
    return renew(token, *renewal, now, out);
  if (waiting_.size() >= options_.waiting_max)
    return refuse(token, error{errc::busy, "cluster group"}, out);
  if (const auto* start = std::get_if<register_node>(&body))
    leases_.renewed(start->node,
                    now.boot); // so that it is not called down before its first renewal
  waiting_.push_back({token, body});
  propose_waiting(out);
}

void cluster_group_state::renew(cluster_token token, const renew_node_lease& body,
                                const cluster_now& now, cluster_group_effects& out) {
  if (now.boot >= now.read_lease_until)
    return refuse(token, error{errc::not_leader, "the cluster group's leader has no majority now"},
                  out);
  auto node = config_.nodes.find(body.node);
  if (node == config_.nodes.end() || node->second.process != body.process)
    return refuse(token, error{errc::stale, "node must register first"}, out);
  if (node->second.state != node_state::up
      || std::find(going_down_.begin(), going_down_.end(), body.node) != going_down_.end())
    return refuse(token, error{errc::stale, "node was called down and must register again"}, out);
  for (const auto& report : body.drives)
    reports_[report.drive] = report;
  node_lease_granted granted;
  granted.lease_ms = static_cast<std::uint32_t>(leases_.renewed(body.node, now.boot) / 1'000'000);
  granted.version = config_.version;
  for (const auto& [id, report] : reports_)
    granted.drives.push_back(report);
  out.push_back(reply_cluster{token, {cluster_result{std::move(granted)}, leader_}});
}

expected<cluster_result> cluster_group_state::evaluate(const cluster_request& body,
                                                       cluster_config& working) const {
  if (const auto* x = std::get_if<register_node>(&body))
    return evaluate_register(*x, working);
  if (const auto* x = std::get_if<set_drive_state>(&body))
    return evaluate_drive(*x, working);
  if (const auto* x = std::get_if<revoke_certificate>(&body))
    return evaluate_revoke(x->certificate, working);
  TROUPE_ASSERT(std::holds_alternative<admit_client>(body)); // leases never wait for an entry
  return cluster_result{client_admitted{client_id{++working.clients_given}}};
}

void cluster_group_state::propose_waiting(cluster_group_effects& out) {
  if (proposed_ || !ready_ || (waiting_.empty() && going_down_.empty()))
    return;
  cluster_config working = config_;
  working.version.value += 1;
  for (auto node : going_down_)
    if (auto it = working.nodes.find(node); it != working.nodes.end())
      it->second.state = node_state::down;
  while (!waiting_.empty()) {
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    auto before = working;
    auto result = evaluate(next.body, working);
    if (!result) {
      working = std::move(before); // a refused request leaves nothing behind
      refuse(next.token, result.error(), out);
      continue;
    }
    if (auto* done = std::get_if<cluster_done>(&*result))
      done->version = working.version;
    in_flight_.push_back({next.token, std::move(*result)});
  }
  if (in_flight_.empty() && going_down_.empty())
    return;
  proposed_ = true;
  out.push_back(propose_rows{difference(rows_, encode_cluster_config(working))});
}

void cluster_group_state::role_changed(bool ready, replica_id leader, boot_time now,
                                       cluster_group_effects& out) {
  leader_ = leader;
  if (ready == ready_)
    return;
  ready_ = ready;
  reports_.clear();
  going_down_.clear();
  if (ready_) {
    std::vector<node_id> nodes;
    for (const auto& [id, node] : config_.nodes)
      if (node.state == node_state::up)
        nodes.push_back(id);
    leases_.elected(nodes, now);
    return;
  }
  leases_.deposed();
  for (auto& request : waiting_)
    refuse(request.token, not_leader(), out);
  waiting_.clear();
}

void cluster_group_state::applied(const cluster_row_changes& rows, cluster_group_effects& out) {
  for (const auto& [key, value] : rows) {
    if (value)
      rows_[key] = *value;
    else
      rows_.erase(key);
  }
  auto decoded = decode_cluster_config(rows_);
  TROUPE_ASSERT(decoded); // these rows were encoded by the leader and carried under checksums
  config_ = std::move(*decoded);
  out.push_back(announce_config{config_});
}

void cluster_group_state::proposal_finished(bool committed, cluster_group_effects& out) {
  proposed_ = false;
  going_down_.clear();
  for (auto& promised : in_flight_) {
    if (committed)
      out.push_back(reply_cluster{promised.token, {std::move(promised.result), leader_}});
    else
      refuse(promised.token, error{errc::may_have_happened, "cluster group lost its leader"}, out);
  }
  in_flight_.clear();
  propose_waiting(out);
}

expected<void> cluster_group_state::installed(cluster_rows rows, cluster_group_effects& out) {
  auto decoded = decode_cluster_config(rows);
  if (!decoded)
    return decoded.error();
  rows_ = std::move(rows);
  config_ = std::move(*decoded);
  out.push_back(announce_config{config_});
  return {};
}

void cluster_group_state::call_down(const std::vector<node_id>& nodes, cluster_group_effects& out) {
  for (auto node : nodes) {
    auto it = config_.nodes.find(node);
    if (it != config_.nodes.end() && it->second.state == node_state::up)
      going_down_.push_back(node);
  }
  propose_waiting(out);
}

void cluster_group_state::tick(boot_time now, cluster_group_effects& out) {
  if (ready_ && !proposed_)
    call_down(leases_.expired(now), out);
}

} // namespace troupe
