#pragma once

#include "cluster/partition/partition_state.hpp"
#include "storage/meta/ordered_engine.hpp"
#include "storage/meta/table_store.hpp"

#include <catch2/catch.hpp>

#include <deque>
#include <memory>

namespace troupe::test {

inline constexpr group_id the_group{1};
inline constexpr client_id alice{101};
inline constexpr client_id bob{102};

inline drive_uuid drive_number(std::uint8_t n) {
  drive_uuid x;
  x.bytes[0] = n;
  return x;
}

/// Three nodes with two drives each; one partition with all slots and a replica on each node.
inline cluster_config three_nodes(std::uint64_t version) {
  cluster_config config;
  config.version = config_version{version};
  for (std::uint32_t n = 1; n <= 3; ++n) {
    config.nodes[node_id{n}] = {node_id{n}, "", node_state::up, incarnation{1}};
    for (std::uint8_t bay = 0; bay < 2; ++bay) {
      auto id = drive_number(static_cast<std::uint8_t>(2 * n + bay));
      config.drives[id] = {id, node_id{n}, drive_bay{bay}, drive_state::healthy, incarnation{1}, 0};
    }
  }
  group_record group{the_group, {}, {}};
  for (std::uint32_t n = 1; n <= 3; ++n)
    group.replicas.push_back(
      {replica_id{10 + n}, drive_number(static_cast<std::uint8_t>(2 * n)), node_id{n}});
  config.groups[the_group] = group;
  config.slots = {{0, slot_count, the_group}};
  return config;
}

/// Three replicas of one partition, each with real tables over the ordered engine, and a log that
/// takes or loses batches when the test says so. At most one replica leads.
class partition_harness {
public:
  struct replica {
    explicit replica(std::uint64_t number, const partition_options& options)
      : engine(std::make_shared<ordered_engine>()), store(engine, small()) {
      store.open(table, 0);
      view = store.view(table);
      state.emplace(the_group, replica_id{number}, *view, options);
    }
    static table_store_options small() {
      table_store_options options;
      options.cache_bytes = 30'000; // rows are evicted and loaded again
      return options;
    }
    static constexpr table_id table{1};
    std::shared_ptr<ordered_engine> engine;
    table_store store;
    std::unique_ptr<table_view> view;
    std::optional<partition_state> state;
    std::uint64_t applied = 0; ///< Entries of the log.
    std::deque<load_rows> loads;
    std::optional<propose_entries> proposal;
  };

