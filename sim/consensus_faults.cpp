// What the world does to a group: clients, net splits, crashes, slow disks, transfers.

#include "sim/consensus_world.hpp"

#include <algorithm>
#include <utility>

namespace troupe {

namespace {

constexpr std::uint64_t ms = 1'000'000;

} // namespace

/// Runs `what` again and again, `mean_ms` apart on average; 0: never.
void consensus_world::repeat(std::uint32_t mean_ms, std::function<void()> what) {
  if (mean_ms == 0)
    return;
  auto delay = random_.between(1, 2ULL * mean_ms * ms);
  events_.after(delay, [this, mean_ms, what = std::move(what)] {
    what();
    repeat(mean_ms, what);
  });
}

void consensus_world::plan_faults() {
  const auto& faults = run_.faults;
  drawn_loss_ = static_cast<std::uint32_t>(random_.below(faults.loss_per_mille_max + 1ULL));
  drawn_duplicate_ =
    static_cast<std::uint32_t>(random_.below(faults.duplicate_per_mille_max + 1ULL));
  drawn_late_ = static_cast<std::uint32_t>(random_.below(faults.late_per_mille_max + 1ULL));
  set_rates(true);
  repeat(run_.propose_every_ms, [this] {
    // When all is healed, the log must be able to come to rest.
    if (chaos_ || random_.chance(100))
      propose();
  });
  repeat(7, [this] { read(); });
  repeat(faults.split_every_ms, [this] { split(); });
  repeat(faults.crash_every_ms, [this] { crash_one(); });
  repeat(faults.slow_disk_every_ms, [this] { slow_one(); });
  repeat(faults.transfer_every_ms, [this] { transfer(); });
  repeat(faults.calm_every_ms, [this] { calm(); });
  if (run_.churn) {
    repeat(60, [this] { manage(); });
    repeat(2500, [this] { manage_faults(); });
  }
}

/// Some replicas cannot talk to the others for a while, in both directions or in one.
void consensus_world::split() {
  auto ids = live();
  if (!chaos_ || ids.size() < 2)
    return;
  cut_.clear();
  auto way = random_.below(4);
  std::set<replica_id> side;
  if (auto* chief = leader(); chief != nullptr && way < 2)
    side.insert(chief->id()); // the leader alone or with one friend
  while (side.empty() || (way == 1 && side.size() < 2)
         || (way == 3 && side.size() < ids.size() / 2))
    side.insert(ids[random_.below(ids.size())]);
  bool one_way = random_.chance(250);
  for (auto a : ids)
    for (auto b : ids)
      if (side.count(a) > 0 && side.count(b) == 0) {
        cut_.insert({a, b});
        if (!one_way)
          cut_.insert({b, a});
      }
  auto number = ++split_number_;
  events_.after(random_.below(std::uint64_t{run_.faults.split_ms_max} * ms), [this, number] {
    if (number == split_number_)
      cut_.clear();
  });
}

void consensus_world::crash_one() {
  if (!chaos_)
    return;
  auto ids = live();
  auto victims = random_.chance(150) ? ids.size() : 1; // now and then the power goes everywhere
  for (std::size_t i = 0; i < victims; ++i) {
    auto id = victims == 1 ? ids[random_.below(ids.size())] : ids[i];
    auto* chief = leader();
    if (victims == 1 && chief != nullptr && random_.chance(300))
      id = chief->id();
    auto& replica = *replicas_.at(id);
    replica.crash();
    events_.after(random_.below(std::uint64_t{run_.faults.down_ms_max} * ms),
                  [this, id] { bring_back(id); });
  }
}

void consensus_world::bring_back(replica_id id) {
  if (held_down_.count(id) == 0)
    replicas_.at(id)->start();
}

void consensus_world::set_rates(bool on) {
  loss_ = on ? drawn_loss_ : 0;
  duplicate_ = on ? drawn_duplicate_ : 0;
  late_ = on ? drawn_late_ : 0;
}

/// Everything stops except that a minority of the voters is down, the leader rather than others:
/// the majority must elect. It may also begin in the middle of an election.
void consensus_world::calm() {
  auto* chief = leader();
  if (!chaos_ || (chief == nullptr && run_.churn))
    return;
  if (chief != nullptr && chief->machine().membership_changing())
    return;
  const auto& members = chief != nullptr ? chief->machine().members() : founders_;
  std::vector<replica_id> voters;
  std::size_t dead = 0;
  for (const auto& member : members.members)
    if (member.role == member_role::voter) {
      voters.push_back(member.replica);
      dead += replicas_.at(member.replica)->dead() ? 1 : 0;
    }
  auto tolerated = (voters.size() - 1) / 2;
  auto down = tolerated > dead ? random_.between(1, tolerated - dead) : 0;
  chaos_ = false;
  ++verdict_.calms;
  set_rates(false);
  cut_.clear();
  if (chief != nullptr && down > 0 && random_.chance(700))
    held_down_.insert(chief->id());
  while (held_down_.size() < down) {
    auto id = voters[random_.below(voters.size())];
    if (!replicas_.at(id)->dead())
      held_down_.insert(id);
  }
  for (auto& [id, replica] : replicas_) {
    replica->slow_disk(0, 0);
    if (held_down_.count(id) > 0)
      replica->crash();
    else
      replica->start();
  }
  watch_calm(events_.now() + std::uint64_t{run_.faults.calm_ms_max} * ms);
}

void consensus_world::watch_calm(std::uint64_t until) {
  events_.after(50 * ms, [this, until] {
    if (healing_)
      return;
    if (leader() != nullptr) {
      chaos_ = true;
      set_rates(true);
      auto back = std::exchange(held_down_, {});
      for (auto id : back)
        bring_back(id);
      return;
    }
    if (events_.now() >= until)
      checker_.fail_liveness("a majority is up and connected, and elects nobody");
    else
      watch_calm(until);
  });
}

void consensus_world::slow_one() {
  if (!chaos_)
    return;
  auto ids = live();
  replicas_.at(ids[random_.below(ids.size())])
    ->slow_disk(events_.now() + random_.between(100, 2500) * ms,
                random_.between(10, run_.faults.slow_disk_ms_max) * ms);
}

void consensus_world::transfer() {
  auto* chief = leader();
  if (!chaos_ || chief == nullptr)
    return;
  const auto& members = chief->machine().members().members;
  auto to = members[random_.below(members.size())].replica;
  (void)chief->command([&](consensus& machine, boot_time now, consensus_effects& out) {
    return machine.transfer_leadership(now, to, out);
  });
}

} // namespace troupe
