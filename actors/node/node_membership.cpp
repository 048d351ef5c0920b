#include "actors/node/node_membership.hpp"

namespace troupe {

node_membership::node_membership(const node_services& services, wiring wires)
  : services_(services), wiring_(std::move(wires)), lease_(services.options.cluster.lease) {}

void node_membership::config_changed(std::shared_ptr<const cluster_config> config) {
  config_ = std::move(config);
}

/// The leader of the cluster group if known, else its replicas one after the other.
node_id node_membership::target() const {
  auto group = config_->groups.find(group_id{0});
  if (group == config_->groups.end() || group->second.replicas.empty())
    return {};
  const auto& replicas = group->second.replicas;
  if (const auto* leader = replica_of(group->second, leader_))
    return leader->node;
  return replicas[turn_ % replicas.size()].node;
}

void node_membership::note_answer(const cluster_response& response) {
  if (const auto* why = std::get_if<error>(&response.outcome)) {
    if (why->code == errc::not_leader || why->code == errc::unavailable
        || why->code == errc::may_have_happened || why->code == errc::timeout) {
      leader_ = why->code == errc::not_leader ? response.leader : replica_id{};
      ++turn_;
    }
  }
}

void node_membership::ask(const cluster_request& request,
                          std::function<void(cluster_response)> done) {
  auto to = target();
  auto answered = [this, done = std::move(done)](cluster_response response) {
    note_answer(response);
    done(std::move(response));
  };
  if (to == services_.config.node)
    return wiring_.ask_here(request, std::move(answered));
  services_.net.ask<cluster_request>(
    to, request, services_.options.ask_cluster_ms,
    [answered = std::move(answered)](expected<cluster_response> response) {
      answered(response ? std::move(*response) : cluster_response{response.error(), {}});
    });
}

void node_membership::tick(boot_time now) {
  if (!config_)
    return;
  if (!registered_)
    register_here();
  else if (lease_.renewal_due(now))
    renew(now);
  if (registered_ && !untold_.empty())
    tell_drive_states();
  if (wanted_ > config_->version)
    fetch();
}

void node_membership::register_here() {
  if (registering_)
    return;
  registering_ = true;
  register_node body{services_.config.node, services_.process, services_.config.listen,
                     wiring_.drives()};
  ask(body, [this](const cluster_response& response) {
    registering_ = false;
    if (const auto* why = std::get_if<error>(&response.outcome)) {
      if (why->code != errc::not_leader && why->code != errc::unavailable)
        services_.raise(event_severity::warn, "node_not_registered", {{"why", why->context}});
      return;
    }
    registered_ = true;
    untold_.clear();
    services_.raise(event_severity::info, "node_registered", {});
    renew(services_.loop.now());
  });
}

void node_membership::renew(boot_time now) {
  lease_.sent(now);
  renew_node_lease body{services_.config.node, services_.process, wiring_.reports()};
  ask(body, [this, sent_at = now](const cluster_response& response) {
    if (const auto* why = std::get_if<error>(&response.outcome)) {
      if (why->code == errc::stale)
        registered_ = false; // called down: say hello again
      return;
    }
    const auto* granted =
      std::get_if<node_lease_granted>(&std::get<cluster_result>(response.outcome));
    if (!granted)
      return;
    lease_.granted(sent_at, std::uint64_t{granted->lease_ms} * 1'000'000);
    for (const auto& report : granted->drives)
      cluster_reports_[report.drive] = report;
    want(granted->version);
  });
}

void node_membership::drive_changed(const drive_record& drive) {
  untold_[drive.id] = drive;
}

void node_membership::tell_drive_states() {
  auto [id, drive] = *untold_.begin();
  untold_.erase(untold_.begin());
  ask(set_drive_state{id, drive.state, drive.mount},
      [this, drive = drive](const cluster_response& response) {
        const auto* why = std::get_if<error>(&response.outcome);
        if (why && why->code != errc::stale && why->code != errc::not_found)
          untold_.try_emplace(drive.id, drive); // once more, unless there is something newer
      });
}

void node_membership::want(config_version at_least) {
  if (at_least > wanted_)
    wanted_ = at_least;
}

void node_membership::fetch() {
  auto to = target();
  if (fetching_ || !to || to == services_.config.node) {
    ++turn_;
    return;
  }
  fetching_ = true;
  services_.net.ask<get_cluster_config>(to, {}, services_.options.ask_cluster_ms,
                                        [this](expected<cluster_config> config) {
                                          fetching_ = false;
                                          if (config)
                                            wiring_.learnt(std::move(*config));
                                        });
}

} // namespace troupe
