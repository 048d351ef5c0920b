#include "sim/cluster/sim_node.hpp"

#include "cluster/config_view.hpp"
#include "messages/overload.hpp"
#include "storage/base/assert.hpp"
#include "storage/journal/journal.hpp"

namespace troupe {

namespace {

constexpr std::uint64_t ms = 1'000'000;
constexpr std::uint64_t us = 1000;
constexpr boot_time for_ever{UINT64_MAX / 2};

meta_response no_partition() {
  return {error{errc::not_leader, "no replica of the partition runs here"}, false, {}, {}, {}};
}

} // namespace

sim_node::sim_node(surroundings& world, sim_network& net, cluster_watcher& watcher,
                   node_directory& nodes, const sim_options& options, sim_machine& machine)
  : world_(world), net_(net), watcher_(watcher), nodes_(nodes), options_(options),
    machine_(machine), process_(incarnation{++machine.starts}), config_(machine.saved_config) {
  membership_.emplace(machine.id, process_, "node", options.cluster.lease);
  membership_->config_changed(config_);
}

sim_node::~sim_node() {
  *alive_ = false;
  replicas_.clear(); // before the volumes that they use
}

void sim_node::later(std::uint64_t delay, std::function<void()> what) {
  world_.events.after(delay, [this, alive = alive_, what = std::move(what)]() mutable {
    if (!*alive)
      return;
    if (world_.events.now() < held_until_)
      return later(held_until_ - world_.events.now(), std::move(what));
    what();
  });
}

void sim_node::event(event_severity severity, const std::string& name,
                     const std::map<std::string, std::string>& fields) {
  std::string line = "node " + std::to_string(machine_.id.value) + " " + name;
  for (const auto& [key, value] : fields)
    line += " " + key + "=" + value;
  (void)severity;
  world_.note(line);
  if (name == "state_install_done")
    ++world_.verdict.installs;
}

void sim_node::start() {
  net_.start(self(), [](endpoint, bool) {});
  for (auto& [id, disk] : machine_.disks) {
    auto& e = drives_[id];
    e.disk = disk.get();
    e.record = config_->drives.at(id);
    e.report.drive = id;
    e.restarts = restart_state{options_.restarts};
    mount(e);
  }
  for (auto& [id, disk] : machine_.disks)
    open_volume(id, *disk);
  later(world_.random.below(options_.node_tick_ms * ms), [this] { tick_node(); });
  later(world_.random.below(options_.replica_tick_ms * ms), [this] { tick_replicas(); });
}

// -- drives ---------------------------------------------------------------------------------------

void sim_node::mount(drive_entry& e) {
  e.wants_start = false;
  auto mounted =
    mount_drive(e.disk->files(), "drive", {config_->cluster, e.record.id}, options_.drives);
  if (!mounted && mounted.error().code == errc::busy) {
    e.wants_start = true; // I/O of the mount before this one still runs
    e.start_at = e.restarts.died(now());
    return;
  }
  if (!mounted) {
    e.record.state =
      mounted.error().code == errc::not_found ? drive_state::gone : drive_state::dead;
    event(event_severity::error, "drive_not_mounted", {{"why", describe(mounted.error())}});
    // Nothing that the simulator does to a drive makes it unreadable as a whole.
    return world_.violate("drive not mounted: " + describe(mounted.error()));
  }
  auto before = e.record.state;
  e.record.state = drive_state::healthy;
  e.report = mounted->state.report();
  e.report.state = drive_state::healthy;
  e.record.mount = e.report.mount;
  e.record.blocks_total = mounted->superblock.geometry.block_count;
  e.restarts.started(now());
  e.volume =
    std::make_unique<drive_volume>(std::move(*mounted), e.disk->make_drive_io(),
                                   [this, alive = alive_, id = e.record.id](const error& why) {
                                     if (*alive)
                                       drive_died(id, why);
                                   });
  if (before != e.record.state)
    membership_->drive_changed(e.record);
}

void sim_node::drive_died(const drive_uuid& id, const error& why) {
  auto& e = drives_.at(id);
  e.record.state = drive_state::dead;
  e.report.state = drive_state::dead;
  event(event_severity::error, "drive_failed", {{"why", why.context}});
  membership_->drive_changed(e.record);
}

void sim_node::kill_drive(std::uint64_t draw) {
  auto it = drives_.begin();
  std::advance(it, static_cast<long>(draw % drives_.size()));
  auto& e = it->second;
  if (!e.volume)
    return;
  event(event_severity::warn, "drive_killed", {});
  e.volume.reset();
  if (e.record.state == drive_state::dead)
    return;
  e.wants_start = true;
  e.start_at = e.restarts.died(now());
}

void sim_node::serve(any_drive_request x, const drive_uuid& drive,
                     std::function<void(any_drive_answer)> done) {
  if (std::holds_alternative<store_run>(x)) {
    // A node that may have been written off must not take data any more (hazards F6).
    if (now() >= lease_until())
      return done(error{errc::unavailable, "the node has no lease"});
    watcher_.acted(machine_.id, process_, "stored a run");
  }
  auto it = drives_.find(drive);
  if (it == drives_.end())
    return done(error{errc::not_found, "the drive is not here"});
  if (!it->second.volume)
    return done(error{errc::unavailable, "the drive does not run"});
  auto& volume = *it->second.volume;
  std::visit(overload{[&](const store_run& r) { volume.store(r, std::move(done)); },
                      [&](const read_run& r) { volume.read(r, std::move(done)); },
                      [&](free_runs& r) { free_here(std::move(r), drive, std::move(done)); },
                      [&](const abandon_write& r) { volume.abandon(r, std::move(done)); }},
             x);
}

void sim_node::free_here(free_runs x, const drive_uuid& drive,
                         std::function<void(any_drive_answer)> done) {
  auto& e = drives_.at(drive);
  if (!world_.planted(planted_bug::free_by_old_birth))
    return e.volume->free(x, std::move(done));
  free_whatever_lies_there(std::move(x.runs), 0, {}, e, std::move(done));
}

/// The planted bug: births are forgotten on the way, as if a run were named by its place alone.
void sim_node::free_whatever_lies_there(std::vector<run_ref> wanted, std::uint64_t from,
                                        std::vector<run_entry> found, drive_entry& e,
                                        std::function<void(any_drive_answer)> done) {
  e.volume->list(from, [this, alive = alive_, wanted = std::move(wanted), found = std::move(found),
                        &e, done = std::move(done)](any_drive_answer answer) mutable {
    auto* window = std::get_if<run_list>(&answer);
    if (!*alive || window == nullptr || !e.volume)
      return done(error{errc::unavailable, "no list"});
    found.insert(found.end(), window->runs.begin(), window->runs.end());
    if (!window->done)
      return free_whatever_lies_there(std::move(wanted), window->next_block, std::move(found), e,
                                      std::move(done));
    for (auto& run : wanted)
      for (const auto& there : found)
        if (there.run.start_block == run.start_block)
          run = there.run;
    e.volume->free({std::move(wanted)}, std::move(done));
  });
}

/// Frees runs on whichever node has the drive.
void sim_node::free_on(const drive_uuid& drive, std::vector<run_ref> runs,
                       std::function<void(bool)> done) {
  auto it = config_->drives.find(drive);
  if (it == config_->drives.end() || runs.empty())
    return later(us, [done] { done(false); });
  auto to = it->second.node.value;
  // A leader that cannot know what its predecessor sent sends it again, however late (hazards F2).
  if (world_.chaos && world_.random.chance(world_.run.faults.free_again_per_mille))
    world_.events.after(world_.random.between(1000, 8000) * ms, [&nodes = nodes_, to, drive, runs] {
      if (auto* node = nodes.find(to))
        node->serve(any_drive_request{free_runs{runs}}, drive, [](const any_drive_answer&) {});
    });
  net_.ask<any_drive_answer>(
    self(), to, sim_channel::data, options_.frees_ms,
    [&nodes = nodes_, to, drive, runs = std::move(runs)](auto answer) {
      if (auto* node = nodes.find(to))
        node->serve(any_drive_request{free_runs{runs}}, drive, std::move(answer));
    },
    [alive = alive_, done](expected<any_drive_answer> answer) {
      if (*alive)
        done(answer && std::holds_alternative<runs_freed>(*answer));
    });
}

drive_volume* sim_node::drive(const drive_uuid& id) {
  auto it = drives_.find(id);
  return it == drives_.end() ? nullptr : it->second.volume.get();
}

bool sim_node::has_dead_drive() const {
  for (const auto& [id, e] : drives_)
    if (e.record.state != drive_state::healthy)
      return true;
  for (const auto& [id, volume] : volumes_)
    if (!volume->health())
      return true;
  return false;
}

// -- replicas -------------------------------------------------------------------------------------

void sim_node::open_volume(const drive_uuid& id, sim_disk& disk) {
  if (auto there = disk.files().exists("journal"); !there || !*there)
    return; // hosts no replicas
  auto journal = open_journal(disk.files(), "journal", id, options_.journal);
  if (!journal)
    return world_.violate("journal not opened: " + describe(journal.error()));
  auto volume = metadata_volume::open(std::move(*journal), disk.tables(), id, options_.volume,
                                      disk.make_runner());
  if (!volume)
    return world_.violate("volume not opened: " + describe(volume.error()));
  auto* opened = (volumes_[id] = std::move(*volume)).get();
  for (auto& [replica, found] : opened->take_replicas()) {
    auto& e = replicas_[replica];
    e.self = {found.group, replica, id};
    e.volume = opened;
    e.restarts = restart_state{options_.restarts};
    start_replica(e, std::move(found.state));
  }
}

boot_time sim_node::lease_until() const {
  return world_.planted(planted_bug::no_node_lease) ? for_ever : membership_->lease_until();
}

node_id sim_node::node_of(group_id group, replica_id replica) const {
  auto it = config_->groups.find(group);
  if (it == config_->groups.end())
    return {};
  const auto* record = replica_of(it->second, replica);
  return record ? record->node : node_id{};
}

void sim_node::send(consensus_parcel parcel) {
  auto to = node_of(parcel.group, parcel.to);
  if (!to)
    return;
  world_.mix(parcel.from.value * 1000 + parcel.to.value);
  world_.mix(parcel.message.index());
  net_.tell(self(), to.value, [&nodes = nodes_, to, parcel = std::move(parcel)] {
    if (auto* node = nodes.find(to.value))
      node->receive(parcel);
  });
}

void sim_node::pull(const pull_state& x, std::function<void(expected<state_piece>)> done) {
  auto from = node_of(x.group, x.source);
  net_.ask<state_piece>(
    self(), from.value, sim_channel::data, options_.pull_ms,
    [&nodes = nodes_, from, x](auto answer) {
      if (auto* node = nodes.find(from.value))
        node->serve(x, std::move(answer));
    },
    [alive = alive_, done](expected<state_piece> piece) {
      if (*alive)
        done(std::move(piece));
    });
}

replica_services sim_node::services_for(const replica_entry& e) {
  replica_services out;
  out.time = &machine_.clock;
  out.volume = e.volume;
  out.send = [this](consensus_parcel parcel) { send(std::move(parcel)); };
  out.pull = [this](const pull_state& x, std::function<void(expected<state_piece>)> done) {
    pull(x, std::move(done));
  };
  out.node_lease_until = [this] { return lease_until(); };
  out.event = [this](event_severity severity, const std::string& name,
                     const std::map<std::string, std::string>& fields) {
    event(severity, name, fields);
  };
  return out;
}

void sim_node::start_replica(replica_entry& e, durable_state state) {
  e.wants_start = false;
  if (e.self.group == group_id{0}) {
    e.cluster =
      std::make_unique<cluster_replica>(e.self, services_for(e), options_.replicas, *config_,
                                        options_.cluster, [this](const cluster_config& config) {
                                          watcher_.committed(config);
                                          later(us, [this, config] { learn(config); });
                                        });
  } else {
    e.partition = std::make_unique<partition_replica>(
      e.self, services_for(e), options_.replicas,
      partition_services{
        [this](const drive_uuid& drive, std::vector<run_ref> runs, std::function<void(bool)> done) {
          free_on(drive, std::move(runs), std::move(done));
        },
        [this](config_version v) { membership_->want(v); }},
      options_.partitions_options, *config_);
  }
  e.restarts.started(now());
  e.base()->open(std::move(state));
}

void sim_node::end_replica(replica_entry& e) {
  e.cluster.reset();
  e.partition.reset();
  e.wants_start = true;
  e.start_at = e.restarts.died(now());
}

void sim_node::start_again(replica_entry& e) {
  e.wants_start = false;
  e.recovering = true;
  e.volume->recover(
    e.self.replica, [this, alive = alive_, id = e.self.replica](expected<recovered_replica> found) {
      if (!*alive)
        return;
      auto& mine = replicas_.at(id);
      mine.recovering = false;
      if (found)
        return start_replica(mine, std::move(found->state));
      event(event_severity::error, "replica_not_opened", {{"why", found.error().context}});
      mine.wants_start = true;
      mine.start_at = mine.restarts.died(now());
    });
}

void sim_node::kill_replica(std::uint64_t draw) {
  if (replicas_.empty())
    return;
  auto it = replicas_.begin();
  std::advance(it, static_cast<long>(draw % replicas_.size()));
  if (it->second.base() == nullptr)
    return;
  event(event_severity::warn, "replica_killed", {{"replica", std::to_string(it->first.value)}});
  end_replica(it->second);
}

void sim_node::hand_over(std::uint64_t draw) {
  if (replicas_.empty() || world_.events.now() < held_until_)
    return;
  auto it = replicas_.begin();
  std::advance(it, static_cast<long>(draw % replicas_.size()));
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    if (it->second.base() != nullptr && it->second.base()->hand_over({})) {
      ++world_.verdict.hand_overs;
      return world_.note("replica " + std::to_string(it->first.value) + " hands over");
    }
    if (++it == replicas_.end())
      it = replicas_.begin();
  }
}

