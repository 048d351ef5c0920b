#include "sim/consensus_world.hpp"

#include "storage/base/assert.hpp"
#include "storage/base/wire.hpp"

#include <algorithm>
#include <ostream>

namespace troupe {

namespace {

constexpr std::uint64_t ms = 1'000'000;
constexpr std::uint64_t tick_ms = 10;

} // namespace

consensus_world::consensus_world(const consensus_run& run)
  : run_(run), random_(run.seed * 0x2545f4914f6cdd1dULL + run.seed),
    surroundings_{events_,
                  random_,
                  checker_,
                  verdict_,
                  run_,
                  [this](replica_id from, send_message x) { send(from, std::move(x)); },
                  [this](replica_id id, std::uint64_t term) -> const durable_state* {
                    auto at = replicas_.find(id);
                    if (at == replicas_.end() || !at->second->up()
                        || at->second->machine().role() != consensus_role::leader
                        || at->second->machine().term() != term)
                      return nullptr;
                    return &at->second->disk().written();
                  },
                  [this](replica_id leader, replica_id member) {
                    const auto& members = replicas_.at(leader)->machine().members().members;
                    for (const auto& x : members)
                      if (x.replica == member && x.role == member_role::voter
                          && random_.chance(run_.faults.strike_per_mille))
                        events_.after(0, [this] { calm(); });
                  },
                  [this](replica_id to, replica_id source, std::uint64_t index) {
                    return pull(to, source, index);
                  }} {
  voters_wanted_ = run_.voters != 0 ? run_.voters : (random_.chance(500) ? 3 : 5);
  if (run_.churn && run_.voters == 0)
    voters_wanted_ = 5;
  for (std::size_t i = 1; i <= voters_wanted_; ++i)
    founders_.members.push_back({replica_id{i}, member_role::voter});
  for (std::size_t i = 1; i <= voters_wanted_; ++i)
    add_replica(bootstrap_state(founders_));
}

consensus_replica& consensus_world::add_replica(durable_state state) {
  replica_id id{++last_replica_};
  auto& slot = replicas_[id];
  slot = std::make_unique<consensus_replica>(surroundings_, id, std::move(state), random_.next());
  slot->start();
  start_ticking(id);
  return *slot;
}

void consensus_world::start_ticking(replica_id id) {
  events_.after(random_.between(1, tick_ms * ms), [this, id] {
    auto& replica = *replicas_.at(id);
    if (replica.dead())
      return;
    replica.tick();
    start_ticking(id);
  });
}

std::vector<replica_id> consensus_world::live() const {
  std::vector<replica_id> out;
  for (const auto& [id, replica] : replicas_)
    if (!replica->dead())
      out.push_back(id);
  return out;
}

consensus_replica* consensus_world::leader() {
  consensus_replica* best = nullptr;
  for (auto& [id, replica] : replicas_)
    if (replica->up() && replica->machine().leader_ready()
        && (best == nullptr || replica->machine().term() > best->machine().term()))
      best = replica.get();
  return best;
}

bool consensus_world::connected(replica_id from, replica_id to) const {
  return cut_.count({from, to}) == 0;
}

void consensus_world::send(replica_id from, send_message x) {
  if (run_.trace != nullptr)
    *run_.trace << events_.now() / ms << " ms " << from.value << " -> " << x.to.value << " message "
                << x.body.index() << "\n";
  if (!connected(from, x.to) || random_.chance(loss_))
    return;
  // Some messages take the way over the wire format.
  if (random_.chance(20)) {
    auto coded = wire_encode(x.body);
    byte_vector bulk;
    for (const auto& part : coded.bulk)
      bulk.insert(bulk.end(), part.view().begin(), part.view().end());
    auto decoded = wire_decode<consensus_message>(coded.body, shared_bytes{std::move(bulk)});
    TROUPE_ASSERT(decoded);
    x.body = std::move(*decoded);
  }
  if (random_.chance(duplicate_))
    deliver(from, x.to, x.body);
  deliver(from, x.to, std::move(x.body));
}

void consensus_world::deliver(replica_id from, replica_id to, consensus_message message) {
  auto delay = random_.between(ms / 5, run_.faults.delay_ms_max * ms);
  if (random_.chance(late_))
    delay += random_.below(std::uint64_t{run_.faults.late_ms_max} * ms);
  events_.after(delay, [this, from, to, message = std::move(message)]() mutable {
    auto at = replicas_.find(to);
    if (at != replicas_.end())
      at->second->receive(from, std::move(message));
  });
}

std::optional<sim_tables> consensus_world::pull(replica_id to, replica_id source,
                                                std::uint64_t index) {
  auto at = replicas_.find(source);
  if (at == replicas_.end() || !at->second->up() || !connected(source, to))
    return std::nullopt;
  if (at->second->machine().last_applied() < index)
    return std::nullopt;
  return at->second->tables();
}

void consensus_world::propose() {
  auto ids = live();
  if (ids.empty())
    return;
  // Clients ask anybody who thinks that he leads, also one whom nobody follows any more.
  std::vector<replica_id> leaders;
  for (auto id : ids)
    if (replicas_.at(id)->up() && replicas_.at(id)->machine().role() == consensus_role::leader)
      leaders.push_back(id);
  if (leaders.empty())
    return;
  auto& target = *replicas_.at(leaders[random_.below(leaders.size())]);
  std::vector<sim_command> batch(random_.between(1, 6));
  for (auto& command : batch)
    command = {++last_command_, static_cast<std::uint32_t>(random_.below(sim_tables::row_count)),
               random_.chance(250)};
  target.propose(batch);
}

void consensus_world::read() {
  for (auto& [id, replica] : replicas_) {
    if (!replica->up() || replica->machine().role() != consensus_role::leader)
      continue;
    ++verdict_.leader_samples;
    bool lease = replica->machine().read_lease_valid(replica->now());
    if (!lease && !(run_.planted.read_without_lease && replica->machine().leader_ready()))
      continue;
    ++verdict_.lease_reads;
    checker_.read(id, replica->machine().last_applied());
  }
}

consensus_verdict consensus_world::play() {
  plan_faults();
  auto end = std::uint64_t{run_.chaos_ms} * ms;
  while (events_.now() < end && checker_.violation().empty())
    events_.run_until(std::min(end, events_.now() + 50 * ms));
  heal();
  end += std::uint64_t{run_.heal_ms} * ms;
  std::string why = "no time to converge";
  bool whole = false;
  while (events_.now() < end && checker_.violation().empty() && !whole) {
    events_.run_until(events_.now() + 200 * ms);
    whole = converged(why);
  }
  if (!whole)
    checker_.fail_liveness("not converged after healing: " + why);

  verdict_.violation = checker_.violation();
  verdict_.stuck = checker_.stuck();
  verdict_.digest = checker_.digest();
  verdict_.events = events_.events_done();
  verdict_.acknowledged = checker_.acknowledged_count();
  verdict_.elections = checker_.elections();
  return verdict_;
}

/// All faults end. Who is not dead for ever comes back; clients and manager go on.
void consensus_world::heal() {
  chaos_ = false;
  healing_ = true;
  held_down_.clear();
  set_rates(false);
  cut_.clear();
  for (auto& [id, replica] : replicas_) {
    replica->slow_disk(0, 0);
    replica->start();
  }
}

/// One leader, every member in its configuration, everybody with the same log and the tables that
/// the log gives, and everything acknowledged in it.
bool consensus_world::converged(std::string& why) {
  auto* chief = leader();
  if (chief == nullptr) {
    why = "no ready leader";
    return false;
  }
  const auto& members = chief->machine().members();
  std::size_t voters = 0;
  for (const auto& member : members.members) {
    auto& replica = *replicas_.at(member.replica);
    auto name = "replica " + std::to_string(member.replica.value);
    voters += member.role == member_role::voter ? 1 : 0;
    if (replica.dead() || !replica.up()) {
      why = name + " is a member and down";
      return false;
    }
    auto& machine = replica.machine();
    if (machine.term() != chief->machine().term() || machine.leader() != chief->id()
        || machine.last_index() < checker_.last_command()
        || machine.last_applied() != chief->machine().last_applied()) {
      why = name + " in term " + std::to_string(machine.term()) + " applied "
            + std::to_string(machine.last_applied()) + " of "
            + std::to_string(chief->machine().last_applied());
      return false;
    }
    if (!(replica.tables() == checker_.tables_at(machine.last_applied()))) {
      why = name + " has other tables than the log gives";
      checker_.fail(why);
      return false;
    }
  }
  if (voters != voters_wanted_ || members.members.size() != voters) {
    why =
      std::to_string(voters) + " voters of " + std::to_string(members.members.size()) + " members";
    return false;
  }
  if (chief->machine().last_applied() < checker_.last_acknowledged()) {
    why = "an acknowledged command is missing";
    return false;
  }
  return true;
}

consensus_verdict simulate_consensus(const consensus_run& run) {
  return consensus_world{run}.play();
}

} // namespace troupe
