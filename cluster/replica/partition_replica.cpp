#include "cluster/replica/partition_replica.hpp"

#include "messages/overload.hpp"
#include "storage/base/assert.hpp"
#include "storage/meta/partition_entry_format.hpp"

namespace troupe {

namespace {

/// A row holds up to a block of a small file: together they must fit into an answer and the cache.
constexpr std::uint32_t rows_per_answer = 64;

} // namespace

partition_replica::partition_replica(replica_identity self, replica_services services,
                                     const replica_options& options, partition_services partition,
                                     const partition_options& partition_options,
                                     cluster_config config)
  : replica_base(self, std::move(services), options), partition_(std::move(partition)),
    partition_options_(partition_options), config_(std::move(config)) {}

partition_now partition_replica::present() const {
  partition_now now_is;
  now_is.boot = now();
  now_is.wall = services_.time->wall();
  now_is.read_lease_until = is_open() ? raft().read_lease_until() : boot_time{};
  now_is.node_lease_until = services_.node_lease_until();
  now_is.store_overloaded = tables().overloaded();
  now_is.metadata_full = services_.volume->metadata_full();
  return now_is;
}

void partition_replica::make_state() {
  ++states_;
  in_flight_.reset();
  state_.reset(); // before the view that it borrows
  view_ = tables().view(table());
  state_ =
    std::make_unique<partition_state>(self_.group, self_.replica, *view_, partition_options_);
  partition_effects out;
  state_->adopt(config_, present(), out);
  run(out);
}

void partition_replica::on_opened() {
  make_state();
}

void partition_replica::on_state_replaced() {
  // Only a follower installs a state: it owes nobody an answer but "not the leader".
  for (auto& [token, done] : std::exchange(waiting_, {}))
    done({error{errc::not_leader, "replica replaced its state"}, false, {}, {}, {}});
  make_state();
  step([&](partition_state& s, const partition_now& n, partition_effects& out) {
    s.role_changed(role_, n, out); // the new state cannot know whom it follows
  });
}

template <class Step>
void partition_replica::step(Step step) {
  if (!state_)
    return;
  partition_effects out;
  step(*state_, present(), out);
  run(out);
}

void partition_replica::request(meta_request body, std::function<void(meta_response)> done) {
  if (!state_ || !is_open())
    return done({error{errc::not_leader, "replica is being opened"}, false, {}, {}, {}});
  auto token = ++tokens_;
  waiting_[token] = std::move(done);
  step([&](partition_state& s, const partition_now& n, partition_effects& out) {
    s.request(token, std::move(body), n, out);
  });
  services_.volume->pump();
}

void partition_replica::adopt(const cluster_config& config) {
  config_ = config;
  step([&](partition_state& s, const partition_now& n, partition_effects& out) {
    s.adopt(config, n, out);
  });
}

void partition_replica::on_role(const role_changed& role) {
  role_ = {role.role == consensus_role::leader, role.leader_ready, role.term, role.leader};
  step([&](partition_state& s, const partition_now& n, partition_effects& out) {
    s.role_changed(role_, n, out);
  });
}

void partition_replica::on_command(const apply_command& command) {
  auto entry = decode_partition_entry(command.command.view());
  TROUPE_ASSERT(entry); // written by a leader of ours, carried under checksums
  auto rows = to_batch(*entry);
  apply_rows(rows, command.index);
  step([&](partition_state& s, const partition_now& n, partition_effects& out) {
    s.applied(rows, n, out);
  });
}

void partition_replica::on_proposal(const proposal_finished& result) {
  auto batch = std::exchange(in_flight_, std::nullopt);
  if (!batch)
    return;
  step([&](partition_state& s, const partition_now& n, partition_effects& out) {
    s.proposal_finished(*batch, result.outcome == proposal_outcome::committed, n, out);
  });
}

void partition_replica::tick() {
  replica_base::tick();
  if (!is_open())
    return;
  step([&](partition_state& s, const partition_now& n, partition_effects& out) {
    s.tick(missing_replicas(), n, out);
  });
  services_.volume->pump();
}

void partition_replica::run(partition_effects& effects) {
  for (auto& effect : effects)
    std::visit(overload{[&](propose_entries& x) { run(x); }, [&](load_rows& x) { run(x); },
                        [&](send_frees& x) { run(x); },
                        [&](reply_meta& x) {
                          auto it = waiting_.find(x.token);
                          if (it == waiting_.end())
                            return;
                          auto done = std::move(it->second);
                          waiting_.erase(it);
                          ++answered_;
                          done(std::move(x.response));
                        },
                        [&](reply_floor&) {}, // nobody raises floors yet
                        [&](fetch_newer_config& x) { partition_.fetch_config(x.at_least); },
                        [&](partition_event& x) { raise(x.severity, x.name, x.fields); }},
               effect);
}

void partition_replica::run(propose_entries& x) {
  in_flight_ = x.batch;
  if (propose(x.entries))
    return;
  in_flight_.reset();
  step([&](partition_state& s, const partition_now& n, partition_effects& out) {
    s.proposal_refused(x.batch, n, out);
  });
}

void partition_replica::run(load_rows& x) {
  tables().load(
    table(), std::move(x.needs),
    [this, alive = alive_, generation = states_, token = x.token](const expected<void>& loaded) {
      if (!*alive || generation != states_)
        return;
      step([&](partition_state& s, const partition_now& n, partition_effects& out) {
        s.rows_loaded(token, loaded, n, out);
      });
    });
  services_.volume->pump();
}

void partition_replica::run(send_frees& x) {
  partition_.free_runs(x.drive, std::move(x.runs),
                       [this, alive = alive_, generation = states_, number = x.number](bool taken) {
                         if (!*alive || generation != states_)
                           return;
                         step([&](partition_state& s, const partition_now& n,
                                  partition_effects& out) { s.frees_sent(number, taken, n, out); });
                       });
}

void partition_replica::read_rows(const std::string& after_key,
                                  std::function<void(expected<partition_rows>)> done) {
  if (!state_ || !state_->serving() || !present().may_read())
    return done(error{errc::not_leader, "partition " + std::to_string(self_.group.value)});
  table_range range{after_key.empty() ? after_key : after_key + '\0', "\xff\xff\xff\xff\xff\xff",
                    rows_per_answer, false};
  auto found = tables().scan(table(), range);
  if (found.missing) {
    tables().load(table(), {{}, {*found.missing}},
                  [this, alive = alive_, after_key, done](const expected<void>& loaded) {
                    if (!loaded)
                      return done(loaded.error());
                    if (*alive)
                      read_rows(after_key, done);
                  });
    return services_.volume->pump();
  }
  partition_rows out;
  for (auto& row : found.rows)
    out.rows.emplace_back(std::move(row.key), std::move(row.value));
  out.end = !found.more;
  done(std::move(out));
}

replica_report partition_replica::report() const {
  auto out = replica_base::report();
  out.requests = answered_;
  out.serving = state_ && state_->serving() && services_.node_lease_until() > now();
  return out;
}

} // namespace troupe