void sim_node::tick_replicas() {
  later(options_.replica_tick_ms * ms, [this] { tick_replicas(); });
  for (auto& [id, volume] : volumes_) {
    volume->tick();
    if (auto& drive = drives_.at(id); !volume->health() && drive.record.state != drive_state::dead)
      drive_died(id, volume->health().error());
  }
  for (auto& [id, e] : replicas_) {
    if (e.wants_start && now() >= e.start_at && e.volume->health())
      start_again(e);
    if (auto* replica = e.base()) {
      replica->tick();
      watcher_.saw(replica->report());
      if (replica->finished())
        end_replica(e);
    }
  }
}

void sim_node::receive(consensus_parcel parcel) {
  auto it = replicas_.find(parcel.to);
  if (it == replicas_.end() || it->second.self.group != parcel.group)
    return;
  if (auto* replica = it->second.base())
    replica->receive(parcel.from, std::move(parcel.message));
}

void sim_node::serve(meta_request x, std::function<void(expected<meta_response>)> done) {
  const auto* group = group_of(*config_, slot_of(x.operation));
  auto* replica = group ? partition(group->id) : nullptr;
  if (replica == nullptr)
    return done(no_partition());
  replica->request(std::move(x), [this, done = std::move(done)](meta_response response) {
    if (std::holds_alternative<meta_result>(response.outcome) || response.definite)
      watcher_.acted(machine_.id, process_, "answered for a partition");
    done(std::move(response));
  });
}

