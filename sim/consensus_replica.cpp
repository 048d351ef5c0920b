#include "sim/consensus_replica.hpp"

#include <ostream>

namespace troupe {

namespace {

constexpr std::uint64_t ms = 1'000'000;
/// More reopenings than this of one replica mean that it is damaged.
constexpr std::uint64_t reopens_max = 30;

} // namespace

consensus_options simulated_options(const consensus_run& run, std::uint64_t seed) {
  consensus_options options;
  options.election_timeout_ms = 300;
  options.heartbeat_ms = 50;
  options.install_timeout_ms = 500;
  options.catch_up_round_ms = 500;
  options.message_bytes_max = 60; // four or five commands
  options.tail_bytes_max = 600;
  options.tail_entries_max = 40;
  options.lagging_bytes_max = 3000;
  options.batch_bytes_max = 4096;
  options.input_queue_max = 64;
  options.pre_vote = run.pre_vote;
  options.guards = run.guards;
  options.backend_errors_per_million = run.planted.backend_errors_per_million;
  options.seed = seed;
  return options;
}

consensus_replica::consensus_replica(consensus_surroundings& world, replica_id id,
                                     durable_state state, std::uint64_t seed)
  : world_(world), id_(id), seed_(seed), disk_(std::move(state)) {
  auto& random = world_.random;
  clock_offset_ns_ = random.between(1, 1'000'000) * ms;
  auto rate = world_.run.faults.clock_rate_ppm_max;
  clock_rate_ppm_ =
    static_cast<std::int64_t>(random.below(2ULL * rate + 1)) - static_cast<std::int64_t>(rate);
  checkpoint_step_ = random.between(3, 60);
}

boot_time consensus_replica::now() const {
  auto real = static_cast<std::int64_t>(world_.events.now());
  return {clock_offset_ns_ + static_cast<std::uint64_t>(real + real / 1'000'000 * clock_rate_ppm_)};
}

void consensus_replica::trace(const char* what, std::uint64_t a, std::uint64_t b) const {
  if (world_.run.trace != nullptr)
    *world_.run.trace << world_.events.now() / ms << " ms replica " << id_.value << " " << what
                      << " " << a << " " << b << "\n";
}

void consensus_replica::after(std::uint64_t delay, std::function<void()> what) {
  world_.events.after(delay, [this, opening = opening_, what = std::move(what)] {
    if (consensus_ != nullptr && opening_ == opening)
      what();
  });
}

void consensus_replica::start() {
  if (up() || dead_)
    return;
  ++opening_;
  written_token_ = synced_token_ = 0;
  syncing_ = reopening_ = false;
  pulls_.clear();
  batches_.clear();
  state_id_ = disk_.state().checkpoint.state_id;
  applied_index_ = disk_.state().checkpoint.index;
  trace("starts at", applied_index_, disk_.state().last_index());
  consensus_effects out;
  consensus_ = std::make_unique<consensus>(
    id_, disk_.state(), simulated_options(world_.run, seed_ + opening_), now(), out);
  execute(out);
}

void consensus_replica::crash() {
  if (!up())
    return;
  trace("crashes");
  consensus_.reset();
  ++opening_;
  ++world_.verdict.crashes;
  disk_.crash(world_.random);
}

void consensus_replica::die() {
  trace("dies for ever");
  consensus_.reset();
  ++opening_;
  dead_ = true;
}

void consensus_replica::receive(replica_id from, consensus_message message) {
  if (!up() || reopening_)
    return;
  consensus_effects out;
  consensus_->receive(now(), from, std::move(message), out);
  execute(out);
}

void consensus_replica::tick() {
  if (!up() || reopening_)
    return;
  consensus_effects out;
  consensus_->tick(now(), out);
  execute(out);
}

void consensus_replica::propose(std::span<const sim_command> commands) {
  std::vector<shared_bytes> bytes;
  std::vector<std::uint64_t> ids;
  for (const auto& command : commands) {
    bytes.push_back(encode_command(command));
    ids.push_back(command.id);
  }
  consensus_effects out;
  // The token is known only after the step; a sole voter may finish the batch within it.
  auto token = consensus_->propose(now(), bytes, out);
  if (token)
    batches_[token->value] = std::move(ids);
  execute(out);
}

void consensus_replica::execute(consensus_effects& effects) {
  for (auto& effect : effects) {
    if (!world_.checker.violation().empty())
      return;
    std::visit([&](auto& x) { run_effect(x); }, effect);
  }
  maybe_checkpoint();
}

void consensus_replica::run_effect(send_message& x) {
  world_.checker.sent(id_, opening_, x);
  check_promise(x);
  world_.send(id_, std::move(x));
}

/// What a message promises must be true of the disk when it leaves.
void consensus_replica::check_promise(const send_message& x) {
  if (const auto* result = std::get_if<append_entries_result>(&x.body)) {
    if (result->rejected_index == 0)
      world_.checker.acknowledges(id_, disk_.state(), *result, world_.written(x.to, result->term));
    return;
  }
  if (const auto* vote = std::get_if<request_vote_result>(&x.body);
      vote && vote->granted && !vote->pre_vote)
    world_.checker.votes(id_, disk_.state(), vote->term, x.to);
  if (const auto* vote = std::get_if<request_vote>(&x.body); vote && !vote->pre_vote)
    world_.checker.votes(id_, disk_.state(), vote->term, id_);
}

void consensus_replica::run_effect(const store_records& x) {
  if (!disk_.write(x.token.value, x.records))
    world_.checker.misfit(id_);
  written_token_ = x.token.value;
  start_sync();
}

std::uint64_t consensus_replica::sync_latency() const {
  auto& random = world_.random;
  if (world_.events.now() < slow_until_)
    return random.between(slow_latency_ns_ / 2, slow_latency_ns_);
  return random.between(ms / 5, 4 * ms);
}

/// One sync at a time; it covers everything written before it began.
void consensus_replica::start_sync() {
  if (syncing_ || synced_token_ == written_token_)
    return;
  syncing_ = true;
  after(sync_latency(), [this, token = written_token_] {
    syncing_ = false;
    if (world_.run.planted.lying_disk)
      after(300 * ms, [this, token] { disk_.sync(token); });
    else
      disk_.sync(token);
    synced_token_ = token;
    consensus_effects out;
    consensus_->durable(now(), store_token{token}, out);
    start_sync();
    execute(out);
  });
}

void consensus_replica::run_effect(const apply_command& x) {
  auto command = decode_command(x.command.view());
  if (x.index <= applied_index_)
    world_.checker.fail("replica " + std::to_string(id_.value) + " applied index "
                        + std::to_string(x.index) + " after " + std::to_string(applied_index_));
  applied_index_ = x.index;
  world_.checker.applied(id_, x.index, x.term, command);
  disk_.tables(state_id_).apply(command);
}

/// Now and then the tables are synced and the journal is told so.
void consensus_replica::maybe_checkpoint() {
  if (!up() || reopening_)
    return;
  auto applied = consensus_->last_applied();
  if (applied < consensus_->checkpoint_index() + checkpoint_step_)
    return;
  disk_.sync_tables(state_id_);
  consensus_effects out;
  consensus_->checkpointed(applied, out);
  execute(out);
}

void consensus_replica::run_effect(const proposal_finished& x) {
  auto batch = batches_.find(x.token.value);
  if (batch == batches_.end())
    return;
  if (x.outcome == proposal_outcome::committed)
    for (auto id : batch->second)
      world_.checker.acknowledged(id);
  batches_.erase(batch);
}

void consensus_replica::run_effect(const role_changed& x) {
  trace(x.role == consensus_role::leader      ? "leads in term, leader ready"
        : x.role == consensus_role::candidate ? "is a candidate in term"
                                              : "follows in term, leader",
        x.term, x.role == consensus_role::leader ? x.leader_ready : x.leader.value);
  if (x.leader_ready)
    world_.checker.led(id_, opening_, x.term);
}

void consensus_replica::run_effect(const change_finished& x) {
  trace("finished a membership change of replica, done", x.replica.value, x.done);
  if (!x.done)
    return;
  ++world_.verdict.membership_changes;
  world_.changed(id_, x.replica);
}

void consensus_replica::run_effect(const install_state& x) {
  trace("pulls a state from replica, index", x.from.value, x.index);
  pull(x, 3);
}

/// The stream takes a while; what it carries is the source's state when it begins.
void consensus_replica::pull(install_state what, std::uint64_t tries) {
  auto& random = world_.random;
  after(random.between(1, 20) * ms, [this, what, tries] {
    auto found = world_.pull(id_, what.from, what.index);
    if (!found) {
      if (tries > 0)
        pull(what, tries - 1);
      else
        consensus_->install_failed(what.token);
      return;
    }
    bool broken = world_.random.chance(100);
    after(world_.random.between(5, 400) * ms, [this, what, broken, state = *found] {
      auto state_id = world_.run.planted.reuse_tables ? state_id_ : disk_.new_state_id();
      auto& tables = disk_.tables(state_id);
      for (std::size_t row = 0; row < sim_tables::row_count; ++row)
        if (state.rows[row] != 0 && (!broken || row < sim_tables::row_count / 2))
          tables.rows[row] = state.rows[row];
      disk_.sync_tables(state_id);
      if (broken) { // the rows stay behind as garbage
        consensus_->install_failed(what.token);
        return;
      }
      pulls_[what.token.value] = state_id;
      consensus_effects out;
      consensus_->install_done(now(), what.token, state_id, out);
      execute(out);
    });
  });
}

void consensus_replica::run_effect(const switch_state& x) {
  trace("switches to a pulled state, index", x.index);
  ++world_.verdict.installs;
  if (x.state_id != state_id_)
    disk_.drop_tables(state_id_);
  state_id_ = x.state_id;
  applied_index_ = x.index;
}

void consensus_replica::run_effect(const drop_state& x) {
  auto at = pulls_.find(x.token.value);
  if (at != pulls_.end() && at->second != state_id_)
    disk_.drop_tables(at->second);
}

void consensus_replica::run_effect(const reopen_group&) {
  trace("must be opened anew");
  ++world_.verdict.reopens;
  if (++reopens_ > reopens_max)
    world_.checker.fail("replica " + std::to_string(id_.value) + " must be opened anew for ever");
  // Everything that was ordered becomes durable first, as in a real journal.
  reopening_ = true;
  world_.events.after(sync_latency(), [this, opening = opening_] {
    if (consensus_ == nullptr || opening_ != opening)
      return;
    disk_.sync(written_token_);
    consensus_.reset();
    start();
  });
}

} // namespace troupe
