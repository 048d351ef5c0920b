#include "tests/cluster/replica/cluster_world.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

namespace troupe::test {

namespace {

drive_uuid drive_of(std::size_t node) {
  drive_uuid x;
  x.bytes.fill(static_cast<std::uint8_t>(node));
  return x;
}

journal_options small_journal() {
  journal_options x;
  x.segment_bytes = 256 * kib;
  x.batch_bytes_max = 32 * kib;
  return x;
}

} // namespace

// -- memory_volume --------------------------------------------------------------------------------

memory_volume::memory_volume(opened_journal opened, std::shared_ptr<table_engine> engine)
  : journal(std::move(opened)), tables_(std::move(engine), {}) {}

void memory_volume::append(replica_id replica, const std::vector<log_record>& records,
                           stored done) {
  if (auto lsn = journal.state.append(replica, records); lsn)
    waiting_.push_back({*lsn, std::move(done)});
  else
    done(lsn.error());
}

bool memory_volume::work() {
  bool any = false;
  while (!journal.state.idle()) {
    auto durable = write_batch(journal.state, *journal.log);
    REQUIRE(durable);
    any = true;
    while (!waiting_.empty() && waiting_.front().lsn <= *durable) {
      auto done = std::move(waiting_.front().done);
      waiting_.pop_front();
      done({});
    }
  }
  for (auto& job : tables_.take_jobs()) {
    job.run();
    job.finish();
    any = true;
  }
  return any;
}

// -- cluster_world --------------------------------------------------------------------------------

cluster_config first_config(std::size_t nodes) {
  cluster_config c;
  c.cluster.bytes[0] = 7;
  c.name = "test";
  c.version = config_version{1};
  for (std::size_t n = 1; n <= nodes; ++n) {
    node_id id{static_cast<std::uint32_t>(n)};
    c.nodes[id] = {id, "127.0.0.1:" + std::to_string(7000 + n), node_state::up, incarnation{1}};
  }
  return c;
}

group_configuration all_voters(std::size_t nodes) {
  group_configuration x;
  for (std::size_t n = 1; n <= nodes; ++n)
    x.members.push_back({replica_id{n}, member_role::voter});
  return x;
}

cluster_world::cluster_world(std::vector<durable_state> initial, replica_options options)
  : options_(options) {
  for (auto& state : initial) {
    auto& node = nodes_.emplace_back();
    auto drive = drive_of(nodes_.size());
    REQUIRE(node.files.make_directory("/journal"));
    REQUIRE(create_journal(node.files, "/journal", drive, small_journal()));
    auto journal = open_journal(node.files, "/journal", drive, small_journal());
    REQUIRE(journal);
    REQUIRE(journal->state.create_replica(id_of(nodes_.size()), group_id{0}, state));
    REQUIRE(flush_journal(*journal));
  }
  for (std::size_t n = 1; n <= nodes_.size(); ++n)
    open(n);
}

void cluster_world::open(std::size_t number) {
  auto& node = nodes_.at(number - 1);
  auto journal = open_journal(node.files, "/journal", drive_of(number), small_journal());
  REQUIRE(journal);
  auto state = std::move(journal->replicas.at(id_of(number)).state);
  node.announced.clear();
  node.volume = std::make_unique<memory_volume>(std::move(*journal), node.engine);
  node.replica = std::make_unique<cluster_replica>(
    replica_identity{group_id{0}, id_of(number), drive_of(number)}, services_for(number), options_,
    first_config(nodes_.size()), cluster_group_options{},
    [&node](const cluster_config& config) { node.announced.push_back(config); });
  node.replica->open(std::move(state));
}

replica_services cluster_world::services_for(std::size_t number) {
  replica_services out;
  auto& node = nodes_.at(number - 1);
  out.time = &clock_;
  out.volume = node.volume.get();
  out.send = [this, &node](consensus_parcel parcel) {
    mail_.push_back([this, &node, parcel = std::move(parcel)] {
      auto& to = nodes_.at(parcel.to.value - 1);
      if (!node.cut && !to.cut && to.replica)
        to.replica->receive(parcel.from, parcel.message);
    });
  };
  out.pull = [this](pull_state request, std::function<void(expected<state_piece>)> done) {
    mail_.push_back([this, request, done = std::move(done)] {
      nodes_.at(request.source.value - 1).replica->serve_pull(request, done);
    });
  };
  out.node_lease_until = [] { return boot_time{}; };
  out.event = [this](event_severity, const std::string& name, auto) { ++events_[name]; };
  return out;
}

void cluster_world::settle() {
  for (bool any = true; any;) {
    any = !mail_.empty();
    for (auto& deliver : std::exchange(mail_, {}))
      deliver();
    for (auto& node : nodes_)
      any = (node.volume && node.volume->work()) || any;
  }
}

void cluster_world::turns_for_ms(std::uint64_t ms) {
  for (std::uint64_t passed = 0; passed < ms; passed += turn_ms) {
    clock_.now.ns += turn_ms * 1'000'000;
    for (auto& node : nodes_)
      if (node.replica)
        node.replica->tick();
    settle();
  }
}

void cluster_world::give_up(const char* what) {
  FAIL("waited in vain: " << what);
  std::abort();
}

void cluster_world::crash(std::size_t number, std::uint64_t seed) {
  auto& node = nodes_.at(number - 1);
  node.replica.reset();
  node.volume.reset();
  node.files.crash(seed);
  node.engine->crash(seed);
}

std::size_t cluster_world::leader() {
  for (std::size_t n = 1; n <= nodes_.size(); ++n)
    if (const auto& node = nodes_[n - 1];
        !node.cut && node.replica && node.replica->report().serving)
      return n;
  return 0;
}

void cluster_world::admit_client() {
  until("there is a leader", [&] { return leader() != 0; });
  bool committed = false;
  at(leader()).request(troupe::admit_client{"test"}, [&](const cluster_response& response) {
    REQUIRE(std::holds_alternative<cluster_result>(response.outcome));
    committed = true;
  });
  until("a client is admitted", [&] { return committed; });
}

std::uint64_t cluster_world::events(const std::string& name) const {
  auto it = events_.find(name);
  return it == events_.end() ? 0 : it->second;
}

} // namespace troupe::test

