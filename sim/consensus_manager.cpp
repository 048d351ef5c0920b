// With churn: members that die for ever or move, and the manager that repairs the group through
// whatever leader there is, by the rule of hazards F27: a dead voter is removed before its
// successor comes, a living one after; an id never returns.

#include "sim/consensus_world.hpp"

#include <algorithm>

namespace troupe {

namespace {

constexpr std::uint64_t ms = 1'000'000;

} // namespace

/// Takes members away, only from a group that is whole: what is left has a majority.
void consensus_world::manage_faults() {
  auto* chief = leader();
  if (!chaos_ || chief == nullptr)
    return;
  const auto members = chief->machine().members().members;
  bool whole = members.size() == voters_wanted_ && leaving_.empty();
  for (const auto& member : members)
    whole = whole && member.role == member_role::voter && !replicas_.at(member.replica)->dead();
  if (!whole)
    return;
  auto pick = [&] { return members[random_.below(members.size())].replica; };
  if (run_.resize && random_.chance(500)) {
    voters_wanted_ = voters_wanted_ == 1 ? 3 : 1;
    for (std::size_t i = voters_wanted_; i < members.size(); ++i)
      leaving_.insert(members[i].replica);
    return;
  }
  auto way = members.size() == 1 ? 0 : random_.below(3);
  if (way == 0) { // move one
    leaving_.insert(pick());
    return;
  }
  // Two at once as often as one: the repair must not block itself.
  std::size_t victims = way == 1 && members.size() >= 5 ? 2 : 1;
  std::set<replica_id> dying;
  while (dying.size() < victims)
    dying.insert(pick());
  for (auto id : dying)
    replicas_.at(id)->die();
  if (victims == 2)
    ++verdict_.double_losses;
}

void consensus_world::manage() {
  // Removed members linger, with their old configuration, and are switched off some time.
  auto* chief = leader();
  if (chief == nullptr)
    return;
  if (!removed_.empty() && random_.chance(20) && !chief->machine().membership_changing()) {
    auto id = *removed_.begin();
    const auto& members = chief->machine().members().members;
    bool member = std::any_of(members.begin(), members.end(),
                              [&](const group_member& x) { return x.replica == id; });
    removed_.erase(removed_.begin());
    if (!member) // else the removal failed
      replicas_.at(id)->die();
  }
  (void)repair(*chief);
}

/// One step towards a whole group. @returns true if a step was begun.
bool consensus_world::repair(consensus_replica& chief) {
  const auto members = chief.machine().members().members;
  std::size_t voters = 0;
  for (const auto& member : members)
    voters += member.role == member_role::voter ? 1 : 0;
  auto remove = [&](replica_id id) {
    if (id == chief.id()) { // a leader hands over before it goes
      for (const auto& member : members)
        if (member.role == member_role::voter && member.replica != id)
          return static_cast<bool>(
            chief.command([&](consensus& machine, boot_time now, consensus_effects& out) {
              return machine.transfer_leadership(now, member.replica, out);
            }));
      return false;
    }
    bool begun = static_cast<bool>(
      chief.command([&](consensus& machine, boot_time now, consensus_effects& out) {
        return machine.remove(now, id, out);
      }));
    if (begun && !replicas_.at(id)->dead())
      removed_.insert(id);
    return begun;
  };

  for (const auto& member : members) // the dead first
    if (replicas_.at(member.replica)->dead()) {
      leaving_.erase(member.replica);
      return remove(member.replica);
    }
  std::erase_if(leaving_, [&](replica_id id) {
    return std::none_of(members.begin(), members.end(),
                        [&](const group_member& x) { return x.replica == id; });
  });
  if (voters > voters_wanted_ && !leaving_.empty()) // the successor is there
    return remove(*leaving_.begin());
  if (voters > voters_wanted_) // a removal was begun, forgotten here and never committed
    return remove(members.front().replica);
  for (const auto& member : members) {
    auto id = member.replica;
    if (member.role == member_role::learner)
      return static_cast<bool>(
        chief.command([&](consensus& machine, boot_time now, consensus_effects& out) {
          return machine.promote(now, id, out);
        }));
    if (member.role == member_role::joining)
      return static_cast<bool>(
        chief.command([&](consensus& machine, boot_time now, consensus_effects& out) {
          return machine.add_learner(now, id, out);
        }));
  }
  if (voters < voters_wanted_ + (leaving_.empty() ? 0 : 1)) {
    replica_id id{last_replica_ + 1};
    bool begun = static_cast<bool>(
      chief.command([&](consensus& machine, boot_time now, consensus_effects& out) {
        return machine.add_learner(now, id, out);
      }));
    if (begun)
      add_replica({});
    return begun;
  }
  return false;
}

} // namespace troupe
