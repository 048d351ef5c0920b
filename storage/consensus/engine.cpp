// The step: what every input has in common.

#include "storage/consensus/engine.hpp"

#include "storage/base/assert.hpp"

#include <limits>

namespace troupe {

consensus::engine::engine(replica_id self, durable_state state, const consensus_options& options,
                          boot_time now, consensus_effects& out)
  : self_(self), options_(options), random_state_(options.seed * 0x9e3779b97f4a7c15ULL + 1) {
  TROUPE_ASSERT(self_);
  TROUPE_ASSERT(options_.heartbeat_ms > 0 && options_.heartbeat_ms < options_.election_timeout_ms);
  TROUPE_ASSERT(options_.lease_slack_percent < 100);
  if (random_state_ == 0)
    random_state_ = 1;
  begin(now, out);
  open(std::move(state), false);
  settle();
}

consensus::engine::~engine() {
  close();
}

void consensus::engine::begin(boot_time now, consensus_effects& out) {
  now_ = std::max(now_, now);
  out_ = &out;
}

/// Ends a step: everything that can go on goes on, then the queues become effects.
void consensus::engine::settle() {
  if (!stopped_) {
    do {
      complete_callbacks();
      if (raft_.state == RAFT_UNAVAILABLE)
        break;
      on_leadership();
      continue_change();
      continue_transfer();
      try_install();
    } while (drain_one());
    complete_callbacks();
    finish_proposals();
    if (raft_.state == RAFT_UNAVAILABLE && options_.guards.reopen)
      stop("the raft library gave up on an input");
    trim_tail();
    report_changes();
  }
  flush();
  out_ = nullptr;
}

/// Callbacks must not run inside the call that asked for them: they run here, one layer at a time.
void consensus::engine::complete_callbacks() {
  while (!send_callbacks_.empty() || !gets_.empty() || trim_put_ != nullptr) {
    auto sends = std::move(send_callbacks_);
    send_callbacks_.clear();
    for (auto [request, cb] : sends)
      cb(request, 0);
    auto gets = std::move(gets_);
    gets_.clear();
    for (auto [request, cb] : gets)
      complete_get(request, cb);
    if (trim_put_ != nullptr)
      complete_trim();
  }
}

/// Feeds one input that waited, if it may go now.
bool consensus::engine::drain_one() {
  for (auto* queue : {&results_, &inputs_}) {
    if (queue->empty() || must_wait(queue->front().message))
      continue;
    auto input = std::move(queue->front());
    queue->pop_front();
    deliver(input.from, input.message);
    return true;
  }
  return false;
}

/// Guards A and C: what must not reach the library now.
bool consensus::engine::must_wait(const consensus_message& message) const {
  const auto& guards = options_.guards;
  if (is_leader() && std::holds_alternative<append_entries_result>(message)) {
    bool barrier_stored =
      barrier_term_ == raft_.current_term && raft_.last_stored >= barrier_index_;
    return guards.own_term_first && !barrier_stored;
  }
  return guards.serial_follower && appends_in_flight();
}

/// A new leader's first entry is its barrier; what it knew about followers belongs to another term.
void consensus::engine::on_leadership() {
  if (!is_leader())
    return;
  if (lease_term_ != raft_.current_term) {
    lease_term_ = raft_.current_term;
    lease_.begin_term();
    offers_.clear();
    stand_again_ = false;
    commit_now_ = commit_at_heartbeat_ = raft_.commit_index;
    heartbeat_turn_ = now_;
    raft_.transfer = nullptr; // a transfer of the past would refuse the barrier
  }
  if (barrier_term_ == raft_.current_term || !options_.guards.own_term_first)
    return;
  barrier_index_ = mirror_.last_index() + 1;
  if (raft_barrier(&raft_, &barrier_, [](struct ::raft_barrier*, int) {}) == 0)
    barrier_term_ = raft_.current_term;
  complete_callbacks();
}

bool consensus::engine::leader_ready() const {
  if (stopped_ || !is_leader())
    return false;
  if (!options_.guards.own_term_first)
    return true;
  return barrier_term_ == raft_.current_term && raft_.last_applied >= barrier_index_;
}

boot_time consensus::engine::read_lease_until() const {
  if (!leader_ready() || lease_term_ != raft_.current_term)
    return {};
  return lease_.until(members(), self_, election_ns(), options_.lease_slack_percent);
}

consensus_role consensus::engine::role() const {
  if (stopped_)
    return consensus_role::stopped;
  switch (raft_.state) {
  case RAFT_LEADER: return consensus_role::leader;
  case RAFT_CANDIDATE: return consensus_role::candidate;
  case RAFT_FOLLOWER: return consensus_role::follower;
  default: return consensus_role::stopped;
  }
}

replica_id consensus::engine::leader() const {
  if (stopped_)
    return {};
  if (is_leader())
    return self_;
  if (raft_.state != RAFT_FOLLOWER || heard_term_ != raft_.current_term)
    return {};
  return replica_id{raft_.follower_state.current_leader.id};
}

error consensus::engine::not_leader() const {
  auto known = leader();
  return {errc::not_leader,
          known ? "the leader is replica " + std::to_string(known.value) : "no leader is known"};
}

expected<proposal_token> consensus::engine::propose(boot_time now,
                                                    std::span<const shared_bytes> commands,
                                                    consensus_effects& out) {
  if (commands.empty())
    return error{errc::invalid_argument, "no command"};
  std::uint64_t bytes = 0;
  for (const auto& command : commands) {
    if (command.empty())
      return error{errc::invalid_argument, "an empty command"};
    bytes += command.size();
  }
  if (commands.size() > options_.batch_entries_max || bytes > options_.batch_bytes_max)
    return error{errc::too_large, std::to_string(commands.size()) + " commands of "
                                    + std::to_string(bytes) + " bytes"};
  if (role() != consensus_role::leader)
    return not_leader();
  if (!leader_ready() || raft_.transfer != nullptr || stand_again_)
    return error{errc::busy, "leadership is changing"};
  if (options_.guards.one_batch && mirror_.last_index() > raft_.commit_index)
    return error{errc::busy, "a batch is in flight"};

  begin(now, out);
  std::vector<log_entry> entries;
  std::vector<struct ::raft_buffer> buffers;
  for (const auto& command : commands) {
    entries.push_back({raft_.current_term, entry_kind::command, command});
    buffers.push_back(to_library_buffer(entries.back()));
  }
  arriving_ = entries;
  arriving_first_ = mirror_.last_index() + 1;
  auto& added = proposals_.emplace_back();
  added.token = proposal_token{++last_proposal_};
  added.term = raft_.current_term;
  added.last_index = mirror_.last_index() + commands.size();
  int rv = raft_apply(&raft_, &added.request, buffers.data(), static_cast<unsigned>(buffers.size()),
                      [](struct ::raft_apply*, int, void*) {});
  arriving_ = {};
  if (rv != 0) {
    proposals_.pop_back();
    for (auto& buffer : buffers)
      raft_free(buffer.base);
    settle();
    return error{errc::busy, "the raft library refused a batch: " + std::to_string(rv)};
  }
  auto token = added.token;
  settle();
  return token;
}

/// A batch is done when its last entry, still of the proposal's term, was applied.
void consensus::engine::finish_proposals() {
  while (!proposals_.empty()) {
    const auto& first = proposals_.front();
    bool applied =
      raft_.last_applied >= first.last_index && is_leader() && raft_.current_term == first.term;
    bool lost = !is_leader() || raft_.current_term != first.term;
    if (!applied && !lost)
      return;
    out_->push_back(proposal_finished{first.token, applied ? proposal_outcome::committed
                                                           : proposal_outcome::may_have_happened});
    proposals_.pop_front();
  }
}

void consensus::engine::report_changes() {
  role_changed current{role(), raft_.current_term, leader(), leader_ready()};
  if (current.role != reported_.role || current.term != reported_.term
      || current.leader != reported_.leader || current.leader_ready != reported_.leader_ready) {
    reported_ = current;
    out_->push_back(current);
  }
  if (raft_.last_applied < checkpoint_.index)
    return; // an install is being stored
  const auto& applied = mirror_.configuration_at_index(raft_.last_applied);
  if (applied.index > reported_configuration_ && applied.index <= raft_.last_applied) {
    reported_configuration_ = applied.index;
    out_->push_back(members_changed{applied.configuration, applied.index});
  }
}

/// The step's records become one storage order, then its messages go out or wait for the vote.
void consensus::engine::flush() {
  if (!records_.empty()) {
    store_token token{++last_token_};
    if (vote_unflushed_)
      vote_token_ = token.value;
    vote_unflushed_ = false;
    for (auto at = appends_.rbegin(); at != appends_.rend() && !at->token; ++at)
      at->token = token;
    if (install_put_ != nullptr && !install_stored_)
      install_stored_ = token;
    out_->push_back(store_records{token, std::move(records_)});
    records_.clear();
  }
  for (auto& send : sends_) {
    if (vote_token_ <= durable_token_ || !options_.guards.votes_before_sends)
      out_->push_back(std::move(send));
    else if (held_.size() < options_.input_queue_max) // beyond: lost, as any message may be
      held_.push_back({vote_token_, std::move(send)});
  }
  sends_.clear();
}

void consensus::engine::durable(boot_time now, store_token token, consensus_effects& out) {
  if (token.value <= durable_token_ || token.value > last_token_)
    return;
  begin(now, out);
  durable_token_ = token.value;
  if (stopped_) {
    out_ = nullptr;
    return;
  }
  while (!held_.empty() && held_.front().until_token <= durable_token_) {
    out_->push_back(std::move(held_.front().message));
    held_.pop_front();
  }
  while (!appends_.empty() && appends_.front().token
         && appends_.front().token.value <= durable_token_) {
    auto done = appends_.front();
    appends_.pop_front();
    done.cb(done.request, 0);
    complete_callbacks();
  }
  if (install_put_ != nullptr && install_stored_ && install_stored_.value <= durable_token_)
    complete_install();
  settle();
}

void consensus::engine::failed(consensus_effects& out) {
  begin(now_, out);
  if (!stopped_) {
    stop(nullptr);
    report_changes();
  }
  flush();
  out_ = nullptr;
}

/// Ends this opening. With a reason the owner is asked for another one.
void consensus::engine::stop(const char* reason) {
  if (stopped_)
    return;
  for (const auto& lost : proposals_)
    out_->push_back(proposal_finished{lost.token, proposal_outcome::may_have_happened});
  proposals_.clear();
  stopped_ = true;
  if (reason != nullptr)
    out_->push_back(reopen_group{reason});
  sends_.clear();
  held_.clear();
  inputs_.clear();
  results_.clear();
}

} // namespace troupe
