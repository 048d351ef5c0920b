#include "sim/cluster/cluster_world.hpp"

#include "cluster/initial_config.hpp"
#include "storage/base/assert.hpp"
#include "storage/journal/journal.hpp"

namespace troupe {

namespace {

constexpr std::uint64_t ms = 1'000'000;

/// Names that differ between seeds and machines, and are the same in every run of a seed.
template <class Uuid>
Uuid drawn_uuid(random_source& random) {
  Uuid out;
  for (auto& byte : out.bytes)
    byte = static_cast<std::uint8_t>(random.next());
  return out;
}

} // namespace

cluster_world::cluster_world(const cluster_run& run)
  : world_(run), options_(draw_options(run, world_.random)), net_(world_), watcher_(world_),
    work_(world_, options_) {
  make_machines();
}

cluster_world::~cluster_world() {
  clients_.clear();
  nodes_.nodes.clear();
  running_.clear();
}

void cluster_world::make_machines() {
  initial_cluster wish;
  wish.cluster = drawn_uuid<cluster_uuid>(world_.random);
  wish.name = "sim";
  wish.level = options_.level;
  wish.partitions = options_.partitions;
  std::vector<std::vector<drive_uuid>> drives;
  for (std::uint32_t n = 1; n <= options_.nodes; ++n) {
    auto& node = wish.nodes.emplace_back();
    node.address = "node" + std::to_string(n);
    auto machine = std::make_unique<sim_machine>(world_.events);
    machine->id = node_id{n};
    auto rate = static_cast<std::int64_t>(world_.run.faults.clock_rate_ppm_max);
    machine->clock.start(
      world_.random.below(100'000'000'000),
      static_cast<std::int64_t>(world_.random.below(static_cast<std::uint64_t>(2 * rate + 1)))
        - rate);
    for (std::uint32_t b = 1; b <= options_.drives_per_node; ++b) {
      auto id = drawn_uuid<drive_uuid>(world_.random);
      node.drives.push_back(id);
      auto disk =
        std::make_unique<sim_disk>(world_, "disk " + std::to_string(n) + "/" + std::to_string(b));
      drive_format_request what;
      what.cluster = wish.cluster;
      what.drive = id;
      what.node = machine->id;
      what.file_bytes = options_.drive_bytes;
      what.log_bytes = options_.drive_log_bytes;
      TROUPE_ASSERT(disk->files().make_directory("drive"));
      auto formatted = format_drive(disk->files(), "drive", what);
      TROUPE_ASSERT(formatted);
      auto superblock = inspect_drive(disk->files(), "drive");
      TROUPE_ASSERT(superblock);
      node.drive_blocks = superblock->geometry.block_count;
      disk->data_begins_at(superblock->geometry.data_offset);
      machine->disks[id] = std::move(disk);
    }
    machines_[machine->id] = std::move(machine);
  }
  auto config = make_initial_config(wish);
  TROUPE_ASSERT(config);
  make_replicas(*config);
  first_config_ = std::make_shared<const cluster_config>(std::move(*config));
  for (auto& [id, machine] : machines_)
    machine->saved_config = first_config_;
  auto it = first_config_->drives.begin();
  std::advance(it, static_cast<long>(world_.random.below(first_config_->drives.size())));
  rotten_ = it->first;
}

/// As the maker of a real cluster does it: a journal on each drive that hosts replicas.
void cluster_world::make_replicas(const cluster_config& config) {
  std::map<drive_uuid, std::vector<std::pair<replica_id, const group_record*>>> by_drive;
  for (const auto& [id, group] : config.groups)
    for (const auto& replica : group.replicas)
      by_drive[replica.drive].push_back({replica.id, &group});
  for (const auto& [drive, replicas] : by_drive) {
    auto& files = machines_.at(config.drives.at(drive).node)->disks.at(drive)->files();
    TROUPE_ASSERT(files.make_directory("journal"));
    TROUPE_ASSERT(create_journal(files, "journal", drive, options_.journal));
    auto journal = open_journal(files, "journal", drive, options_.journal);
    TROUPE_ASSERT(journal);
    for (const auto& [replica, group] : replicas) {
      group_configuration voters;
      for (const auto& r : group->replicas)
        voters.members.push_back({r.id, member_role::voter});
      TROUPE_ASSERT(journal->state.create_replica(replica, group->id, bootstrap_state(voters)));
    }
    TROUPE_ASSERT(flush_journal(*journal));
  }
}

void cluster_world::start_node(node_id id) {
  if (running_.contains(id) || !fine())
    return;
  world_.note("node " + std::to_string(id.value) + " starts");
  auto node =
    std::make_unique<sim_node>(world_, net_, watcher_, nodes_, options_, *machines_.at(id));
  nodes_.nodes[id.value] = node.get();
  auto& started = *(running_[id] = std::move(node));
  started.start();
}

void cluster_world::stop_node(node_id id, bool power_cut) {
  auto it = running_.find(id);
  if (it == running_.end())
    return;
  world_.note("node " + std::to_string(id.value) + (power_cut ? " loses power" : " is killed"));
  auto& machine = *machines_.at(id);
  net_.stop(id.value);
  nodes_.nodes.erase(id.value);
  for (auto& [drive, disk] : machine.disks)
    disk->process_died();
  running_.erase(it);
  if (!power_cut) {
    ++world_.verdict.kills;
    return;
  }
  ++world_.verdict.power_cuts;
  for (auto& [drive, disk] : machine.disks)
    disk->power_cut();
  auto rate = static_cast<std::int64_t>(world_.run.faults.clock_rate_ppm_max);
  machine.clock.start(
    world_.random.below(100'000'000'000),
    static_cast<std::int64_t>(world_.random.below(static_cast<std::uint64_t>(2 * rate + 1)))
      - rate);
  if (world_.planted(planted_bug::amnesiac_drive))
    forget_drive(machine);
}

sim_client& cluster_world::add_client() {
  auto id = ++last_client_;
  // What a process learns from the first node that answers.
  cluster_view view;
  if (!running_.empty())
    view = running_.begin()->second->view();
  else
    view.nodes.push_back({node_id{1}, "node1", true});
  auto& slot = clients_[id];
  slot = std::make_unique<sim_client>(world_, net_, nodes_, options_, id, std::move(view));
  return *slot;
}

node_id cluster_world::any_node() {
  return node_id{static_cast<std::uint32_t>(1 + world_.random.below(options_.nodes))};
}

void cluster_world::run_until(std::uint64_t end) {
  while (world_.events.now() < end && fine())
    world_.events.run_until(std::min(end, world_.events.now() + 20 * ms));
}

bool cluster_world::run_while_waiting(std::uint64_t most_ms, const std::function<bool()>& holds) {
  auto end = world_.events.now() + most_ms * ms;
  while (fine() && world_.events.now() < end) {
    if (holds())
      return true;
    run_until(world_.events.now() + 20 * ms);
  }
  return fine() && holds();
}

cluster_verdict cluster_world::play() {
  for (auto& [id, machine] : machines_)
    start_node(id);
  bool ready = false;
  auto& first = add_client();
  work_.prepare(first, [&ready] { ready = true; });
  if (!run_while_waiting(world_.run.heal_ms, [&] { return ready; }))
    world_.violate("the first directories and files are not made in time");
  if (fine()) {
    work_.work(first);
    while (clients_.size() < options_.clients)
      work_.work(add_client());
    plan_faults();
    run_until(world_.events.now() + std::uint64_t{world_.run.chaos_ms} * ms);
    heal();
    verify();
  }
  if (!fine())
    note_replicas();
  world_.verdict.events = world_.events.events_done();
  world_.verdict.virtual_ms = world_.events.now() / ms;
  return world_.verdict;
}

cluster_verdict simulate_cluster(const cluster_run& run) {
  cluster_world world{run};
  return world.play();
}

} // namespace troupe
