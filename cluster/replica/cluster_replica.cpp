#include "cluster/replica/cluster_replica.hpp"

#include "messages/overload.hpp"
#include "storage/base/assert.hpp"
#include "storage/meta/partition_entry_format.hpp"

namespace troupe {

namespace {

/// All rows of the group; they fit in memory many times over.
constexpr std::uint32_t rows_max = 1 << 20;

shared_bytes encode_rows(const cluster_row_changes& rows) {
  partition_entry entry;
  for (const auto& [key, value] : rows)
    entry.changes.push_back({key, value});
  return shared_bytes{encode(entry)};
}

table_range everything() {
  return {"", "\xff\xff\xff\xff", rows_max, false};
}

} // namespace

cluster_replica::cluster_replica(replica_identity self, replica_services services,
                                 const replica_options& options, cluster_config first,
                                 cluster_group_options group_options,
                                 std::function<void(const cluster_config&)> announce)
  : replica_base(self, std::move(services), options), first_(std::move(first)),
    group_options_(group_options), announce_(std::move(announce)) {}

void cluster_replica::on_opened() {
  load_rows();
}

/// What is in memory belongs to the old tables: until the new rows are here, commands only wait.
void cluster_replica::on_state_replaced() {
  early_.clear();
  load_rows();
}

void cluster_replica::load_rows() {
  loading_ = true;
  tables().load(
    table(), {{}, {everything()}},
    [this, alive = alive_, mine = ++loads_](const expected<void>& loaded) {
      if (!*alive || mine != loads_)
        return;
      if (!loaded)
        return raise(event_severity::error, "rows_unreadable", {{"why", loaded.error().context}});
      rows_loaded();
    });
  services_.volume->pump();
}

void cluster_replica::rows_loaded() {
  auto found = tables().scan(table(), everything());
  if (found.missing)
    return load_rows();
  loading_ = false;
  cluster_rows rows;
  for (auto& row : found.rows)
    rows[row.key] = std::move(row.value);
  cluster_group_effects out;
  if (state_) {
    if (auto installed = state_->installed(std::move(rows), out); !installed)
      return raise(event_severity::error, "rows_damaged", {{"why", installed.error().context}});
    for (const auto& changes : std::exchange(early_, {}))
      state_->applied(changes, out);
    return run(out);
  }
  auto config = first_;
  if (!rows.empty()) {
    auto decoded = decode_cluster_config(rows);
    if (!decoded)
      return raise(event_severity::error, "rows_damaged", {{"why", decoded.error().context}});
    config = std::move(*decoded);
  }
  state_.emplace(std::move(rows), std::move(config), group_options_);
  for (const auto& changes : std::exchange(early_, {}))
    state_->applied(changes, out);
  announced_ = false;
  if (is_open())
    state_->role_changed(raft().leader_ready(), raft().leader(), now(), out);
  run(out);
}

void cluster_replica::request(const cluster_request& body,
                              std::function<void(cluster_response)> done) {
  if (!state_)
    return done({error{errc::not_leader, "cluster group is being opened"}, {}});
  auto token = ++tokens_;
  waiting_[token] = std::move(done);
  cluster_group_effects out;
  state_->request(token, body, {now(), is_open() ? raft().read_lease_until() : boot_time{}}, out);
  run(out);
}

void cluster_replica::on_role(const role_changed& role) {
  if (!state_)
    return;
  cluster_group_effects out;
  state_->role_changed(role.leader_ready, role.leader, now(), out);
  run(out);
}

void cluster_replica::on_command(const apply_command& command) {
  auto entry = decode_partition_entry(command.command.view());
  TROUPE_ASSERT(entry); // written by a leader of ours, carried under checksums
  apply_rows(entry->changes, command.index);
  cluster_row_changes rows;
  for (const auto& change : entry->changes)
    rows[change.key] = change.value;
  if (!state_ || loading_) {
    early_.push_back(std::move(rows));
    return;
  }
  cluster_group_effects out;
  state_->applied(rows, out);
  run(out);
}

void cluster_replica::on_proposal(const proposal_finished& result) {
  if (!state_ || !std::exchange(proposed_, false))
    return;
  cluster_group_effects out;
  state_->proposal_finished(result.outcome == proposal_outcome::committed, out);
  run(out);
}

void cluster_replica::tick() {
  replica_base::tick();
  if (!state_ || !is_open())
    return;
  cluster_group_effects out;
  state_->tick(now(), out);
  run(out);
  announce_if_sure();
}

/// Tables that were not closed in peace may be ahead of their index with holes in between: until
/// everything is applied again, what they say is nobody's configuration.
void cluster_replica::announce_if_sure() {
  if (announced_ || !state_ || loading_ || !has_replayed())
    return;
  announced_ = true;
  announce_(state_->config());
}

void cluster_replica::run(cluster_group_effects& effects) {
  for (auto& effect : effects)
    std::visit(overload{[&](propose_rows& x) {
                          auto entry = encode_rows(x.rows);
                          proposed_ = true;
                          if (propose({&entry, 1}))
                            return;
                          // Nothing of it is in the log: whoever waits may ask again.
                          proposed_ = false;
                          cluster_group_effects refused;
                          state_->proposal_finished(false, refused);
                          run(refused);
                        },
                        [&](reply_cluster& x) {
                          auto it = waiting_.find(x.token);
                          TROUPE_ASSERT(it != waiting_.end());
                          auto done = std::move(it->second);
                          waiting_.erase(it);
                          ++answered_;
                          done(std::move(x.response));
                        },
                        [&](announce_config&) { announced_ = false; }},
               effect);
  announce_if_sure();
}

replica_report cluster_replica::report() const {
  auto out = replica_base::report();
  out.requests = answered_;
  out.serving = state_ && state_->leads();
  return out;
}

} // namespace troupe
