#include "sim/cluster/cluster_world.hpp"
#include "storage/base/assert.hpp"
#include "storage/journal/journal.hpp"

namespace troupe {

namespace {

constexpr std::uint64_t ms = 1'000'000;

} // namespace

/// At random distances with this mean, until the chaos is over.
void cluster_world::repeat(std::uint32_t mean_ms, std::function<void()> what) {
  if (mean_ms == 0)
    return;
  auto wait = world_.random.between(1, 2 * std::uint64_t{mean_ms}) * ms;
  world_.events.after(wait, [this, mean_ms, what = std::move(what)] {
    if (!world_.chaos || !fine())
      return;
    what();
    repeat(mean_ms, what);
  });
}

void cluster_world::plan_faults() {
  const auto& f = world_.run.faults;
  auto& random = world_.random;
  // Some runs are quiet in some respect: what is rare needs time without the rest.
  auto drawn = [&](std::uint32_t mean_ms) -> std::uint32_t {
    return random.chance(300) ? 0
                              : static_cast<std::uint32_t>(mean_ms * random.between(5, 30) / 10);
  };
  net_.set_rates(static_cast<std::uint32_t>(random.below(f.loss_per_mille_max + 1)),
                 static_cast<std::uint32_t>(random.below(f.duplicate_per_mille_max + 1)),
                 static_cast<std::uint32_t>(random.below(f.late_per_mille_max + 1)));
  repeat(drawn(f.break_every_ms), [this] { break_one(); });
  repeat(drawn(f.split_every_ms), [this] { split(); });
  repeat(drawn(f.power_cut_every_ms), [this] { take_down(true); });
  repeat(drawn(f.kill_every_ms), [this] { take_down(false); });
  repeat(drawn(f.blackout_every_ms), [this] { blackout(); });
  repeat(drawn(f.pause_every_ms), [this] { pause_one(); });
  repeat(drawn(f.slow_disk_every_ms), [this] { slow_one(); });
  repeat(drawn(f.io_error_every_ms), [this] { io_error(); });
  repeat(drawn(f.bit_flip_every_ms), [this] { flip_bits(); });
  repeat(drawn(f.client_crash_every_ms), [this] { crash_client(); });
  repeat(drawn(f.replica_kill_every_ms), [this] {
    if (auto it = running_.find(any_node()); it != running_.end())
      it->second->kill_replica(world_.random.next());
  });
  repeat(drawn(f.drive_kill_every_ms), [this] {
    if (auto it = running_.find(any_node()); it != running_.end())
      it->second->kill_drive(world_.random.next());
  });
  repeat(drawn(f.hand_over_every_ms), [this] {
    if (auto it = running_.find(any_node()); it != running_.end())
      it->second->hand_over(world_.random.next());
  });
}

void cluster_world::break_one() {
  auto a = any_node().value;
  auto b = any_node().value;
  if (world_.random.chance(500) && !clients_.empty()) {
    auto it = clients_.begin();
    std::advance(it, static_cast<long>(world_.random.below(clients_.size())));
    b = it->first;
  }
  if (a != b)
    net_.break_connection(a, b);
}

/// Some nodes and clients on one side, the others on the other; clients may stand anywhere.
void cluster_world::split() {
  if (net_.is_split())
    return;
  std::set<endpoint> side;
  if (world_.random.chance(400)) { // one node alone
    side.insert(any_node().value);
  } else if (world_.random.chance(300)) { // one client alone
    auto it = clients_.begin();
    std::advance(it, static_cast<long>(world_.random.below(clients_.size())));
    side.insert(it->first);
  } else {
    for (const auto& [id, machine] : machines_)
      if (world_.random.chance(500))
        side.insert(id.value);
  }
  for (const auto& [id, client] : clients_)
    if (world_.random.chance(300))
      side.insert(id);
  std::string who;
  for (auto id : side)
    who += " " + std::to_string(id);
  world_.note("split:" + who);
  net_.split(side);
  world_.events.after(world_.random.between(100, world_.run.faults.split_ms_max) * ms, [this] {
    world_.note("split ends");
    net_.heal_split();
  });
}

void cluster_world::take_down(bool power_cut) {
  auto id = any_node();
  if (!running_.contains(id))
    return;
  stop_node(id, power_cut);
  world_.events.after(world_.random.between(50, world_.run.faults.down_ms_max) * ms,
                      [this, id] { start_node(id); });
}

void cluster_world::blackout() {
  world_.note("blackout");
  for (auto& [id, machine] : machines_) {
    stop_node(id, true);
    world_.events.after(world_.random.between(50, 1000) * ms, [this, id = id] { start_node(id); });
  }
}

void cluster_world::pause_one() {
  auto id = any_node();
  auto until = world_.events.now() + world_.random.between(50, world_.run.faults.pause_ms_max) * ms;
  world_.note("node " + std::to_string(id.value) + " stands still until "
              + std::to_string(until / ms));
  net_.hold_until(id.value, until);
  for (auto& [drive, disk] : machines_.at(id)->disks)
    disk->hold_until(until);
  if (auto it = running_.find(id); it != running_.end())
    it->second->hold_until(until);
}

void cluster_world::slow_one() {
  auto& disks = machines_.at(any_node())->disks;
  auto it = disks.begin();
  std::advance(it, static_cast<long>(world_.random.below(disks.size())));
  auto latency = world_.random.between(10, world_.run.faults.slow_disk_ms_max) * ms;
  it->second->slow_down(latency, world_.events.now() + world_.random.between(200, 3000) * ms);
}

void cluster_world::io_error() {
  auto& disks = machines_.at(any_node())->disks;
  auto it = disks.begin();
  std::advance(it, static_cast<long>(world_.random.below(disks.size())));
  it->second->fail_next_sync();
}

/// In the data blocks of one drive: every stripe keeps enough other units.
void cluster_world::flip_bits() {
  auto& machine = *machines_.at(first_config_->drives.at(rotten_).node);
  auto& medium = machine.disks.at(rotten_)->medium();
  auto superblock = inspect_drive(medium, "drive");
  if (!superblock)
    return;
  const auto& g = superblock->geometry;
  // Where data are: the first blocks are used first.
  for (int i = 0; i < 8; ++i) {
    auto block = world_.random.below(std::min<std::uint64_t>(g.block_count, 96));
    auto at = g.data_offset + block * block_bytes + world_.random.below(block_bytes);
    auto mask = static_cast<std::uint8_t>(1u << world_.random.below(8));
    if (medium.flip_bits("drive/blocks", at, mask))
      ++world_.verdict.bits_flipped;
  }
  world_.note("bits flipped");
}

void cluster_world::crash_client() {
  if (clients_.empty())
    return;
  auto it = clients_.begin();
  std::advance(it, static_cast<long>(world_.random.below(clients_.size())));
  world_.note("client " + std::to_string(it->first) + " is killed");
  net_.stop(it->first);
  work_.client_died(it->first);
  clients_.erase(it);
  if (running_.empty())
    return;
  work_.work(add_client());
}

/// The planted bug: somebody made the drive anew in its place, replicas and all.
void cluster_world::forget_drive(sim_machine& machine) {
  for (auto& [id, disk] : machine.disks) {
    auto names = disk->files().list("journal");
    if (!names || names->empty() || !world_.random.chance(400))
      continue;
    world_.note("a drive forgets its replicas");
    for (const auto& name : *names)
      TROUPE_ASSERT(disk->files().remove_file("journal/" + name));
    TROUPE_ASSERT(create_journal(disk->files(), "journal", id, options_.journal));
    auto journal = open_journal(disk->files(), "journal", id, options_.journal);
    TROUPE_ASSERT(journal);
    for (const auto& [number, group] : first_config_->groups)
      for (const auto& replica : group.replicas) {
        if (replica.drive != id)
          continue;
        group_configuration voters;
        for (const auto& r : group.replicas)
          voters.members.push_back({r.id, member_role::voter});
        TROUPE_ASSERT(journal->state.create_replica(replica.id, number, bootstrap_state(voters)));
      }
    TROUPE_ASSERT(flush_journal(*journal));
  }
}

} // namespace troupe
