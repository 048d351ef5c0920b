#include "cluster/replica/replica_base.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace troupe {

namespace {

/// What an entry takes in the journal beside its payload, generously.
constexpr std::uint64_t entry_overhead_bytes = 128;
/// A pull that asked for nothing so long is over: longer than its own wait for a piece.
constexpr std::uint64_t outgoing_patience_ns = 15'000'000'000;

void forget_entries(consensus_message& message) {
  auto& append = std::get<append_entries>(message);
  append.entries.clear();
  append.commit_index = std::min(append.commit_index, append.prev_index);
}

std::uint64_t command_bytes(const consensus_message& message) {
  std::uint64_t sum = 0;
  if (const auto* append = std::get_if<append_entries>(&message))
    for (const auto& entry : append->entries)
      if (entry.kind == entry_kind::command)
        sum += entry.payload.size() + entry_overhead_bytes;
  return sum;
}

/// Until these are durable, consensus lets no message in that could change the log (guard C).
bool consensus_waits_for(const std::vector<log_record>& records) {
  return std::any_of(records.begin(), records.end(), [](const log_record& x) {
    return std::holds_alternative<append_record>(x) || std::holds_alternative<install_record>(x);
  });
}

} // namespace

replica_base::replica_base(replica_identity self, replica_services services,
                           const replica_options& options)
  : self_(self), services_(std::move(services)), options_(options),
    preference_(options.preference) {
  options_.consensus.seed = self.replica.value;
}

replica_base::~replica_base() {
  *alive_ = false;
  if (install_ && install_->recorded) {
    tables().close(install_->table); // whoever opens the replica next may find them in its journal
  } else if (install_) {
    end_pull();
    tables().drop(install_->table);
  }
  if (consensus_)
    tables().close(table_);
}

void replica_base::open(durable_state state) {
  state_ids_ = state.checkpoint.state_id;
  table_ = table_of(self_.replica, static_cast<std::uint16_t>(state_ids_));
  tables().open(table_, state.checkpoint.index);
  replay_until_ = state.checkpoint.index + state.entries.size();
  drop_other_tables();
  on_opened();
  consensus_effects out;
  consensus_.emplace(self_.replica, std::move(state), options_.consensus, now(), out);
  for (auto& effect : out)
    effects_.push_back(std::move(effect));
  drain();
}

/// A replica that died between the record of a switch and the switch left a table behind.
void replica_base::drop_other_tables() {
  tables().present([this, alive = alive_](const expected<std::vector<table_id>>& found) {
    if (!*alive || !found) // an error of the tables ends the replica anyhow
      return;
    for (auto other : *found)
      if (owner_of(other) == self_.replica && other != table_
          && !(install_ && install_->table == other))
        tables().drop(other);
  });
}

template <class Step>
void replica_base::drive(Step step) {
  if (!is_open())
    return;
  consensus_effects out;
  step(*consensus_, out);
  for (auto& effect : out)
    effects_.push_back(std::move(effect));
  drain();
}

/// Orders that arise while one is executed come after those that were there before.
void replica_base::drain() {
  if (draining_)
    return;
  draining_ = true;
  while (!effects_.empty() && !finished_) {
    auto effect = std::move(effects_.front());
    effects_.pop_front();
    std::visit([this](auto& x) { execute(x); }, effect);
  }
  draining_ = false;
  services_.volume->pump();
}

void replica_base::receive(replica_id from, consensus_message message) {
  bool in_order = std::holds_alternative<append_entries>(message) && !waiting_.empty();
  auto bytes = command_bytes(message);
  if (bytes == 0 && !in_order)
    return hand_over(from, std::move(message));
  // Beyond the limits it is lost, as any message may be.
  if (waiting_.size() < options_.consensus.input_queue_max
      && (waiting_.empty() || waiting_bytes_ + bytes <= options_.consensus.tail_bytes_max)) {
    waiting_bytes_ += bytes;
    waiting_.push_back({from, std::move(message)});
  }
  take_waiting();
}

void replica_base::hand_over(replica_id from, consensus_message message) {
  drive(
    [&](consensus& c, consensus_effects& out) { c.receive(now(), from, std::move(message), out); });
}

/// While consensus waits for an order it would keep the message, and the room that the journal had
/// for it may be gone when its turn comes.
void replica_base::take_waiting() {
  while (!waiting_.empty() && orders_ == 0 && !draining_ && is_open()) {
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    auto bytes = command_bytes(next.message);
    waiting_bytes_ -= bytes;
    if (bytes > 0 && !journal_admits(bytes))
      forget_entries(next.message); // the leader sends them again; it and its commits are heard
    hand_over(next.from, std::move(next.message));
  }
}

