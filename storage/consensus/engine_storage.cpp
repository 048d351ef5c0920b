// Opening and closing, the tail in memory, checkpoints, and states that are pulled from elsewhere.

#include "storage/base/assert.hpp"
#include "storage/consensus/configuration_format.hpp"
#include "storage/consensus/engine.hpp"

#include <limits>

namespace troupe {

namespace {

constexpr unsigned never = std::numeric_limits<unsigned>::max();

/// The configuration that the library will start with.
group_configuration newest_configuration(const durable_state& state) {
  for (auto at = state.entries.rbegin(); at != state.entries.rend(); ++at)
    if (at->kind == entry_kind::configuration)
      return *decode_configuration(at->payload.view());
  return state.checkpoint.configuration;
}

} // namespace

/// Starts the library on `state`. `from_memory`: the mirror and the checkpoint already describe
/// what is stored, and everything up to state.checkpoint was applied.
void consensus::engine::open(durable_state state, bool from_memory) {
  opened_at_ = now_;
  stored_term_ = state.term;
  stored_vote_ = state.vote;
  if (!from_memory) {
    checkpoint_ = state.checkpoint;
    mirror_.reset(checkpoint_);
    mirror_.append(state.entries);
    reported_configuration_ = checkpoint_.configuration_index;
  }
  auto members = newest_configuration(state);
  std::size_t voters = 0;
  bool me = false;
  for (const auto& member : members.members) {
    voters += member.role == member_role::voter ? 1 : 0;
    me = me || (member.role == member_role::voter && member.replica == self_);
  }
  if (options_.guards.sole_voter_term && voters == 1 && me) { // J, see tick_follower
    record_vote(state.term + 1, self_);
    state.term = stored_term_;
    state.vote = stored_vote_;
  }

  loading_ = std::move(state);
  raft_ = {};
  bind_backend();
  int rv = raft_init(&raft_, &io_, &fsm_, self_.value, std::to_string(self_.value).c_str());
  TROUPE_ASSERT(rv == 0);
  raft_set_election_timeout(&raft_, options_.election_timeout_ms);
  raft_set_heartbeat_timeout(&raft_, options_.heartbeat_ms);
  raft_set_install_snapshot_timeout(&raft_, options_.install_timeout_ms);
  raft_set_max_catch_up_round_duration(&raft_, options_.catch_up_round_ms);
  raft_set_pre_vote(&raft_, options_.pre_vote);
  raft_set_snapshot_threshold(&raft_, never);
  rv = raft_start(&raft_);
  TROUPE_ASSERT(rv == 0);
  loading_.reset();
  complete_callbacks();
}

/// Ends the library instance. Requests in flight end as canceled, newest first: the library cuts
/// its log at each.
void consensus::engine::close() {
  raft_close(&raft_, [](struct ::raft*) {});
  for (auto [request, cb] : send_callbacks_)
    cb(request, RAFT_CANCELED);
  send_callbacks_.clear();
  for (auto [request, cb] : gets_)
    cb(request, nullptr, RAFT_CANCELED);
  gets_.clear();
  if (trim_put_ != nullptr)
    trim_cb_(std::exchange(trim_put_, nullptr), RAFT_CANCELED);
  if (install_put_ != nullptr)
    install_cb_(std::exchange(install_put_, nullptr), RAFT_CANCELED);
  for (auto at = appends_.rbegin(); at != appends_.rend(); ++at)
    at->cb(at->request, RAFT_CANCELED);
  appends_.clear();
  if (close_cb_ != nullptr)
    close_cb_(&io_);
  close_cb_ = nullptr;
}

/// Guard D: drops the entries from `truncate_from` on, durably, and starts the library again on
/// what is left. Nothing is applied again: what was applied is the snapshot it starts from.
void consensus::engine::reopen_from_memory(std::uint64_t term, replica_id vote,
                                           std::uint64_t truncate_from) {
  TROUPE_ASSERT(truncate_from > raft_.last_applied);
  durable_state state;
  state.term = term;
  state.vote = vote;
  auto applied = raft_.last_applied;
  const auto& configuration = mirror_.configuration_at_index(applied);
  state.checkpoint = {applied, mirror_.term_of(applied), configuration.configuration,
                      configuration.index, checkpoint_.state_id};
  for (auto index = applied + 1; index < truncate_from; ++index) {
    const auto* entry = find_entry(raft_.log, index);
    TROUPE_ASSERT(entry != nullptr);
    state.entries.push_back(copy_entry(index, *entry));
  }
  if (term != stored_term_ || vote != stored_vote_)
    record_vote(term, vote);
  drop_from(truncate_from);
  close();
  open(std::move(state), true);
}

void consensus::engine::checkpointed(std::uint64_t index, consensus_effects& out) {
  if (stopped_ || index <= checkpoint_.index || index > raft_.last_applied)
    return;
  begin(now_, out);
  const auto& configuration = mirror_.configuration_at_index(index);
  checkpoint_ = {index, mirror_.term_of(index), configuration.configuration, configuration.index,
                 checkpoint_.state_id};
  if (!options_.guards.committed_membership) { // as the library would do
    checkpoint_.configuration = from_library(raft_.configuration);
    checkpoint_.configuration_index = raft_.configuration_index;
  }
  mirror_.checkpointed(index);
  records_.push_back(checkpoint_record{checkpoint_});
  flush();
  out_ = nullptr;
}

bool consensus::engine::rewrite_log(consensus_effects& out) {
  auto first = checkpoint_.index + 1;
  if (stopped_ || raft_.last_applied >= first || mirror_.last_index() < first)
    return false;
  rewrite_record again{first, {}};
  for (auto index = first; index <= mirror_.last_index(); ++index) {
    const auto* entry = find_entry(raft_.log, index);
    TROUPE_ASSERT(entry != nullptr); // what is not applied is in the library's memory
    again.entries.push_back(copy_entry(index, *entry));
  }
  begin(now_, out);
  records_.push_back(std::move(again));
  flush();
  out_ = nullptr;
  return true;
}

/// Asks the library to trim its memory when it applies the next entry.
void consensus::engine::trim_tail() {
  auto entries =
    mirror_.last_index() - std::min<std::uint64_t>(mirror_.last_index(), raft_.log.offset);
  bool large = tail_bytes_ > options_.tail_bytes_max || entries > options_.tail_entries_max;
  raft_.snapshot.threshold = large ? 1 : never;
  // Payloads of applied entries are in the library's memory as well; the rest will be stored,
  // sent or applied soon.
  mirror_.forget_payloads(raft_.last_applied, options_.message_bytes_max);
}

/// The library calls it a snapshot: it now drops the entries before the trailing ones.
void consensus::engine::complete_trim() {
  auto last = raft_.snapshot.pending.index;
  auto needed = needed_by_followers();
  std::uint64_t kept = 0;
  auto first = last + 1; // keep [first, last]
  while (first - 1 > raft_.log.offset) {
    const auto* entry = find_entry(raft_.log, first - 1);
    auto bytes = kept + entry->buf.len;
    bool fits = bytes <= options_.tail_bytes_max / 2
                && last + 1 - first < std::max(1U, options_.tail_entries_max / 2);
    // A follower is sent what is behind an entry whose term the library remembers: keep that too.
    bool wanted = first - 1 >= needed && bytes <= options_.lagging_bytes_max;
    if (!fits && !wanted && first <= last)
      break;
    kept = bytes;
    --first;
  }
  for (auto index = raft_.log.offset + 1; index < first; ++index)
    tail_bytes_ -= find_entry(raft_.log, index)->buf.len;
  raft_.snapshot.trailing = static_cast<unsigned>(last + 1 - first);
  trim_cb_(std::exchange(trim_put_, nullptr), 0);
  TROUPE_ASSERT(raft_.log.offset + 1 == first || raft_.log.offset + 1 < first);
}

/// Healthy followers need no entry up to this index any more.
std::uint64_t consensus::engine::needed_by_followers() const {
  std::uint64_t needed = raft_.last_applied;
  if (!is_leader())
    return needed;
  for (const auto& member : members().members) {
    if (member.replica == self_ || member.role == member_role::joining)
      continue;
    auto progress = progress_of(member, now_);
    if (!progress.healthy)
      continue;
    auto offer = offers_.find(member.replica);
    auto from = offer == offers_.end() ? progress.match_index
                                       : std::max(progress.match_index, offer->second.index);
    needed = std::min<std::uint64_t>(needed, from);
  }
  return needed;
}

/// The library wants to send its last snapshot to somebody. What is really offered is decided in
/// offer_for, when it tells to whom.
void consensus::engine::complete_get(struct ::raft_io_snapshot_get* request,
                                     ::raft_io_snapshot_get_cb cb) {
  auto* snapshot =
    static_cast<struct ::raft_snapshot*>(raft_calloc(1, sizeof(struct ::raft_snapshot)));
  snapshot->index = raft_.last_applied;
  snapshot->term = mirror_.term_of(raft_.last_applied);
  raft_configuration_init(&snapshot->configuration);
  snapshot->bufs = static_cast<struct ::raft_buffer*>(raft_malloc(sizeof(struct ::raft_buffer)));
  snapshot->bufs[0].base = raft_malloc(1);
  snapshot->bufs[0].len = 1;
  snapshot->n_bufs = 1;
  cb(request, snapshot, 0);
}

/// What `to` may start from: the entry itself and those behind it are in memory. An offer made
/// before stands, so that the follower does not chase a moving target.
log_checkpoint consensus::engine::offer_for(replica_id to) {
  auto& offer = offers_[to];
  if (offer.index == 0 || library_term_of(offer.index) != offer.term) {
    auto applied = raft_.last_applied;
    const auto& configuration = mirror_.configuration_at_index(applied);
    offer = {applied, mirror_.term_of(applied), configuration.configuration, configuration.index,
             0};
    if (!options_.guards.committed_membership) { // as the library would do
      offer.configuration = from_library(raft_.configuration);
      offer.configuration_index = raft_.configuration_index;
    }
  }
  if (auto i = index_of_member(to); i < raft_.configuration.n)
    raft_.leader_state.progress[i].snapshot_index = offer.index;
  return offer;
}

bool consensus::engine::has_entry(std::uint64_t index, std::uint64_t term) const {
  return raft_.last_applied >= index || mirror_.term_of(index) == term;
}

void consensus::engine::deliver_message(replica_id from, const install_offer& x) {
  if (is_leader_of(x.term))
    return;
  if (has_entry(x.index, x.index_term)) {
    if (x.term == raft_.current_term)
      queue(from, append_entries_result{x.term, 0, x.index, heard_term_ == x.term ? heard_ns_ : 0});
    return;
  }
  if (pull_) // the owner tells if its source is gone
    return;
  pull_ = pull{install_token{++last_install_}, x, false, 0};
  out_->push_back(install_state{pull_->token, x.source, x.index});
}

void consensus::engine::install_done(boot_time now, install_token token, std::uint64_t state_id,
                                     consensus_effects& out) {
  begin(now, out);
  if (stopped_ || !pull_ || pull_->token != token || pull_->done) {
    out_->push_back(drop_state{token});
  } else {
    pull_->done = true;
    pull_->state_id = state_id;
  }
  settle();
}

void consensus::engine::install_failed(install_token token) {
  if (pull_ && pull_->token == token && !pull_->done)
    pull_.reset();
}

void consensus::engine::drop_pull() {
  out_->push_back(drop_state{pull_->token});
  pull_.reset();
}

/// A pulled state takes effect when a leader is known, whoever it is: what was committed once is
/// in its log too.
void consensus::engine::try_install() {
  if (!pull_ || install_put_ != nullptr)
    return;
  const auto& offer = pull_->offer;
  if (has_entry(offer.index, offer.index_term) || is_leader()) {
    drop_pull();
    return;
  }
  auto from = leader();
  if (!pull_->done || appends_in_flight() || !from)
    return;
  // The library takes a log that reaches as far for as good, if its term there is not older, and
  // acknowledges what it does not have. What is offered is committed: another entry there is not.
  if (library_term_of(offer.index) != 0) {
    reopen_from_memory(raft_.current_term, stored_vote_, offer.index);
    if (raft_.state != RAFT_FOLLOWER)
      return;
  }
  if (matched_term_ != raft_.current_term) {
    matched_term_ = raft_.current_term;
    matched_index_ = 0;
  }
  auto message = library_message(RAFT_IO_INSTALL_SNAPSHOT, from);
  auto& out = message.install_snapshot;
  out.term = raft_.current_term;
  out.last_index = offer.index;
  out.last_term = offer.index_term;
  to_library(offer.configuration, out.conf);
  out.conf_index = offer.configuration_index;
  out.data.base = raft_malloc(1); // a placeholder: the state is in the owner's tables
  out.data.len = 1;
  feeding_install_ = true;
  feed(message);
  feeding_install_ = false;
  if (install_put_ != nullptr)
    matched_index_ = std::max(matched_index_, offer.index); // answered when it is stored
  else if (pull_)
    drop_pull();
}

/// The install record is durable: the library continues behind it.
void consensus::engine::complete_install() {
  install_stored_ = {};
  install_cb_(std::exchange(install_put_, nullptr), 0);
  // The library forgets that an uncommitted configuration went with the old log, and would refuse
  // every change for ever.
  if (options_.guards.committed_membership)
    raft_.configuration_uncommitted_index = 0;
  out_->push_back(switch_state{pull_->token, pull_->state_id, checkpoint_.index});
  reported_configuration_ = checkpoint_.configuration_index;
  pull_.reset();
  complete_callbacks();
}

} // namespace troupe