  explicit partition_harness(partition_options options = {}) {
    for (std::uint64_t number : {11, 12, 13})
      replicas.push_back(std::make_unique<replica>(number, options));
    now.boot = {1'000'000'000'000};
    now.wall = {5'000'000'000};
    for (auto& r : replicas)
      give_config(*r, three_nodes(1));
  }
  /// Leases that do not run out unless a test says so.
  void renew_leases() {
    now.read_lease_until = {now.boot.ns + 3'600'000'000'000};
    now.node_lease_until = now.read_lease_until;
  }

  replica& leader() { return *replicas.at(leader_index); }
  partition_state& state() { return *leader().state; }

  /// The replica leads in a new term, with the whole log applied.
  void elect(std::size_t index) {
    leader_index = index;
    ++term;
    renew_leases();
    auto& r = leader();
    partition_effects out;
    r.state->role_changed({true, false, term, id_of(index)}, now, out);
    run(r, out);
    catch_up(r);
    r.state->role_changed({true, true, term, id_of(index)}, now, out);
    run(r, out);
    settle();
    for (std::size_t i = 0; i < replicas.size(); ++i)
      if (i != index) {
        replicas[i]->state->role_changed({false, false, term, id_of(index)}, now, out);
        run(*replicas[i], out);
      }
  }
  /// Elected, with the first entries (the root directory) committed.
  void start(std::size_t index = 0) {
    elect(index);
    commit_all();
    REQUIRE(state().serving());
  }
  /// The leader loses its place. `survived`: the batch in flight gets into the log after all.
  void depose(bool survived) {
    auto& r = leader();
    if (r.proposal && survived)
      append(*r.proposal);
    auto lost = std::exchange(r.proposal, {});
    partition_effects out;
    r.state->role_changed({false, false, term, {}}, now, out);
    if (lost)
      r.state->proposal_finished(lost->batch, false, now, out);
    run(r, out);
  }
  /// The batch in flight is committed. @returns the number of its entries; 0 if there was none.
  std::size_t commit() {
    auto& r = leader();
    auto batch = std::exchange(r.proposal, {});
    if (!batch)
      return 0;
    append(*batch);
    catch_up(r);
    partition_effects out;
    r.state->proposal_finished(batch->batch, true, now, out);
    run(r, out);
    settle();
    return batch->entries.size();
  }
  void commit_all() {
    while (commit() > 0) {
    }
  }

  void advance(std::uint64_t ms, bool leases_too = true) {
    now.boot.ns += ms * 1'000'000;
    now.wall.ns += static_cast<std::int64_t>(ms) * 1'000'000;
    if (leases_too)
      renew_leases();
  }
  void tick(std::vector<replica_id> missing = {}) {
    partition_effects out;
    state().tick(std::move(missing), now, out);
    run(leader(), out);
    settle();
  }

  /// Sends one request to the leader. @returns its token.
  partition_token send(meta_request request) { return send_to(leader(), std::move(request)); }
  partition_token send_to(replica& r, meta_request request) {
    auto token = ++tokens;
    partition_effects out;
    r.state->request(token, std::move(request), now, out);
    run(r, out);
    if (!hold_loads)
      settle();
    return token;
  }
  /// A request of a client with its next sequence of the slot.
  meta_request make(client_id client, meta_operation operation, std::uint64_t life = 1) {
    meta_request request;
    request.client = client;
    request.client_incarnation = incarnation{life};
    bool numbered =
      !is_read_only(operation) && !std::holds_alternative<op_register_client>(operation);
    if (numbered)
      request.sequence = ++sequences[{client, slot_of(operation)}];
    request.config = config_version{1};
    request.epoch = snapshot_epoch{1};
    request.operation = std::move(operation);
    return request;
  }
  /// The answer to a token that must be there.
  const meta_response& answer(partition_token token) {
    auto at = answers.find(token);
    REQUIRE(at != answers.end());
    REQUIRE(at->second.size() == 1); // exactly one
    return at->second.front();
  }
  bool answered(partition_token token) { return answers.contains(token); }
  errc code(partition_token token) {
    const auto* why = std::get_if<error>(&answer(token).outcome);
    return why ? why->code : errc::none;
  }
  template <class Result>
  Result result(partition_token token) {
    const auto& outcome = answer(token).outcome;
    if (const auto* why = std::get_if<error>(&outcome))
      FAIL(describe(*why));
    return std::get<Result>(std::get<meta_result>(outcome));
  }
  /// Sends, commits, and gives the answer.
  partition_token ask(client_id client, meta_operation operation) {
    auto token = send(make(client, std::move(operation)));
    commit_all();
    return token;
  }
  void join(client_id client, std::uint64_t life = 1) {
    auto token = send(make(client, op_register_client{slot_id{0}}, life));
    commit_all();
    CHECK(result<client_registered>(token).lease_ms == 4000);
  }
  lin create(client_id client, const std::string& name) {
    return result<entry_found>(
             ask(client, op_create{root_lin, name, {file_kind::regular, 0644, 0, 0, 0, ""}, false}))
      .child;
  }
  static op_create creates(const std::string& name, bool want_lease = false) {
    return {root_lin, name, {file_kind::regular, 0644, 0, 0, 0, ""}, want_lease};
  }

  void give_config(replica& r, const cluster_config& config) {
    partition_effects out;
    r.state->adopt(config, now, out);
    run(r, out);
    settle();
  }
  /// Loads what was asked for, until nobody asks any more.
  void settle() {
    for (auto& r : replicas)
      while (!r->loads.empty() && !hold_loads)
        finish_load(*r);
  }
  void finish_load(replica& r) {
    auto load = std::move(r.loads.front());
    r.loads.pop_front();
    expected<void> outcome;
    r.store.load(replica::table, load.needs, [&](expected<void> done) { outcome = done; });
    drain(r);
    partition_effects out;
    r.state->rows_loaded(load.token, outcome, now, out);
    run(r, out);
  }
  void run(replica& r, partition_effects& out) {
    for (auto& effect : std::exchange(out, {})) {
      if (auto* propose = std::get_if<propose_entries>(&effect)) {
        REQUIRE_FALSE(r.proposal); // one batch in flight
        r.proposal = std::move(*propose);
      } else if (auto* reply = std::get_if<reply_meta>(&effect)) {
        answers[reply->token].push_back(std::move(reply->response));
      } else if (auto* floor = std::get_if<reply_floor>(&effect)) {
        floors[floor->token] = floor->outcome;
      } else if (auto* load = std::get_if<load_rows>(&effect)) {
        r.loads.push_back(std::move(*load));
      } else if (auto* frees = std::get_if<send_frees>(&effect)) {
        sent_frees.push_back(std::move(*frees));
      } else if (auto* fetch = std::get_if<fetch_newer_config>(&effect)) {
        fetches.push_back(fetch->at_least);
      } else if (auto* event = std::get_if<partition_event>(&effect)) {
        events.push_back(event->name);
      }
    }
  }
  /// Applies a batch behind the partition's back: rows that an earlier leader committed.
  void preload(const table_batch& rows) {
    partition_entry entry;
    entry.changes = rows;
    log.push_back(shared_bytes{encode(entry)});
  }

  partition_now now;
  std::size_t leader_index = 0;
  std::uint64_t term = 0;
  partition_token tokens = 0;
  bool hold_loads = false;
  std::vector<std::unique_ptr<replica>> replicas;
  std::vector<shared_bytes> log; ///< Committed entries.
  std::map<std::pair<client_id, slot_id>, std::uint64_t> sequences;
  std::map<partition_token, std::vector<meta_response>> answers;
  std::map<partition_token, expected<void>> floors;
  std::vector<send_frees> sent_frees;
  std::vector<config_version> fetches;
  std::vector<std::string> events;

private:
  replica_id id_of(std::size_t index) const { return replica_id{11 + index}; }
  void append(const propose_entries& batch) {
    log.insert(log.end(), batch.entries.begin(), batch.entries.end());
  }
  void catch_up(replica& r) {
    while (r.applied < log.size()) {
      auto entry = decode_partition_entry(log[r.applied].view());
      REQUIRE(entry);
      auto rows = to_batch(*entry);
      r.store.apply(replica::table, rows, ++r.applied);
      drain(r);
      partition_effects out;
      r.state->applied(rows, now, out);
      run(r, out);
    }
  }
  static void drain(replica& r) {
    for (auto jobs = r.store.take_jobs(); !jobs.empty(); jobs = r.store.take_jobs())
      for (auto& job : jobs) {
        job.run();
        job.finish();
      }
  }
};

} // namespace troupe::test