void replica_base::tick() {
  if (!services_.volume->health())
    finished_ = true; // its leader, if it is one, must not keep the group waiting
  drive([&](consensus& c, consensus_effects& out) { c.tick(now(), out); });
  if (!is_open())
    return;
  take_waiting();
  checkpoint_if_due();
  go_home_if_due();
}

expected<proposal_token> replica_base::propose(std::span<const shared_bytes> commands) {
  if (!is_open())
    return error{errc::not_leader, "replica is being opened"};
  if (const auto& health = services_.volume->health(); !health)
    return health.error();
  std::uint64_t bytes = options_.journal_margin_bytes;
  for (const auto& command : commands)
    bytes += command.size() + entry_overhead_bytes;
  if (!journal_admits(bytes))
    return error{errc::busy, "journal is full"};
  consensus_effects out;
  auto token = consensus_->propose(now(), commands, out);
  for (auto& effect : out)
    effects_.push_back(std::move(effect));
  drain();
  return token;
}

bool replica_base::journal_admits(std::uint64_t bytes) {
  bool admitted = services_.volume->admits(bytes);
  if (!admitted && !journal_full_)
    raise(event_severity::warn, "journal_full", {});
  journal_full_ = !admitted;
  return admitted;
}

std::uint64_t replica_base::applied_through() const {
  return consensus_ && effects_.empty() ? consensus_->last_applied() : 0;
}

void replica_base::apply_rows(table_batch rows, std::uint64_t index) {
  tables().apply(table_, std::move(rows), index);
}

void replica_base::raise(event_severity severity, const std::string& name,
                         std::map<std::string, std::string> fields) const {
  fields["partition"] = std::to_string(self_.group.value);
  fields["replica"] = std::to_string(self_.replica.value);
  services_.event(severity, name, std::move(fields));
}

// -- orders of consensus --------------------------------------------------------------------------

void replica_base::execute(send_message& x) {
  services_.send({self_.group, self_.replica, x.to, std::move(x.body)});
}

void replica_base::execute(store_records& x) {
  // What is dropped from the log was never committed, and so never applied.
  for (const auto& record : x.records)
    if (const auto* cut = std::get_if<truncate_record>(&record))
      replay_until_ = std::min(replay_until_, cut->from - 1);
  bool waited_for = consensus_waits_for(x.records);
  bool again = std::any_of(x.records.begin(), x.records.end(), [](const log_record& r) {
    return std::holds_alternative<rewrite_record>(r);
  });
  orders_ += waited_for ? 1 : 0;
  services_.volume->append(
    self_.replica, x.records,
    [this, alive = alive_, token = x.token, waited_for, again](const expected<void>& result) {
      if (!*alive)
        return;
      orders_ -= waited_for ? 1 : 0;
      rewriting_ = rewriting_ && !again;
      stored(token, result);
    });
}

void replica_base::stored(store_token token, const expected<void>& result) {
  if (!result)
    raise(event_severity::error, "journal_append_failed", {{"why", result.error().context}});
  drive([&](consensus& c, consensus_effects& out) {
    if (result)
      c.durable(now(), token, out);
    else
      c.failed(token, out);
  });
  take_waiting();
}

void replica_base::execute(apply_command& x) {
  if (consensus_->role() == consensus_role::leader)
    ++commits_;
  on_command(x);
}

void replica_base::execute(proposal_finished& x) {
  on_proposal(x);
}

void replica_base::execute(role_changed& x) {
  if (x.role == consensus_role::stopped)
    finished_ = true;
  on_role(x);
}

void replica_base::execute(members_changed&) {}
void replica_base::execute(change_finished&) {}
void replica_base::execute(transfer_finished&) {}

void replica_base::execute(reopen_group& x) {
  raise(event_severity::warn, "replica_reopened", {{"why", x.reason}});
  finished_ = true;
}

// -- checkpoints ----------------------------------------------------------------------------------

void replica_base::checkpoint_if_due() {
  if (checkpointing_)
    return;
  bool due = raft().bytes_since_checkpoint() >= options_.checkpoint_bytes;
  std::uint64_t rewrite_bytes_max = 0;
  for (const auto& laggard : services_.volume->laggards())
    if (laggard.replica == self_.replica) {
      due = true;
      rewrite_bytes_max = laggard.rewrite_bytes_max;
    }
  if (raft().last_applied() <= raft().checkpoint_index())
    return rewrite_if_fits(rewrite_bytes_max);
  if (!due)
    return;
  checkpointing_ = true;
  auto done = [this, alive = alive_, through = applied_through()](expected<std::uint64_t> index) {
    if (!*alive)
      return;
    checkpointing_ = false;
    if (!index)
      return raise(event_severity::error, "checkpoint_failed", {{"why", index.error().context}});
    drive([&](consensus& c, consensus_effects& out) {
      c.checkpointed(std::max(*index, through), out);
    });
  };
  tables().checkpoint(table_, std::move(done));
  services_.volume->pump();
}