void sim_node::serve(const cluster_request& x,
                     std::function<void(expected<cluster_response>)> done) {
  if (auto* e = leading(group_id{0}))
    return e->cluster->request(x, [done](cluster_response response) { done(std::move(response)); });
  done(cluster_response{error{errc::not_leader, "no replica of the cluster group runs here"}, {}});
}

void sim_node::serve(const pull_state& x, std::function<void(expected<state_piece>)> done) {
  auto it = replicas_.find(x.source);
  if (it == replicas_.end() || it->second.base() == nullptr)
    return done(error{errc::unavailable, "the replica does not run here"});
  if (world_.planted(planted_bug::no_overlay) && x.piece > 1)
    return done(state_piece{x.pull, 0, {}}); // as if the rest were not there
  it->second.base()->serve_pull(x, std::move(done));
}

/// Two replicas of a group may live here: the one that leads, if one does.
sim_node::replica_entry* sim_node::leading(group_id group) {
  replica_entry* best = nullptr;
  std::uint64_t best_term = 0;
  for (auto& [id, e] : replicas_) {
    if (e.self.group != group || e.base() == nullptr)
      continue;
    auto report = e.base()->report();
    auto term = report.role == replica_role::leader ? report.term : 0;
    if (best != nullptr && term <= best_term)
      continue;
    best = &e;
    best_term = term;
  }
  return best;
}

