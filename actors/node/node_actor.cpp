#include "actors/node/node_actor.hpp"

#include "actors/node/glob.hpp"
#include "actors/node/node_handlers.hpp"
#include "actors/node/node_status.hpp"
#include "cluster/cluster_config_format.hpp"
#include "cluster/config_view.hpp"
#include "messages/overload.hpp"

#include <caf/send.hpp>

namespace troupe {

namespace {

using self_ptr = node_self*;

/// The name of the file is known to whoever makes a cluster, too.
constexpr const char* config_file = "cluster.config";

void learn(self_ptr self, const cluster_config& config) {
  auto& st = self->state;
  if (config.version < st.config->version)
    return;
  for (const auto& [serial, r] : config.revoked)
    if (!st.config->revoked.contains(serial))
      st.services->raise(
        event_severity::warn, "certificate_revoked",
        {{"serial", serial.hex},
         {"certificate", std::string{to_string(r.role)} + "/" + std::to_string(r.id)},
         {"reason", r.reason}});
  st.config = std::make_shared<const cluster_config>(config);
  st.services->net.set_nodes(*st.config);
  st.membership->config_changed(st.config);
  st.replicas->config_changed(st.config);
  // For the next start; losing it costs a question to a peer.
  const auto& services = *st.services;
  auto started = services.pool.run(
    [&services, config = st.config] {
      auto bytes = encode_config_file(*config);
      (void)services.files.replace_file(services.config.directory + "/" + config_file, bytes);
    },
    [] {});
  if (!started)
    services.raise(event_severity::warn, "config_not_saved", {});
}

/// Frees runs on whichever node has the drive.
void free_runs_on(self_ptr self, const drive_uuid& drive, std::vector<run_ref> runs,
                  std::function<void(bool)> done) {
  auto& st = self->state;
  auto it = st.config->drives.find(drive);
  if (it == st.config->drives.end())
    return done(false);
  if (it->second.node == st.services->config.node)
    return st.drives->ask(drive, free_runs{std::move(runs)},
                          [done](expected<runs_freed> answer) { done(static_cast<bool>(answer)); });
  st.services->net.ask<free_runs>(
    it->second.node, {std::move(runs)}, st.services->options.frees_ms,
    [done](expected<runs_freed> answer) { done(static_cast<bool>(answer)); });
}

void make_parts(self_ptr self, const node_services& services) {
  auto& st = self->state;
  st.drives = std::make_unique<node_drives>(self, services, [self](const drive_record& drive) {
    if (self->state.membership)
      self->state.membership->drive_changed(drive);
  });
  node_replicas::wiring wires;
  wires.node_lease_until = [self] { return self->state.membership->lease_until(); };
  wires.announce = [self](const cluster_config& config) {
    self->send(self, config_learnt{std::make_shared<const cluster_config>(config)});
  };
  wires.fetch_config = [self](config_version v) { self->state.membership->want(v); };
  wires.drive_failed = [self](const drive_uuid& drive, const error& why) {
    self->state.drives->fail(drive, why);
  };
  wires.free_runs = [self](const drive_uuid& drive, std::vector<run_ref> runs,
                           std::function<void(bool)> done) {
    free_runs_on(self, drive, std::move(runs), std::move(done));
  };
  wires.config = [self] { return self->state.config; };
  st.replicas = std::make_unique<node_replicas>(self, services, std::move(wires));
  node_membership::wiring member;
  member.drives = [self] { return self->state.drives->records(); };
  member.reports = [self] { return self->state.drives->reports(); };
  member.learnt = [self](const cluster_config& config) { learn(self, config); };
  member.ask_here = [self](const cluster_request& request,
                           std::function<void(cluster_response)> done) {
    self->state.replicas->ask(request, std::move(done));
  };
  st.membership = std::make_unique<node_membership>(services, std::move(member));
  st.membership->config_changed(st.config);
}

actor_list list_matching(const node_shell& st, const std::string& glob) {
  actor_list out;
  actor_report own;
  own.path = "node/" + std::to_string(st.services->config.node.value);
  own.kind = "node";
  own.state = st.services->loop.now() < st.membership->lease_until() ? "lease valid" : "no lease";
  out.actors.push_back(std::move(own));
  for (auto part : {st.drives->actors(), st.replicas->actors(), st.services->net.actors()})
    for (auto& a : part)
      out.actors.push_back(std::move(a));
  std::erase_if(out.actors, [&](const actor_report& a) { return !matches(glob, a.path); });
  return out;
}

admin_response kill_matching(node_shell& st, const std::string& path) {
  auto found = list_matching(st, path);
  if (!st.drives->kill(path) && !st.replicas->kill(path))
    return {error{errc::not_found, path, trp::actor_not_found}};
  st.services->raise(event_severity::warn, "actor_killed", {{"actor", path}});
  return {admin_result{std::move(found)}};
}

/// Everything of the node waited for one turn of its loop: says so, or nobody would know why
/// leases ran out and leaders changed.
void report_stall(const node_services& services) {
  auto longest_ms = services.loop.take_longest_turn_ns() / 1'000'000;
  if (longest_ms >= services.options.stall_ms)
    services.raise(event_severity::warn, "node_stalled", {{"ms", std::to_string(longest_ms)}});
}

/// Looks at the node's files if it is asked to, then tells what the node works with.
admin_response certificates_of(node_shell& st, const get_certificates& x) {
  if (x.reload)
    if (auto fine = st.services->reload_certificates(); !fine)
      return {fine.error()};
  if (x.renew_links)
    st.services->net.renew_links();
  return {admin_result{st.services->net.certificates()}};
}

/// Answers an operator, now or later.
void answer(self_ptr self, const admin_request& request,
            std::function<void(expected<admin_response>)> done) {
  auto& st = self->state;
  auto say = [&](admin_result result) { done(admin_response{std::move(result)}); };
  std::visit(overload{[&](const get_node_status&) { say(describe_node(st)); },
                      [&](const list_actors& x) { say(list_matching(st, x.glob)); },
                      [&](const kill_actor& x) { done(kill_matching(st, x.path)); },
                      [&](const list_events& x) {
                        say(event_list{recent_events(x.after, x.severity_min, x.count_max)});
                      },
                      [&](const get_certificates& x) { done(certificates_of(st, x)); },
                      [&](const get_effective_config&) {
                        say(effective_config{effective(st.services->options)});
                      },
                      [&](const read_partition_rows& x) {
                        st.replicas->ask(x, [done](expected<partition_rows> rows) {
                          if (rows)
                            done(admin_response{admin_result{std::move(*rows)}});
                          else
                            done(admin_response{rows.error()});
                        });
                      }},
             request);
}

} // namespace

node_interface::behavior_type node_actor(node_self* self, const node_services* services,
                                         dispatcher* messages,
                                         std::shared_ptr<const cluster_config> first) {
  auto& st = self->state;
  self->set_path("node/" + std::to_string(services->config.node.value));
  st.services = services;
  st.config = std::move(first);
  st.started = services->loop.now();
  services->net.set_nodes(*st.config);
  make_parts(self, *services);
  st.drives->mount_all();
  st.replicas->open_all();
  add_node_handlers(self, *messages);
  self->set_down_handler([self](const caf::down_msg& down) {
    auto now = self->state.services->loop.now();
    if (!self->state.drives->ended(down.source, now))
      self->state.replicas->ended(down.source, now);
  });
  using std::chrono::milliseconds;
  auto node_every = milliseconds{services->options.node_tick_ms};
  auto replicas_every = milliseconds{services->options.replica_tick_ms};
  self->delayed_send(self, node_every, node_tick{});
  self->delayed_send(self, replicas_every, replicas_tick{});
  return {
    [self](const admin_request& x) {
      auto [promise, keep] = answer_later<admin_response>(self);
      answer(self, x, std::move(keep));
      return promise;
    },
    [self](const get_cluster_view&) {
      const auto& s = self->state;
      return view_of(*s.config, s.membership->cluster_reports(), s.replicas->leaders());
    },
    [self](const get_cluster_config&) { return *self->state.config; },
    [self](const config_learnt& x) { learn(self, *x.config); },
    [self](config_wanted x) { self->state.membership->want(x.at_least); },
    [self, node_every](node_tick) {
      self->delayed_send(self, node_every, node_tick{});
      auto now = self->state.services->loop.now();
      report_stall(*self->state.services);
      self->state.drives->tick(now);
      self->state.membership->tick();
    },
    [self, replicas_every](replicas_tick) {
      self->delayed_send(self, replicas_every, replicas_tick{});
      self->state.replicas->tick(self->state.services->loop.now());
    },
  };
}

} // namespace troupe