using namespace troupe;
using namespace troupe::test;

namespace {

/// Entries of a leader that nobody else ever got.
durable_state with_entries(std::size_t nodes, std::uint64_t term, std::size_t count) {
  auto state = bootstrap_state(all_voters(nodes));
  state.term = term;
  for (std::size_t i = 0; i < count; ++i)
    state.entries.push_back({term, entry_kind::barrier, {}});
  return state;
}

} // namespace

TEST_CASE("cluster_replica: announces every committed configuration, and the first one",
          "[unit][cluster_replica]") {
  cluster_world world{{3, bootstrap_state(all_voters(3))}, {}};
  world.turns_for_ms(50);
  for (std::size_t n = 1; n <= 3; ++n) {
    REQUIRE(world.announced(n).size() == 1);
    CHECK(world.announced(n).back().version == config_version{1});
  }
  for (std::uint64_t clients = 1; clients <= 3; ++clients) {
    world.admit_client();
    world.turns_for_ms(1000);
    for (std::size_t n = 1; n <= 3; ++n) {
      CHECK(world.announced(n).back().clients_given == clients);
      CHECK(world.announced(n).back().version == config_version{1 + clients});
    }
  }
}

TEST_CASE("cluster_replica: after a crash announces nothing before all is applied again",
          "[unit][cluster_replica]") {
  // Goal: tables that kept any part of their last changes are nobody's configuration.
  // Method: the power fails on a node that then hears nobody who knows what was committed.
  auto seed = GENERATE(range<std::uint64_t>(0, 10));
  cluster_world world{{3, bootstrap_state(all_voters(3))}, {}};
  for (int i = 0; i < 5; ++i)
    world.admit_client();
  auto away = world.leader() % 3 + 1;
  world.turns_for_ms(1000);
  REQUIRE(world.announced(away).back().version == config_version{6});
  world.crash(away, seed);
  world.cut_off(away);
  world.open(away);
  world.turns_for_ms(2000);
  CHECK(world.announced(away).empty());
  world.cut_off(away, false);
  world.turns_for_ms(2000);
  REQUIRE(!world.announced(away).empty());
  CHECK(world.announced(away).front().version == config_version{6});
  CHECK(world.announced(away).back().clients_given == 5);
}

TEST_CASE("cluster_replica: entries that were never committed do not hold an announcement back",
          "[unit][cluster_replica]") {
  // Node 1 kept three entries of a leader whom nobody followed; the others have newer ones. What
  // replaces them reaches less far.
  cluster_world world{{with_entries(3, 2, 3), with_entries(3, 3, 1), with_entries(3, 3, 1)}, {}};
  world.until("there is a leader", [&] { return world.leader() != 0; });
  world.turns_for_ms(2000);
  CHECK(world.leader() != 1);
  for (std::size_t n = 1; n <= 3; ++n) {
    CHECK(world.at(n).report().applied_index == 3);
    CHECK(world.announced(n).size() == 1);
  }
}

TEST_CASE("cluster_replica: announces the configuration of a state that it pulled",
          "[unit][cluster_replica]") {
  replica_options options;
  options.consensus.tail_entries_max = 4;
  options.consensus.lagging_bytes_max = 0;
  cluster_world world{{3, bootstrap_state(all_voters(3))}, options};
  world.admit_client();
  auto away = world.leader() % 3 + 1;
  world.turns_for_ms(1000);
  world.cut_off(away);
  for (int i = 0; i < 20; ++i)
    world.admit_client();
  CHECK(world.announced(away).back().clients_given == 1);
  auto announced = world.announced(away).size();
  world.cut_off(away, false);
  world.until("the state is installed", [&] { return world.events("state_install_done") == 1; });
  world.turns_for_ms(1000);
  CHECK(world.announced(away).back().clients_given == 21);
  CHECK(world.announced(away).size() == announced + 1); // nothing in between
  // It goes on from there, and again after a crash.
  world.admit_client();
  world.turns_for_ms(1000);
  CHECK(world.announced(away).back().clients_given == 22);
  world.crash(away, 2);
  world.open(away);
  world.turns_for_ms(2000);
  REQUIRE(!world.announced(away).empty());
  CHECK(world.announced(away).front().clients_given == 22);
}
