#include "actors/client/cluster_client.hpp"

#include "actors/kit/log.hpp"
#include "storage/base/posix_env.hpp"

#include <algorithm>

namespace troupe {

namespace {

constexpr std::uint32_t question_ms = 3'000;

} // namespace

expected<std::unique_ptr<cluster_port>> connect_cluster(const std::string& directory) {
  // A command explains its errors itself; what happens to its links is nobody's business.
  log_options quiet;
  quiet.severity_min = event_severity::error;
  if (auto opened = open_log(quiet); !opened)
    return opened.error();
  static posix_env files; // stateless; outlives every client
  auto session = client_session::open(files, directory, peer_role::admin);
  if (!session)
    return session.error();
  return std::unique_ptr<cluster_port>{new cluster_client{std::move(*session)}};
}

expected<cluster_config> cluster_client::config() {
  std::optional<cluster_config> newest;
  error last{errc::unavailable, "no node answers", trp::cluster_not_running};
  for (const auto& node : session_->view().nodes) {
    auto config = session_->ask<get_cluster_config>(node.id, {}, question_ms);
    if (!config)
      last = config.error();
    else if (!newest || config->version > newest->version)
      newest = std::move(*config);
  }
  if (newest)
    return std::move(*newest);
  return last;
}

std::vector<std::pair<node_id, expected<admin_result>>>
cluster_client::ask_all(const admin_request& question) {
  std::vector<std::pair<node_id, expected<admin_result>>> out;
  for (const auto& node : session_->view().nodes)
    out.emplace_back(node.id, error{errc::timeout, "no answer"});
  std::size_t answers = 0;
  for (auto& [node, slot] : out)
    session_->net().ask<admin_request>(
      node, question, question_ms, [&answers, &slot = slot](expected<admin_response> answer) {
        ++answers;
        if (!answer)
          slot = answer.error();
        else if (auto* why = std::get_if<error>(&answer->outcome))
          slot = *why;
        else
          slot = std::get<admin_result>(std::move(answer->outcome));
      });
  session_->run_until([&] { return answers == out.size(); });
  return out;
}

expected<admin_result> cluster_client::ask_node(node_id node, const admin_request& question) {
  auto answer = session_->ask<admin_request>(node, question, question_ms);
  if (!answer)
    return answer.error();
  if (const auto* why = std::get_if<error>(&answer->outcome))
    return *why;
  return std::get<admin_result>(std::move(answer->outcome));
}

std::vector<node_answer> cluster_client::nodes() {
  std::vector<node_answer> out;
  auto known = config();
  for (auto& [node, answer] : ask_all(get_node_status{})) {
    node_record record;
    record.id = node;
    if (known)
      if (auto it = known->nodes.find(node); it != known->nodes.end())
        record = it->second;
    if (answer)
      out.push_back({record, std::get<node_status>(std::move(*answer))});
    else
      out.push_back({record, answer.error()});
  }
  return out;
}

expected<space_report> cluster_client::space() {
  space_report out;
  for (const auto& drive : session_->view().drives) {
    if (drive.state != drive_state::healthy)
      continue;
    out.total_bytes += drive.blocks_total * block_bytes;
    out.free_bytes += drive.blocks_free * block_bytes;
  }
  return out;
}

expected<std::vector<event_record>> cluster_client::events(event_severity severity_min,
                                                           std::uint32_t count_max) {
  std::vector<event_record> out;
  for (auto& [node, answer] : ask_all(list_events{0, severity_min, count_max})) {
    if (!answer)
      continue;
    for (auto& e : std::get<event_list>(*answer).events) {
      e.node = node;
      out.push_back(std::move(e));
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.time < b.time; });
  if (out.size() > count_max)
    out.erase(out.begin(), out.end() - count_max);
  return out;
}

expected<std::vector<actor_report>> cluster_client::actors(const std::string& glob) {
  std::vector<actor_report> out;
  for (auto& [node, answer] : ask_all(list_actors{glob}))
    if (answer)
      for (auto& a : std::get<actor_list>(*answer).actors)
        out.push_back(std::move(a));
  return out;
}

expected<void> cluster_client::kill_actor(const std::string& path) {
  error last{errc::not_found, path, trp::actor_not_found};
  for (auto& [node, answer] : ask_all(list_actors{path})) {
    if (!answer || std::get<actor_list>(*answer).actors.empty())
      continue;
    auto killed = ask_node(node, troupe::kill_actor{path});
    return killed ? expected<void>{} : killed.error();
  }
  return last;
}

expected<std::map<std::string, std::string>> cluster_client::effective_config(node_id node) {
  const auto& nodes = session_->view().nodes;
  if (std::none_of(nodes.begin(), nodes.end(), [&](const auto& n) { return n.id == node; }))
    return error{errc::not_found, "node " + std::to_string(node.value), trp::node_not_found};
  auto answer = ask_node(node, get_effective_config{});
  if (!answer)
    return answer.error();
  return std::get<troupe::effective_config>(std::move(*answer)).options;
}

std::vector<node_certificates> cluster_client::certificates(const get_certificates& question) {
  std::vector<node_certificates> out;
  for (auto& [node, answer] : ask_all(question)) {
    auto& slot = out.emplace_back(node_certificates{node, error{errc::timeout, "no answer"}});
    if (answer)
      slot.report = std::get<certificate_report>(std::move(*answer));
    else
      slot.report = expected<certificate_report>{answer.error()};
  }
  return out;
}

expected<void> cluster_client::revoke(const revoked_certificate& which) {
  return session_->change_cluster(revoke_certificate{which});
}

} // namespace troupe