/// Entries that are not committed hold the journal back, and without a majority they never are:
/// they go to its head, so that others can go on writing.
void replica_base::rewrite_if_fits(std::uint64_t bytes_max) {
  auto count = raft().last_index() - raft().checkpoint_index();
  auto bytes = raft().bytes_since_checkpoint() + count * entry_overhead_bytes;
  if (rewriting_ || count == 0 || bytes > bytes_max)
    return;
  drive([&](consensus& c, consensus_effects& out) { rewriting_ = c.rewrite_log(out); });
  raise(event_severity::debug, "log_written_again", {{"bytes", std::to_string(bytes)}});
}

// -- leadership goes home -------------------------------------------------------------------------

void replica_base::set_preferred_leader(replica_id preferred, bool its_node_is_up) {
  preferred_ = preferred;
  preferred_node_up_ = its_node_is_up;
}

void replica_base::go_home_if_due() {
  bool leads = raft().leader_ready();
  bool well = false;
  if (leads && preferred_ != self_.replica)
    for (const auto& f : raft().followers(now()))
      if (f.member.replica == preferred_)
        well = preferred_node_up_ && f.healthy && f.caught_up;
  if (!preference_.look(leads, self_.replica, preferred_, well, now()))
    return;
  if (auto begun = hand_over(preferred_); !begun)
    raise(event_severity::debug, "transfer_refused", {{"why", begun.error().context}});
}

expected<void> replica_base::hand_over(replica_id to) {
  if (!is_open() || !raft().leader_ready())
    return error{errc::not_leader, "partition " + std::to_string(self_.group.value)};
  for (const auto& f : raft().followers(now()))
    if (!to && f.healthy && f.caught_up)
      to = f.member.replica;
  expected<void> begun;
  drive(
    [&](consensus& c, consensus_effects& out) { begun = c.transfer_leadership(now(), to, out); });
  return begun;
}

std::vector<replica_id> replica_base::missing_replicas() const {
  std::vector<replica_id> out;
  if (is_open())
    for (const auto& f : raft().followers(now()))
      if (!f.healthy)
        out.push_back(f.member.replica);
  return out;
}

// -- state installs -------------------------------------------------------------------------------

void replica_base::execute(install_state& x) {
  if (install_)
    abort_install(error{errc::interrupted, "a newer state is offered"});
  auto id = ++state_ids_;
  install_ =
    install{x.token, x.from, x.index, id, table_of(self_.replica, static_cast<std::uint16_t>(id))};
  raise(event_severity::info, "state_install_started",
        {{"from", std::to_string(x.from.value)}, {"index", std::to_string(x.index)}});
  begin_install();
}

void replica_base::begin_install() {
  auto id = install_->state_id;
  services_.pull(
    {self_.group, install_->from, 0, 0}, [this, alive = alive_, id](expected<state_piece> piece) {
      if (!*alive || !install_ || install_->state_id != id)
        return;
      if (!piece)
        return abort_install(piece.error());
      if (piece->index < install_->index)
        return abort_install(error{errc::stale, "the source is behind what it offered"});
      install_->pull = piece->pull;
      tables().import_begin(install_->table, [this, alive, id](const expected<void>& begun) {
        if (!*alive || !install_ || install_->state_id != id)
          return;
        if (!begun)
          return abort_install(begun.error());
        next_piece();
      });
      services_.volume->pump();
    });
}

void replica_base::next_piece() {
  services_.pull({self_.group, install_->from, install_->pull, ++install_->piece},
                 [this, alive = alive_, id = install_->state_id](expected<state_piece> piece) {
                   if (*alive)
                     take_piece(id, std::move(piece));
                 });
}

void replica_base::take_piece(std::uint64_t state_id, expected<state_piece> piece) {
  if (!install_ || install_->state_id != state_id)
    return;
  if (!piece)
    return abort_install(piece.error());
  auto after = [this, alive = alive_, state_id,
                last = piece->rows.empty()](const expected<void>& result) {
    if (!*alive || !install_ || install_->state_id != state_id)
      return;
    if (!result)
      return abort_install(result.error());
    if (!last)
      return next_piece();
    install_->recorded = true;
    drive([&](consensus& c, consensus_effects& out) {
      c.install_done(now(), install_->token, state_id, out);
    });
  };
  if (piece->rows.empty()) {
    tables().import_finish(install_->table, install_->index, after);
  } else {
    auto view = piece->rows.view();
    tables().import_chunk(install_->table, byte_vector(view.begin(), view.end()), after);
  }
  services_.volume->pump();
}

