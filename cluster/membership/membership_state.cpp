#include "cluster/membership/membership_state.hpp"

namespace troupe {

membership_state::membership_state(node_id self, incarnation process, std::string address,
                                   node_lease_options lease, std::string client_address)
  : self_(self), process_(process), address_(std::move(address)),
    client_address_(client_address.empty() ? address_ : std::move(client_address)), lease_(lease) {}

void membership_state::config_changed(std::shared_ptr<const cluster_config> config) {
  config_ = std::move(config);
}

/// The leader of the cluster group if known, else its replicas one after the other.
node_id membership_state::target() const {
  auto group = config_->groups.find(group_id{0});
  if (group == config_->groups.end() || group->second.replicas.empty())
    return {};
  const auto& replicas = group->second.replicas;
  if (const auto* leader = replica_of(group->second, leader_))
    return leader->node;
  return replicas[turn_ % replicas.size()].node;
}

void membership_state::note_answer(const cluster_response& response) {
  if (const auto* why = std::get_if<error>(&response.outcome)) {
    if (why->code == errc::not_leader || why->code == errc::unavailable
        || why->code == errc::may_have_happened || why->code == errc::timeout) {
      leader_ = why->code == errc::not_leader ? response.leader : replica_id{};
      ++turn_;
    }
  }
}

void membership_state::ask(const cluster_request& request, question what, membership_effects& out) {
  auto token = ++tokens_;
  asked_.emplace(token, std::move(what));
  out.push_back(ask_cluster{token, target(), request});
}

void membership_state::answered(membership_token token, const cluster_response& response,
                                const membership_now& now, membership_effects& out) {
  auto it = asked_.find(token);
  if (it == asked_.end())
    return;
  auto what = std::move(it->second);
  asked_.erase(it);
  note_answer(response);
  if (const auto* sent = std::get_if<register_sent>(&what))
    take(*sent, response, now, out);
  else if (const auto* renewal = std::get_if<renewal_sent>(&what))
    take(*renewal, response);
  else
    take(std::get<drive_told>(what), response);
}

void membership_state::tick(const membership_now& now, membership_effects& out) {
  if (!config_)
    return;
  if (!registered_)
    register_here(now, out);
  else if (lease_.renewal_due(now.boot))
    renew(now, out);
  if (registered_ && !untold_.empty())
    tell_drive_states(out);
  if (wanted_ > config_->version)
    fetch(out);
}

void membership_state::register_here(const membership_now& now, membership_effects& out) {
  if (registering_)
    return;
  registering_ = true;
  ask(register_node{self_, process_, address_, now.drives, client_address_}, register_sent{}, out);
}

void membership_state::take(const register_sent&, const cluster_response& response,
                            const membership_now& now, membership_effects& out) {
  registering_ = false;
  if (const auto* why = std::get_if<error>(&response.outcome)) {
    if (why->code != errc::not_leader && why->code != errc::unavailable)
      out.push_back(
        membership_event{event_severity::warn, "node_not_registered", {{"why", why->context}}});
    return;
  }
  registered_ = true;
  untold_.clear();
  out.push_back(membership_event{event_severity::info, "node_registered", {}});
  renew(now, out);
}

void membership_state::renew(const membership_now& now, membership_effects& out) {
  lease_.sent(now.boot);
  ask(renew_node_lease{self_, process_, now.reports}, renewal_sent{now.boot}, out);
}

void membership_state::take(const renewal_sent& sent, const cluster_response& response) {
  if (const auto* why = std::get_if<error>(&response.outcome)) {
    if (why->code == errc::stale)
      registered_ = false; // called down: say hello again
    return;
  }
  const auto* granted =
    std::get_if<node_lease_granted>(&std::get<cluster_result>(response.outcome));
  if (!granted)
    return;
  lease_.granted(sent.at, std::uint64_t{granted->lease_ms} * 1'000'000);
  for (const auto& report : granted->drives)
    cluster_reports_[report.drive] = report;
  want(granted->version);
}

void membership_state::drive_changed(const drive_record& drive) {
  untold_[drive.id] = drive;
}

void membership_state::tell_drive_states(membership_effects& out) {
  auto [id, drive] = *untold_.begin();
  untold_.erase(untold_.begin());
  ask(set_drive_state{id, drive.state, drive.mount}, drive_told{drive}, out);
}

void membership_state::take(const drive_told& sent, const cluster_response& response) {
  const auto* why = std::get_if<error>(&response.outcome);
  if (why && why->code != errc::stale && why->code != errc::not_found)
    untold_.try_emplace(sent.drive.id, sent.drive); // once more, unless there is something newer
}

void membership_state::want(config_version at_least) {
  if (at_least > wanted_)
    wanted_ = at_least;
}

void membership_state::fetch(membership_effects& out) {
  auto to = target();
  if (fetching_ != 0 || !to || to == self_) {
    ++turn_;
    return;
  }
  fetching_ = ++tokens_;
  out.push_back(ask_config{fetching_, to});
}

void membership_state::fetched(membership_token token, expected<cluster_config> config,
                               membership_effects& out) {
  if (token != fetching_)
    return;
  fetching_ = 0;
  if (config)
    out.push_back(adopt_config{std::move(*config)});
}

} // namespace troupe
