#include "actors/node/node_replicas.hpp"

#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

namespace troupe {

namespace {

constexpr std::uint32_t pull_timeout_ms = 10'000;
/// What replicas tell for `status` and clients' views may be so old.
constexpr std::uint64_t ticks_per_report = 3;

constexpr const char* not_here = "no such replica runs here";

} // namespace

node_replicas::node_replicas(node_base* owner, const node_services& services, wiring wires)
  : owner_(owner), services_(services), wiring_(std::move(wires)) {}

std::string node_replicas::path_of(const entry& e) {
  if (e.self.group == group_id{0})
    return "cluster/" + std::to_string(e.self.replica.value);
  return "part/" + std::to_string(e.self.group.value) + "/" + std::to_string(e.self.replica.value);
}

void node_replicas::open_all() {
  auto options = services_.options.metadata;
  for (const auto& drive : services_.config.drives) {
    auto journal = drive.directory + "/" + metadata_paths::journal;
    if (auto there = services_.files.exists(journal); !there || !*there)
      continue; // hosts no replicas
    auto volume = open_metadata_volume(services_.files, drive.directory, drive.id, options,
                                       services_.io, services_.pool);
    if (!volume) {
      services_.raise(event_severity::error, "metadata_not_opened",
                      {{"drive", drive.directory}, {"why", describe(volume.error())}});
      continue;
    }
    auto* opened = (volumes_[drive.id] = std::move(*volume)).get();
    if (opened->journal_tail_was_cut())
      services_.raise(event_severity::info, "journal_tail_cut", {{"drive", drive.directory}});
    for (auto& [id, found] : opened->take_replicas()) {
      auto& e = replicas_[id];
      e.self = {found.group, id, drive.id};
      e.volume = opened;
      e.restarts = restart_state{services_.options.restarts};
      start(e, std::move(found.state));
    }
  }
}

node_id node_replicas::node_of(group_id group, replica_id replica) const {
  auto config = wiring_.config();
  auto it = config->groups.find(group);
  if (it == config->groups.end())
    return {};
  const auto* record = replica_of(it->second, replica);
  return record ? record->node : node_id{};
}

void node_replicas::send(consensus_parcel parcel) {
  auto to = node_of(parcel.group, parcel.to);
  if (to == services_.config.node)
    return receive(std::move(parcel));
  if (to)
    services_.net.tell(to, std::move(parcel));
}

void node_replicas::pull(pull_state request, std::function<void(expected<state_piece>)> done) {
  auto from = node_of(request.group, request.source);
  if (!from)
    return done(error{errc::not_found, "replica " + std::to_string(request.source.value)});
  services_.net.ask<pull_state>(from, request, pull_timeout_ms, std::move(done));
}

replica_services node_replicas::services_for(const entry& e) {
  replica_services out;
  out.time = &services_.loop.time();
  out.volume = e.volume;
  out.send = [this](consensus_parcel parcel) { send(std::move(parcel)); };
  out.pull = [this](pull_state request, std::function<void(expected<state_piece>)> done) {
    pull(request, std::move(done));
  };
  out.node_lease_until = wiring_.node_lease_until;
  out.event = [this](event_severity severity, const std::string& name,
                     std::map<std::string, std::string> fields) {
    services_.raise(severity, name, std::move(fields));
  };
  return out;
}

void node_replicas::start(entry& e, durable_state state) {
  e.wants_start = false;
  auto config = wiring_.config();
  auto from = std::make_shared<durable_state>(std::move(state));
  e.restarts.started(services_.loop.now());
  if (e.self.group == group_id{0}) {
    auto shell = std::make_shared<cluster_group_shell>();
    shell->replica =
      std::make_unique<cluster_replica>(e.self, services_for(e), services_.options.replicas,
                                        *config, services_.options.cluster, wiring_.announce);
    e.cluster = owner_->spawn<caf::monitored>(cluster_group_actor, path_of(e), shell, from);
    e.actor = e.cluster;
  } else {
    auto shell = std::make_shared<partition_shell>();
    shell->replica = std::make_unique<partition_replica>(
      e.self, services_for(e), services_.options.replicas,
      partition_services{wiring_.free_runs, wiring_.fetch_config}, services_.options.partitions,
      *config);
    e.partition = owner_->spawn<caf::monitored>(partition_actor, path_of(e), shell, from);
    e.actor = e.partition;
  }
  caf::anon_send(e.actor, config_arrived{config});
}

void node_replicas::start_again(entry& e) {
  e.wants_start = false;
  e.volume->recover(e.self.replica, [this, id = e.self.replica](expected<recovered_replica> found) {
    auto& mine = replicas_.at(id);
    if (found)
      return start(mine, std::move(found->state));
    services_.raise(event_severity::error, "replica_not_opened",
                    {{"actor", path_of(mine)}, {"why", found.error().context}});
    mine.wants_start = !failed_.contains(mine.self.drive);
    mine.start_at = mine.restarts.died(services_.loop.now());
  });
}

/// After the first error nothing of a drive can be believed (hazards F23a): a leader whose tables
/// or journal are gone must not keep its group waiting.
void node_replicas::look_at(const drive_uuid& drive, const metadata_volume& volume) {
  if (volume.metadata_full() != full_.contains(drive)) {
    if (volume.metadata_full())
      full_.insert(drive);
    else
      full_.erase(drive);
    services_.raise(
      event_severity::warn, volume.metadata_full() ? "metadata_full" : "metadata_has_room",
      {{"drive", to_string(drive)}, {"bytes", std::to_string(volume.tables_bytes())}});
  }
  const auto& health = volume.health();
  if (health || !failed_.insert(drive).second)
    return;
  services_.raise(event_severity::error, "metadata_failed",
                  {{"drive", to_string(drive)}, {"why", describe(health.error())}});
  for (auto& [id, e] : replicas_) {
    if (e.self.drive != drive)
      continue;
    e.wants_start = false;
    if (e.actor)
      caf::anon_send_exit(e.actor, caf::exit_reason::kill);
  }
  wiring_.drive_failed(drive, health.error());
}

bool node_replicas::ended(const caf::actor_addr& who, boot_time now) {
  for (auto& [id, e] : replicas_) {
    if (e.actor.address() != who)
      continue;
    e.actor = replica_interface{};
    e.cluster = cluster_group_interface{};
    e.partition = partition_interface{};
    e.report = {};
    e.wants_start = !failed_.contains(e.self.drive);
    e.start_at = e.restarts.died(now);
    services_.raise(event_severity::warn, "actor_down", {{"actor", path_of(e)}});
    return true;
  }
  return false;
}

void node_replicas::tick(boot_time now) {
  bool reports = ticks_++ % ticks_per_report == 0;
  for (auto& [drive, volume] : volumes_) {
    volume->tick(now);
    look_at(drive, *volume);
  }
  for (auto& [id, e] : replicas_) {
    if (e.wants_start && now >= e.start_at)
      start_again(e);
    if (!e.actor)
      continue;
    caf::anon_send(e.actor, replica_tick{});
    if (!reports)
      continue;
    ask_actor<replica_report>(owner_, e.actor, get_replica_report{},
                              [this, key = id](expected<replica_report> report) {
                                if (report)
                                  replicas_.at(key).report = std::move(*report);
                              });
  }
}

void node_replicas::config_changed(std::shared_ptr<const cluster_config> config) {
  for (auto& [id, e] : replicas_)
    if (e.actor)
      caf::anon_send(e.actor, config_arrived{config});
}

/// Two replicas of a group may live on one node (fewer nodes than replicas): the one that leads, as
/// far as the last reports know; else any, which knows whom to ask.
node_replicas::entry* node_replicas::find(group_id group) {
  entry* best = nullptr;
  std::uint64_t best_term = 0;
  for (auto& [id, e] : replicas_) {
    if (e.self.group != group || !e.actor)
      continue;
    auto term = e.report.role == replica_role::leader ? e.report.term : 0;
    if (best && term <= best_term)
      continue;
    best = &e;
    best_term = term;
  }
  return best;
}

void node_replicas::receive(consensus_parcel parcel) {
  auto it = replicas_.find(parcel.to);
  if (it != replicas_.end() && it->second.actor && it->second.self.group == parcel.group)
    caf::anon_send(it->second.actor, std::move(parcel));
}

void node_replicas::ask(group_id group, meta_request request,
                        std::function<void(meta_response)> done) {
  auto* e = find(group);
  if (!e || !e->partition)
    return done({error{errc::not_leader, not_here}, false, {}, {}, {}});
  ask_actor<meta_response>(owner_, e->partition, std::move(request),
                           [done](expected<meta_response> x) {
                             done(x ? std::move(*x) : meta_response{x.error(), false, {}, {}, {}});
                           });
}

void node_replicas::ask(cluster_request request, std::function<void(cluster_response)> done) {
  auto* e = find(group_id{0});
  if (!e || !e->cluster)
    return done({error{errc::not_leader, not_here}, {}});
  ask_actor<cluster_response>(owner_, e->cluster, std::move(request),
                              [done](expected<cluster_response> x) {
                                done(x ? std::move(*x) : cluster_response{x.error(), {}});
                              });
}

void node_replicas::ask(const pull_state& request,
                        std::function<void(expected<state_piece>)> done) {
  auto it = replicas_.find(request.source);
  if (it == replicas_.end() || !it->second.actor)
    return done(error{errc::unavailable, not_here});
  ask_actor<state_piece>(owner_, it->second.actor, request, std::move(done));
}

void node_replicas::ask(const read_partition_rows& request,
                        std::function<void(expected<partition_rows>)> done) {
  auto* e = find(request.group);
  if (!e || !e->partition)
    return done(error{errc::not_leader, not_here});
  ask_actor<partition_rows>(owner_, e->partition, request, std::move(done));
}

std::vector<replica_report> node_replicas::reports() const {
  std::vector<replica_report> out;
  for (const auto& [id, e] : replicas_)
    if (e.report.replica)
      out.push_back(e.report);
  return out;
}

std::uint64_t node_replicas::journal_syncs(const drive_uuid& drive) const {
  auto it = volumes_.find(drive);
  return it == volumes_.end() ? 0 : it->second->journal_counts().syncs;
}

std::map<group_id, replica_id> node_replicas::leaders() const {
  std::map<group_id, replica_id> out;
  for (const auto& [id, e] : replicas_)
    if (e.report.leader)
      out[e.self.group] = e.report.leader;
  return out;
}

std::vector<actor_report> node_replicas::actors() const {
  std::vector<actor_report> out;
  for (const auto& [id, e] : replicas_) {
    actor_report a;
    a.path = path_of(e);
    a.kind = "replica";
    a.state = !e.actor
                ? "not running"
                : std::string{to_string(e.report.role)} + ", term " + std::to_string(e.report.term)
                    + ", index " + std::to_string(e.report.applied_index);
    a.messages = e.report.requests;
    a.restarts = e.restarts.restarts();
    out.push_back(std::move(a));
  }
  return out;
}

bool node_replicas::kill(const std::string& path) {
  for (auto& [id, e] : replicas_)
    if (e.actor && path_of(e) == path) {
      caf::anon_send_exit(e.actor, caf::exit_reason::kill);
      return true;
    }
  return false;
}

} // namespace troupe