/// Tells the source that the next one need not wait.
void replica_base::end_pull() {
  if (install_->pull != 0 && !install_->recorded)
    services_.pull({self_.group, install_->from, install_->pull, 0},
                   [](const expected<state_piece>&) {});
}

void replica_base::abort_install(const error& why) {
  raise(event_severity::warn, "state_install_failed", {{"why", why.context}});
  end_pull();
  auto gone = *install_;
  install_.reset();
  tables().drop(gone.table);
  if (consensus_)
    consensus_->install_failed(gone.token);
}

void replica_base::execute(switch_state& x) {
  TROUPE_ASSERT(install_ && install_->token == x.token);
  auto old = std::exchange(table_, install_->table);
  install_.reset();
  outgoing_.reset();
  replay_until_ = x.index; // these tables are whole
  tables().drop(old);
  raise(event_severity::info, "state_install_done", {{"index", std::to_string(x.index)}});
  on_state_replaced();
}

void replica_base::execute(drop_state& x) {
  if (!install_ || install_->token != x.token)
    return;
  end_pull();
  tables().drop(install_->table);
  install_.reset();
}

void replica_base::serve_pull(const pull_state& request,
                              std::function<void(expected<state_piece>)> done) {
  if (!is_open())
    return done(error{errc::unavailable, "replica is being opened"});
  if (request.pull == 0)
    begin_outgoing(std::move(done));
  else if (request.piece == 0)
    end_outgoing(request.pull, done);
  else
    give_piece(request, std::move(done));
  services_.volume->pump();
}

/// One pull at a time: two that share a cursor would each miss what the other got.
void replica_base::begin_outgoing(std::function<void(expected<state_piece>)> done) {
  if (outgoing_ && now().ns < outgoing_->used.ns + outgoing_patience_ns)
    return done(error{errc::busy, "another replica pulls this state"});
  tables().export_end(table_);              // whoever pulled before gave up
  outgoing_ = outgoing{now().ns, 0, now()}; // no earlier pull, of this process or another, had it
  tables().export_begin(table_,
                        [done, pull = outgoing_->pull, through = applied_through()](auto index) {
                          if (index)
                            done(state_piece{pull, std::max(*index, through), {}});
                          else
                            done(index.error());
                        });
}

void replica_base::end_outgoing(std::uint64_t pull,
                                const std::function<void(expected<state_piece>)>& done) {
  if (!outgoing_ || outgoing_->pull != pull)
    return done(error{errc::stale, "this pull is not the one that is served"});
  tables().export_end(table_);
  outgoing_.reset();
  done(state_piece{pull, 0, {}});
}

void replica_base::give_piece(const pull_state& request,
                              std::function<void(expected<state_piece>)> done) {
  if (!outgoing_ || outgoing_->pull != request.pull || outgoing_->piece + 1 != request.piece)
    return done(error{errc::stale, "this pull is not the one that is served, or out of order"});
  outgoing_->piece = request.piece;
  outgoing_->used = now();
  tables().export_chunk(
    table_, [this, alive = alive_, pull = request.pull, done](expected<byte_vector> rows) {
      if (*alive && outgoing_ && outgoing_->pull == pull && (!rows || rows->empty())) {
        tables().export_end(table_);
        outgoing_.reset();
      }
      if (rows)
        done(state_piece{pull, 0, shared_bytes{std::move(*rows)}});
      else
        done(rows.error());
    });
}

replica_report replica_base::report() const {
  replica_report out;
  out.group = self_.group;
  out.replica = self_.replica;
  out.drive = self_.drive;
  out.preferred_leader = preferred_;
  if (!consensus_)
    return out;
  const auto& c = *consensus_;
  out.role = c.role() == consensus_role::leader      ? replica_role::leader
             : c.role() == consensus_role::candidate ? replica_role::candidate
                                                     : replica_role::follower;
  for (const auto& m : c.members().members)
    if (m.replica == self_.replica && m.role != member_role::voter)
      out.role = replica_role::learner;
  out.leader = c.leader();
  out.term = c.term();
  out.commit_index = c.commit_index();
  out.applied_index = c.last_applied();
  out.checkpoint_index = c.checkpoint_index();
  out.commits = commits_;
  out.missing = missing_replicas();
  return out;
}

} // namespace troupe
