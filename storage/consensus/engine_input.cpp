// Messages and time, and the guards on their way to the library.

#include "storage/base/assert.hpp"
#include "storage/consensus/configuration_format.hpp"
#include "storage/consensus/engine.hpp"

#include <cstring>

namespace troupe {

void consensus::engine::receive(boot_time now, replica_id from, consensus_message message,
                                consensus_effects& out) {
  if (stopped_ || !from || from == self_ || !well_formed(message))
    return;
  begin(now, out);
  bool result = is_leader() && std::holds_alternative<append_entries_result>(message);
  auto& queue = result ? results_ : inputs_;
  // First come, first served; beyond the limit a message is lost, as any may be.
  if (queue.size() < options_.input_queue_max)
    queue.push_back({from, std::move(message)});
  settle();
}

namespace {

bool sane(const append_entries& x) {
  if (x.term == 0 || x.prev_term > x.term || (x.prev_index == 0) != (x.prev_term == 0)
      || x.prev_index > UINT64_MAX / 2)
    return false;
  auto term = x.prev_term;
  for (const auto& entry : x.entries) {
    if (entry.term < term || entry.term > x.term || entry.term == 0)
      return false;
    term = entry.term;
    switch (entry.kind) {
    case entry_kind::command:
      if (entry.payload.empty())
        return false;
      break;
    case entry_kind::barrier: break;
    case entry_kind::configuration:
      if (auto c = decode_configuration(entry.payload.view()); !c || c->members.empty())
        return false;
      break;
    default: return false;
    }
  }
  return true;
}
bool sane(const append_entries_result& x) {
  return x.term != 0 && x.last_index < UINT64_MAX / 2;
}
bool sane(const request_vote& x) {
  return x.term != 0;
}
bool sane(const request_vote_result&) {
  return true;
}
bool sane(const install_offer& x) {
  return x.term != 0 && x.source && x.index != 0 && x.index_term != 0 && x.index_term <= x.term
         && x.index < UINT64_MAX / 2 && x.configuration_index <= x.index
         && !x.configuration.members.empty()
         && decode_configuration(encode_configuration(x.configuration));
}
bool sane(const timeout_now& x) {
  return x.term != 0;
}

} // namespace

bool consensus::engine::well_formed(const consensus_message& message) {
  if (const auto* offer = std::get_if<install_offer>(&message))
    if (offer->configuration.members.size() > configuration_members_max)
      return false;
  return std::visit([](const auto& x) { return sane(x); }, message);
}

struct ::raft_message consensus::engine::library_message(int type, replica_id from) {
  struct ::raft_message out;
  std::memset(&out, 0, sizeof out);
  out.type = static_cast<unsigned short>(type);
  out.server_id = from.value;
  feed_address_ = std::to_string(from.value);
  out.server_address = feed_address_.c_str();
  return out;
}

void consensus::engine::feed(struct ::raft_message& message) {
  recv_cb_(&io_, &message);
  complete_callbacks();
}

void consensus::engine::deliver(replica_id from, consensus_message& message) {
  std::visit([&](auto& x) { deliver_message(from, x); }, message);
}

void consensus::engine::deliver_message(replica_id from, append_entries& x) {
  if (is_leader_of(x.term))
    return; // from nobody honest; the library would take it for its own memory
  auto end = x.prev_index + x.entries.size();
  x.commit_index = std::min(x.commit_index, end);
  if (options_.guards.committed_membership)
    avoid_rollback(x);
  // Guard B: what this message proves, if the library accepts it.
  bool accepted = x.term >= raft_.current_term
                  && (x.prev_index == 0 || library_term_of(x.prev_index) == x.prev_term);
  if (x.term >= raft_.current_term) {
    if (matched_term_ != x.term) {
      matched_term_ = x.term;
      matched_index_ = 0;
    }
    if (accepted)
      matched_index_ = std::max(matched_index_, end);
    heard_ns_ = heard_term_ == x.term ? std::max(heard_ns_, x.sent_at_ns) : x.sent_at_ns;
    heard_term_ = x.term;
  }

  auto message = library_message(RAFT_IO_APPEND_ENTRIES, from);
  auto& out = message.append_entries;
  out.term = x.term;
  out.prev_log_index = x.prev_index;
  out.prev_log_term = x.prev_term;
  out.leader_commit = x.commit_index;
  out.n_entries = static_cast<unsigned>(x.entries.size());
  std::vector<struct ::raft_buffer> configurations;
  std::uint64_t barrier = 0; // what the library puts into a barrier
  if (!x.entries.empty()) {
    // The library copies the payloads and frees only the array: batch stays 0.
    out.entries =
      static_cast<struct ::raft_entry*>(raft_calloc(x.entries.size(), sizeof(struct ::raft_entry)));
    for (std::size_t i = 0; i < x.entries.size(); ++i) {
      const auto& from_entry = x.entries[i];
      auto& entry = out.entries[i];
      entry.term = from_entry.term;
      entry.type = static_cast<unsigned short>(from_entry.kind);
      if (from_entry.kind == entry_kind::configuration) {
        configurations.push_back(to_library_buffer(from_entry));
        entry.buf = configurations.back();
      } else if (from_entry.kind == entry_kind::barrier) {
        entry.buf = {&barrier, sizeof barrier};
      } else {
        entry.buf = {const_cast<std::byte*>(from_entry.payload.data()), from_entry.payload.size()};
      }
    }
  }
  arriving_ = x.entries;
  arriving_first_ = x.prev_index + 1;
  feed(message);
  arriving_ = {};
  for (auto& buffer : configurations)
    raft_free(buffer.base);
}

bool consensus::engine::is_leader_of(std::uint64_t term) const {
  return is_leader() && raft_.current_term == term;
}

/// Term of an entry as far as the library remembers it, with its own rule for trimmed ones.
std::uint64_t consensus::engine::library_term_of(std::uint64_t index) const {
  if (const auto* entry = find_entry(raft_.log, index))
    return entry->term;
  return index == raft_.log.snapshot.last_index ? raft_.log.snapshot.last_term : 0;
}

/// Guard D: the library cannot roll back a configuration whose predecessor it has compacted, and
/// after a restart it takes the newest one for committed. So if this message is about to truncate
/// one, the log is truncated first and the library starts again without it.
void consensus::engine::avoid_rollback(const append_entries& x) {
  if (x.term < raft_.current_term)
    return;
  if (x.prev_index > mirror_.last_index() || x.prev_index < raft_.log.offset)
    return;
  if (x.prev_index > 0 && library_term_of(x.prev_index) != x.prev_term)
    return;
  for (std::size_t i = 0; i < x.entries.size(); ++i) {
    auto index = x.prev_index + 1 + i;
    if (index > mirror_.last_index())
      return;
    if (index <= raft_.commit_index || mirror_.term_of(index) == x.entries[i].term)
      continue;
    if (mirror_.newest_configuration_index() < index)
      return;
    bool same_term = raft_.current_term == x.term;
    reopen_from_memory(x.term, same_term ? stored_vote_ : replica_id{}, index);
    return;
  }
}

void consensus::engine::deliver_message(replica_id from, const append_entries_result& x) {
  if (is_leader_of(x.term)) {
    lease_.answered(from, now_, x.sent_at_ns);
    auto i = index_of_member(from);
    if (i < raft_.configuration.n) {
      auto& progress = raft_.leader_state.progress[i];
      // An install at an older offer is as good, if the log reaches back that far.
      bool installing = progress.state == static_cast<unsigned short>(progress_state::snapshot);
      if (installing && x.rejected_index == 0 && x.last_index > progress.match_index
          && x.last_index < progress.snapshot_index && library_term_of(x.last_index) != 0)
        progress.snapshot_index = x.last_index;
    }
  }
  auto message = library_message(RAFT_IO_APPEND_ENTRIES_RESULT, from);
  message.append_entries_result.term = x.term;
  message.append_entries_result.rejected = x.rejected_index;
  message.append_entries_result.last_log_index = x.last_index;
  feed(message);
}

void consensus::engine::deliver_message(replica_id from, const request_vote& x) {
  const auto& guards = options_.guards;
  if (guards.quiet_start && now_.ns < opened_at_.ns + election_ns())
    return; // L: an earlier opening may have promised patience to a leader
  if (guards.one_vote && !x.pre_vote && x.term == raft_.current_term && stored_vote_
      && stored_vote_ != from)
    return; // E
  // G: a learner may have been made a voter and not know it yet; its vote counts only if so.
  auto me = index_of_member(self_);
  bool learner = guards.forgetting_learner && me < raft_.configuration.n
                 && raft_.configuration.servers[me].role != RAFT_VOTER;
  int role = learner ? raft_.configuration.servers[me].role : RAFT_VOTER;
  if (learner)
    raft_.configuration.servers[me].role = RAFT_VOTER;
  auto message = library_message(RAFT_IO_REQUEST_VOTE, from);
  auto& out = message.request_vote;
  out.term = x.term;
  out.candidate_id = from.value;
  out.last_log_index = x.last_index;
  out.last_log_term = x.last_term;
  out.disrupt_leader = x.disrupt_leader;
  out.pre_vote = x.pre_vote;
  feed(message);
  if (learner)
    raft_.configuration.servers[me].role = role; // a vote changes no configuration
}

void consensus::engine::deliver_message(replica_id from, const request_vote_result& x) {
  auto message = library_message(RAFT_IO_REQUEST_VOTE_RESULT, from);
  message.request_vote_result.term = x.term;
  message.request_vote_result.vote_granted = x.granted;
  message.request_vote_result.pre_vote = x.pre_vote ? raft_tribool_true : raft_tribool_false;
  feed(message);
}

void consensus::engine::deliver_message(replica_id from, const timeout_now& x) {
  if (options_.guards.sole_voter_term && sole_voter())
    return; // J: its own timer will do, with a new term
  auto message = library_message(RAFT_IO_TIMEOUT_NOW, from);
  message.timeout_now.term = x.term;
  message.timeout_now.last_log_index = x.last_index;
  message.timeout_now.last_log_term = x.last_term;
  feed(message);
}

unsigned consensus::engine::index_of_member(replica_id replica) const {
  unsigned i = 0;
  while (i < raft_.configuration.n && raft_.configuration.servers[i].id != replica.value)
    ++i;
  return i;
}

void consensus::engine::tick(boot_time now, consensus_effects& out) {
  if (stopped_)
    return;
  begin(now, out);
  bool due = true;
  if (is_leader()) {
    if (now_.ns >= heartbeat_turn_.ns + std::uint64_t{options_.heartbeat_ms} * 1'000'000) {
      heartbeat_turn_ = now_;
      commit_at_heartbeat_ = std::exchange(commit_now_, raft_.commit_index);
    }
    // A leader whose disk is stuck falls silent, so that another one takes over.
    due = appends_.empty() || now_.ns < appends_.front().since.ns + 2 * election_ns();
  } else {
    due = !(options_.guards.serial_follower && appends_in_flight());
    if (due)
      tick_follower();
  }
  if (due && raft_.state != RAFT_UNAVAILABLE)
    tick_cb_(&io_);
  settle();
}

/// What must be right before the library looks at its election timer.
void consensus::engine::tick_follower() {
  if (raft_.state == RAFT_CANDIDATE) {
    // The permission to disrupt the leader was for one election; the next begins with a pre-vote.
    if (options_.guards.transfer_drops_lease)
      raft_.candidate_state.disrupt_leader = false;
    if (now_ms() - raft_.election_timer_start >= raft_.candidate_state.randomized_election_timeout)
      raft_.candidate_state.in_pre_vote = options_.pre_vote;
    return;
  }
  if (raft_.state != RAFT_FOLLOWER)
    return;
  auto me = index_of_member(self_);
  bool voter = me < raft_.configuration.n && raft_.configuration.servers[me].role == RAFT_VOTER;
  auto silence = now_ms() - raft_.election_timer_start;
  if (options_.guards.forgetting_learner && !voter && silence >= options_.election_timeout_ms
      && raft_.follower_state.current_leader.id != 0) {
    raft_free(raft_.follower_state.current_leader.address);
    raft_.follower_state.current_leader = {0, nullptr};
  }
  // J: the library makes a sole voter leader in the term that it already has, in which entries
  // that it lost in a crash may live on at a learner.
  if (options_.guards.sole_voter_term && sole_voter()
      && silence >= raft_.follower_state.randomized_election_timeout)
    take_new_term();
}

bool consensus::engine::sole_voter() const {
  bool me = false;
  for (unsigned i = 0; i < raft_.configuration.n; ++i) {
    if (raft_.configuration.servers[i].role != RAFT_VOTER)
      continue;
    if (raft_.configuration.servers[i].id != self_.value)
      return false;
    me = true;
  }
  return me;
}

void consensus::engine::take_new_term() {
  record_vote(raft_.current_term + 1, self_);
  raft_.current_term = stored_term_;
  raft_.voted_for = self_.value;
}

} // namespace troupe