partition_replica* sim_node::partition(group_id group) {
  auto* e = leading(group);
  return e == nullptr ? nullptr : e->partition.get();
}

table_store* sim_node::tables_of(const drive_uuid& id) {
  auto it = volumes_.find(id);
  return it == volumes_.end() ? nullptr : &it->second->tables();
}

// -- membership -----------------------------------------------------------------------------------

membership_now sim_node::present() const {
  membership_now out;
  out.boot = now();
  for (const auto& [id, e] : drives_) {
    out.drives.push_back(e.record);
    out.reports.push_back(e.report);
  }
  return out;
}

void sim_node::tick_node() {
  later(options_.node_tick_ms * ms, [this] { tick_node(); });
  for (auto& [id, e] : drives_) {
    if (e.wants_start && now() >= e.start_at)
      mount(e);
    if (e.volume) {
      auto state = e.record.state;
      e.report = e.volume->report();
      e.report.state = state;
    }
  }
  membership_effects out;
  membership_->tick(present(), out);
  run(out);
}

void sim_node::run(membership_effects& effects) {
  for (auto& effect : effects)
    std::visit(
      overload{[&](ask_cluster& x) {
                 net_.ask<cluster_response>(
                   self(), x.to.value, sim_channel::control, options_.ask_cluster_ms,
                   [&nodes = nodes_, to = x.to, request = x.request](auto answer) {
                     if (auto* node = nodes.find(to.value))
                       node->serve(request, std::move(answer));
                   },
                   [this, alive = alive_, token = x.token](expected<cluster_response> response) {
                     if (!*alive)
                       return;
                     membership_effects out;
                     membership_->answered(token,
                                           response ? std::move(*response)
                                                    : cluster_response{response.error(), {}},
                                           present(), out);
                     run(out);
                   });
               },
               [&](ask_config& x) {
                 net_.ask<cluster_config>(
                   self(), x.to.value, sim_channel::control, options_.ask_cluster_ms,
                   [&nodes = nodes_, to = x.to](auto answer) {
                     if (auto* node = nodes.find(to.value))
                       answer(node->config());
                   },
                   [this, alive = alive_, token = x.token](expected<cluster_config> config) {
                     if (!*alive)
                       return;
                     membership_effects out;
                     membership_->fetched(token, std::move(config), out);
                     run(out);
                   });
               },
               [&](adopt_config& x) { learn(x.config); },
               [&](membership_event& x) { event(x.severity, x.name, x.fields); }},
      effect);
}

void sim_node::learn(const cluster_config& config) {
  if (config.version < config_->version)
    return;
  config_ = std::make_shared<const cluster_config>(config);
  membership_->config_changed(config_);
  for (auto& [id, e] : replicas_)
    if (e.partition)
      e.partition->adopt(config);
  later(world_.random.below(20 * ms), [this, saved = config_] { machine_.saved_config = saved; });
}

cluster_view sim_node::view() const {
  std::map<group_id, replica_id> leaders;
  for (const auto& [id, e] : replicas_)
    if (auto* replica = e.base())
      if (auto report = replica->report(); report.leader)
        leaders[e.self.group] = report.leader;
  return view_of(*config_, membership_->cluster_reports(), leaders);
}

std::vector<replica_report> sim_node::replica_reports() const {
  std::vector<replica_report> out;
  for (const auto& [id, e] : replicas_)
    if (auto* replica = e.base())
      out.push_back(replica->report());
  return out;
}

bool sim_node::settled() const {
  if (!membership_->registered() || now() >= membership_->lease_until())
    return false;
  for (const auto& [id, e] : drives_)
    if (!e.volume)
      return false;
  for (const auto& [id, e] : replicas_)
    if (e.base() == nullptr)
      return false;
  return true;
}

} // namespace troupe
