// Membership changes and the transfer of leadership.

#include "storage/consensus/engine.hpp"

#include <algorithm>

namespace troupe {

follower_progress consensus::engine::progress_of(const group_member& member, boot_time now) const {
  follower_progress out;
  out.member = member;
  if (auto i = index_of_member(member.replica); i < raft_.configuration.n)
    out.match_index = raft_.leader_state.progress[i].match_index;
  out.last_contact = lease_.last(member.replica).answered;
  out.healthy = out.last_contact.ns != 0 && now.ns < out.last_contact.ns + election_ns();
  out.caught_up = out.match_index >= commit_at_heartbeat_;
  return out;
}

std::vector<follower_progress> consensus::engine::followers(boot_time now) const {
  std::vector<follower_progress> out;
  if (stopped_ || !is_leader() || lease_term_ != raft_.current_term)
    return out;
  for (const auto& member : members().members)
    if (member.replica != self_)
      out.push_back(progress_of(member, now));
  return out;
}

/// The rule of hazards F27, for the configuration that a change leads to.
expected<void> consensus::engine::may_change(const group_configuration& next) const {
  std::size_t voters = 0;
  std::size_t good = 0;
  for (const auto& member : next.members) {
    if (member.role != member_role::voter)
      continue;
    ++voters;
    auto progress = progress_of(member, now_);
    if (member.replica == self_ || (progress.healthy && progress.caught_up))
      ++good;
  }
  if (voters == 0)
    return error{errc::invalid_argument, "no voter would be left"};
  if (good <= voters / 2)
    return error{errc::unavailable, "only " + std::to_string(good) + " of " + std::to_string(voters)
                                      + " voters would be healthy and caught up"};
  return {};
}

expected<void> consensus::engine::may_start_change() const {
  if (role() != consensus_role::leader)
    return not_leader();
  if (!leader_ready() || membership_changing() || raft_.transfer != nullptr || stand_again_)
    return error{errc::busy, "leadership or membership is changing"};
  return {};
}

void consensus::engine::begin_change(replica_id replica, bool add) {
  change_ = std::make_unique<membership_change>();
  change_->replica = replica;
  change_->add = add;
  change_->request.data = change_.get();
}

namespace {

template <class Change>
void report_change(struct ::raft_change* request, int status) {
  auto* change = static_cast<Change*>(request->data);
  change->reported = true;
  change->status = status;
}

} // namespace

/// Ends the step that asked the library for a change, which answered `rv`.
expected<void> consensus::engine::changed(int rv) {
  if (rv != 0)
    change_.reset();
  settle();
  if (rv != 0)
    return error{errc::busy, "the raft library refused a change: " + std::to_string(rv)};
  return {};
}

expected<void> consensus::engine::add_learner(boot_time now, replica_id replica,
                                              consensus_effects& out) {
  if (auto ok = may_start_change(); !ok)
    return ok;
  if (!replica)
    return error{errc::invalid_argument, "replica 0"};
  begin(now, out);
  auto i = index_of_member(replica);
  bool known = i < raft_.configuration.n;
  if (known && raft_.configuration.servers[i].role != RAFT_SPARE)
    return error{errc::already_exists, "replica " + std::to_string(replica.value)};
  if (auto ok = may_change(members()); !ok)
    return ok;
  begin_change(replica, !known);
  // A joining member gets nothing yet; continue_change makes it a learner.
  if (known)
    return changed(raft_assign(&raft_, &change_->request, replica.value, RAFT_STANDBY,
                               report_change<membership_change>));
  return changed(raft_add(&raft_, &change_->request, replica.value,
                          std::to_string(replica.value).c_str(), report_change<membership_change>));
}

expected<void> consensus::engine::promote(boot_time now, replica_id replica,
                                          consensus_effects& out) {
  if (auto ok = may_start_change(); !ok)
    return ok;
  begin(now, out);
  auto next = members();
  auto member = std::find_if(next.members.begin(), next.members.end(),
                             [&](const group_member& x) { return x.replica == replica; });
  if (member == next.members.end())
    return error{errc::not_found, "replica " + std::to_string(replica.value)};
  if (member->role == member_role::voter)
    return error{errc::already_exists, "voter " + std::to_string(replica.value)};
  auto progress = progress_of(*member, now_);
  if (member->role != member_role::learner || !progress.healthy || !progress.caught_up)
    return error{errc::unavailable, "replica " + std::to_string(replica.value)
                                      + " is not a healthy learner that has caught up"};
  member->role = member_role::voter;
  if (auto ok = may_change(next); !ok)
    return ok;
  begin_change(replica, false);
  return changed(raft_assign(&raft_, &change_->request, replica.value, RAFT_VOTER,
                             report_change<membership_change>));
}

expected<void> consensus::engine::remove(boot_time now, replica_id replica,
                                         consensus_effects& out) {
  if (auto ok = may_start_change(); !ok)
    return ok;
  if (replica == self_)
    return error{errc::invalid_argument, "a leader does not remove itself: transfer first"};
  begin(now, out);
  auto next = members();
  if (std::erase_if(next.members, [&](const group_member& x) { return x.replica == replica; }) == 0)
    return error{errc::not_found, "replica " + std::to_string(replica.value)};
  if (auto ok = may_change(next); !ok)
    return ok;
  begin_change(replica, false);
  return changed(
    raft_remove(&raft_, &change_->request, replica.value, report_change<membership_change>));
}

/// What became of a change since the last step; the second half of an addition.
void consensus::engine::continue_change() {
  if (!change_ || (is_leader() && !change_->reported))
    return;
  bool done = change_->reported && change_->status == 0;
  auto i = index_of_member(change_->replica);
  if (done && change_->add && is_leader() && i < raft_.configuration.n
      && raft_.configuration.servers[i].role == RAFT_SPARE) {
    change_->reported = false;
    int rv = raft_assign(&raft_, &change_->request, change_->replica.value, RAFT_STANDBY,
                         report_change<membership_change>);
    complete_callbacks();
    if (rv == 0)
      return;
    done = false;
  }
  out_->push_back(change_finished{change_->replica, done});
  change_.reset();
}

expected<void> consensus::engine::transfer_leadership(boot_time now, replica_id to,
                                                      consensus_effects& out) {
  if (role() != consensus_role::leader)
    return not_leader();
  if (!leader_ready() || transfer_ || raft_.transfer != nullptr || stand_again_)
    return error{errc::busy, "leadership is changing"};
  begin(now, out);
  auto i = index_of_member(to);
  if (to == self_ || i == raft_.configuration.n
      || raft_.configuration.servers[i].role != RAFT_VOTER)
    return error{errc::invalid_argument,
                 "replica " + std::to_string(to.value) + " is not another voter"};
  transfer_ = std::make_unique<leadership_transfer>();
  transfer_->to = to;
  transfer_->term = raft_.current_term;
  transfer_->request.data = transfer_.get();
  int rv =
    raft_transfer(&raft_, &transfer_->request, to.value, [](struct ::raft_transfer* request) {
      static_cast<leadership_transfer*>(request->data)->ended = true;
    });
  if (rv != 0)
    transfer_.reset();
  settle();
  if (rv != 0)
    return error{errc::busy, "the raft library refused a transfer: " + std::to_string(rv)};
  return {};
}

void consensus::engine::continue_transfer() {
  if (transfer_ && raft_.transfer == nullptr) {
    out_->push_back(transfer_finished{transfer_->to});
    stand_again_ = is_leader_of(transfer_->term) && lease_.dropped();
    transfer_.reset();
  }
  if (stand_again_ && !appends_in_flight())
    stand_again();
}

/// Somebody was told to take over and did not: this leader is without a lease for the rest of its
/// term. It gives the term up and stands for another one, with its own permission.
void consensus::engine::stand_again() {
  stand_again_ = false;
  if (!is_leader())
    return;
  replica_id other;
  for (const auto& member : members().members)
    if (member.replica != self_)
      other = member.replica;
  if (!other)
    return;
  auto higher = library_message(RAFT_IO_APPEND_ENTRIES_RESULT, other);
  higher.append_entries_result.term = raft_.current_term + 1;
  feed(higher);
  if (raft_.state != RAFT_FOLLOWER)
    return;
  raft_.follower_state.current_leader.id = self_.value;
  auto now = library_message(RAFT_IO_TIMEOUT_NOW, self_);
  now.timeout_now.term = raft_.current_term;
  now.timeout_now.last_log_index = mirror_.last_index();
  now.timeout_now.last_log_term = mirror_.last_term();
  feed(now);
  if (raft_.state == RAFT_FOLLOWER) // not a voter any more
    raft_.follower_state.current_leader = {0, nullptr};
}

} // namespace troupe
