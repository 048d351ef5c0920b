#include "storage/meta/meta_keys.hpp"
#include "storage/meta/session_format.hpp"
#include "tests/cluster/partition/partition_harness.hpp"

using namespace troupe;
using namespace troupe::test;

TEST_CASE("partition: the group of slot 0 makes the root directory, once", "[unit][partition]") {
  partition_harness h;
  h.start(0);
  auto size = h.log.size();
  CHECK(size == 1);
  CHECK(h.result<attributes_are>(h.ask(alice, op_get_attributes{root_lin})).attributes.kind
        == file_kind::directory);
  h.depose(false);
  h.start(1);
  CHECK(h.log.size() == size);
}

TEST_CASE("partition: a change is answered when it is committed, not before", "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  auto create = h.send(h.make(alice, h.creates("f")));
  CHECK_FALSE(h.answered(create));
  // A read meanwhile does not show what may never be.
  auto early = h.send(h.make(bob, op_lookup{root_lin, "f"}));
  CHECK(h.code(early) == errc::not_found);
  CHECK_FALSE(h.answer(early).definite);
  h.commit();
  CHECK(h.result<entry_found>(create).kind == file_kind::regular);
  CHECK(h.answer(create).definite);
  auto late = h.send(h.make(bob, op_lookup{root_lin, "f"}));
  CHECK(h.result<entry_found>(late).child == h.result<entry_found>(create).child);
}

TEST_CASE("partition: what arrives while a batch is in flight goes into the next one, joined",
          "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  auto before = h.state().counters();
  std::vector<partition_token> tokens;
  for (int i = 0; i < 50; ++i)
    tokens.push_back(h.send(h.make(alice, h.creates("f" + std::to_string(i)))));
  CHECK(h.commit() == 1); // the first one alone
  CHECK(h.answered(tokens[0]));
  CHECK_FALSE(h.answered(tokens[1]));
  CHECK(h.commit() == 1); // all others
  for (auto token : tokens)
    CHECK(h.result<entry_found>(token).child);
  auto after = h.state().counters();
  CHECK(after.batches - before.batches == 2);
  CHECK(after.changes - before.changes == 50);
  // Evaluated in sequence: every file has a LIN of its own.
  std::set<lin> lins;
  for (auto token : tokens)
    lins.insert(h.result<entry_found>(token).child);
  CHECK(lins.size() == 50);
  CHECK(after.operations.at("create").received == 50);
  CHECK(after.operations.at("create").succeeded == 50);
}

TEST_CASE("partition: changes see those in flight", "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  h.join(bob);
  auto first = h.send(h.make(alice, h.creates("f")));
  auto second = h.send(h.make(bob, h.creates("f")));
  auto third = h.send(h.make(alice, op_unlink{root_lin, "f", {}}));
  CHECK_FALSE(h.answered(second)); // a refusal that rests on what is not committed waits, too
  h.commit_all();
  CHECK(h.code(first) == errc::none);
  CHECK(h.code(second) == errc::already_exists);
  CHECK(h.answer(second).definite);
  CHECK(h.code(third) == errc::none);
}

TEST_CASE("partition: leadership lost: what was proposed may have happened, the rest has not",
          "[unit][partition]") {
  for (bool survived : {false, true}) {
    CAPTURE(survived);
    partition_harness h;
    h.start(0);
    h.join(alice);
    auto first = h.make(alice, h.creates("first"));
    auto second = h.make(alice, h.creates("second"));
    auto t1 = h.send(first);
    auto t2 = h.send(second);
    h.depose(survived);
    CHECK(h.code(t1) == errc::may_have_happened);
    CHECK(h.code(t2) == errc::not_leader);
    CHECK_FALSE(h.answer(t1).definite);
    CHECK_FALSE(h.answer(t2).definite);
    h.start(1);
    // Exactly once: the same sequences again.
    auto r1 = h.send(first);
    auto r2 = h.send(second);
    h.commit_all();
    CHECK(h.answer(r1).definite);
    auto lin1 = h.result<entry_found>(r1).child;
    auto lin2 = h.result<entry_found>(r2).child;
    CHECK(lin1 != lin2);
    CHECK(h.result<entry_found>(h.send(h.make(bob, op_lookup{root_lin, "first"}))).child == lin1);
    auto again = h.send(first);
    h.commit_all();
    CHECK(h.result<entry_found>(again).child == lin1);
  }
}

TEST_CASE("partition: a repeated sequence waits for the first one's commit and gets its answer",
          "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  auto request = h.make(alice, h.creates("f"));
  auto first = h.send(request);
  auto again = h.send(request);
  CHECK_FALSE(h.answered(again));
  h.commit_all();
  CHECK(h.result<entry_found>(first).child == h.result<entry_found>(again).child);
  CHECK(h.answer(again).definite);
  auto third = h.send(request); // nothing is in flight: at once
  CHECK(h.result<entry_found>(third).child == h.result<entry_found>(first).child);
}

TEST_CASE("partition: strangers are refused and nothing is executed", "[unit][partition]") {
  partition_harness h;
  h.start();
  auto token = h.ask(alice, h.creates("f"));
  CHECK(h.code(token) == errc::unknown_client);
  CHECK_FALSE(h.answer(token).definite);
  CHECK(h.code(h.ask(bob, op_lookup{root_lin, "f"})) == errc::not_found);
}

TEST_CASE("partition: a follower refuses and names the leader", "[unit][partition]") {
  partition_harness h;
  h.start(1);
  auto token = h.send_to(*h.replicas[0], h.make(alice, op_lookup{root_lin, "f"}));
  CHECK(h.code(token) == errc::not_leader);
  CHECK(h.answer(token).leader == replica_id{12});
}

TEST_CASE("partition: requests wait for an elected leader to be ready", "[unit][partition]") {
  partition_harness h;
  partition_effects out;
  h.renew_leases();
  h.state().role_changed({true, false, 1, replica_id{11}}, h.now, out);
  h.run(h.leader(), out);
  auto token = h.send(h.make(bob, op_lookup{root_lin, "f"}));
  CHECK_FALSE(h.answered(token));
  h.state().role_changed({true, true, 1, replica_id{11}}, h.now, out);
  h.run(h.leader(), out);
  h.settle();
  h.commit_all();
  CHECK(h.answered(token));
}

TEST_CASE("partition: without a leader for long, the answer names the nodes that are down",
          "[unit][partition]") {
  partition_harness h;
  auto config = three_nodes(2);
  config.nodes[node_id{2}].state = node_state::down;
  config.nodes[node_id{3}].state = node_state::down;
  h.give_config(*h.replicas[0], config);
  h.tick();
  CHECK(h.code(h.send(h.make(alice, op_lookup{root_lin, "f"}))) == errc::not_leader);
  h.advance(6000);
  auto token = h.send(h.make(alice, op_lookup{root_lin, "f"}));
  auto why = std::get<error>(h.answer(token).outcome);
  CHECK(why.code == errc::unavailable);
  CHECK(why.id == trp::no_quorum);
  CHECK(why.context.find("replica 12 (node 2), replica 13 (node 3)") != std::string::npos);
}

// -- leases of the leader
// ---------------------------------------------------------------------------

TEST_CASE("partition: reads need the read lease, and wait for it", "[unit][partition]") {
  partition_harness h;
  h.start();
  h.now.read_lease_until = h.now.boot;
  auto token = h.send(h.make(bob, op_lookup{root_lin, "f"}));
  CHECK_FALSE(h.answered(token));
  h.renew_leases();
  h.tick();
  CHECK(h.code(token) == errc::not_found);
}

TEST_CASE("partition: a repeated result is a read, too", "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  auto request = h.make(alice, h.creates("f"));
  h.send(request);
  h.commit_all();
  h.now.read_lease_until = h.now.boot;
  auto token = h.send(request);
  CHECK_FALSE(h.answered(token));
  h.renew_leases();
  h.tick();
  CHECK(h.answer(token).definite);
}

TEST_CASE("partition: what waits too long for a majority says whom it missed",
          "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  auto change = h.send(h.make(alice, h.creates("f"))); // proposed, never committed
  h.now.read_lease_until = h.now.boot;
  auto read = h.send(h.make(bob, op_lookup{root_lin, "f"}));
  h.advance(8000, false);
  h.now.node_lease_until = {h.now.boot.ns + 1'000'000'000};
  h.tick({replica_id{12}, replica_id{13}});
  auto why = std::get<error>(h.answer(read).outcome);
  CHECK(why.code == errc::unavailable);
  CHECK(why.id == trp::no_quorum);
  CHECK(why.context.find("replica 12 (node 2), replica 13 (node 3)") != std::string::npos);
  why = std::get<error>(h.answer(change).outcome);
  CHECK(why.code == errc::may_have_happened);
  CHECK(why.id == trp::no_quorum);
  h.commit_all(); // the majority is back: no second answer
  CHECK(h.code(change) == errc::may_have_happened);
}

TEST_CASE("partition: without the node lease nothing is proposed, read or promised",
          "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  auto in_flight = h.send(h.make(alice, h.creates("before")));
  h.now.node_lease_until = h.now.boot;
  auto change = h.send(h.make(alice, h.creates("after")));
  auto read = h.send(h.make(bob, op_lookup{root_lin, "f"}));
  CHECK_FALSE(h.answered(read));
  h.commit();
  CHECK(h.code(in_flight) == errc::may_have_happened); // committed, but we may be cut off
  CHECK_FALSE(h.leader().proposal);
  CHECK_FALSE(h.answered(change));
  h.renew_leases();
  h.tick();
  CHECK(h.answered(read));
  h.commit_all();
  CHECK(h.code(change) == errc::none);
}

// -- configuration
// ------------------------------------------------------------------------------------

TEST_CASE("partition: behind its sender it fetches the configuration first", "[unit][partition]") {
  partition_harness h;
  h.start();
  auto request = h.make(bob, op_lookup{root_lin, "f"});
  request.config = config_version{5};
  auto token = h.send(request);
  CHECK_FALSE(h.answered(token));
  CHECK(h.fetches == std::vector<config_version>{config_version{5}});
  h.give_config(h.leader(), three_nodes(6));
  CHECK(h.code(token) == errc::not_found);
  CHECK(h.answer(token).config == config_version{6});

  request.config = config_version{9};
  auto never = h.send(request);
  h.advance(1999);
  h.tick();
  CHECK_FALSE(h.answered(never));
  h.advance(1);
  h.tick();
  CHECK(h.code(never) == errc::behind);
}

TEST_CASE("partition: a commit prepared below the floor is refused; the floor outlives its leader",
          "[unit][partition]") {
  partition_harness h;
  h.start(0);
  h.join(alice);
  auto file = h.create(alice, "f");
  auto lease = h.result<lease_granted>(h.ask(alice, op_acquire_write_lease{file})).lease;
  op_commit_write write;
  write.id = file;
  write.lease = lease;
  write.size_at_least = 10;

  partition_effects out;
  h.state().raise_floor(77, config_version{3}, h.now, out); // newer than it knows: fetches
  h.run(h.leader(), out);
  CHECK(h.fetches.back() == config_version{3});
  h.give_config(h.leader(), three_nodes(3));
  CHECK_FALSE(h.floors.contains(77));
  h.commit_all();
  REQUIRE(h.floors.contains(77));
  CHECK(h.floors[77]);
  CHECK(h.state().floor() == config_version{3});

  auto old = h.make(alice, write);
  auto refused = h.send(old);
  h.commit_all();
  CHECK(h.code(refused) == errc::below_floor);
  CHECK(h.answer(refused).definite); // it has not happened and never will: its units can be freed
  auto late = h.send(old);
  CHECK(h.code(late) == errc::below_floor);
  auto anew = h.make(alice, write); // redone under the newer one
  anew.config = config_version{3};
  auto redone = h.send(anew);
  h.commit_all();
  CHECK(h.code(redone) == errc::none);
  anew.config = config_version{1}; // repeated: what it did, it did
  auto repeated = h.send(anew);
  CHECK(h.code(repeated) == errc::none);

  // The next leader knows configuration 1 only: it does not evaluate before it has the floor's.
  h.depose(false);
  h.fetches.clear();
  h.elect(1);
  CHECK_FALSE(h.state().serving());
  CHECK(h.fetches == std::vector<config_version>{config_version{3}});
  auto waits = h.send(h.make(bob, op_lookup{root_lin, "f"}));
  CHECK_FALSE(h.answered(waits));
  h.give_config(h.leader(), three_nodes(3));
  CHECK(h.state().floor() == config_version{3});
  CHECK(h.code(waits) == errc::none);
}

TEST_CASE("partition: raising the floor to what is adopted answers when that is committed",
          "[unit][partition]") {
  partition_harness h;
  h.start();
  partition_effects out;
  h.state().raise_floor(1, config_version{1}, h.now, out);
  h.state().raise_floor(2, config_version{1}, h.now, out);
  h.run(h.leader(), out);
  CHECK_FALSE(h.floors.contains(2));
  h.commit_all();
  CHECK(h.floors.at(1));
  CHECK(h.floors.at(2));
  h.state().raise_floor(3, config_version{1}, h.now, out);
  h.run(h.leader(), out);
  CHECK(h.floors.at(3));
  h.state().raise_floor(4, config_version{2}, h.now, out);
  h.run(h.leader(), out);
  h.depose(false);
  CHECK_FALSE(h.floors.at(4));
}

TEST_CASE("partition: adopts a higher snapshot epoch in its log before it acts under it",
          "[unit][partition]") {
  partition_harness h;
  h.start(0);
  h.join(alice);
  auto request = h.make(alice, h.creates("f"));
  request.epoch = snapshot_epoch{4};
  auto token = h.send(request);
  h.commit_all();
  CHECK_FALSE(h.answered(token));
  CHECK_FALSE(h.fetches.empty());
  auto config = three_nodes(2);
  config.epoch = snapshot_epoch{4};
  h.give_config(h.leader(), config);
  h.commit_all();
  CHECK(h.code(token) == errc::none);
  CHECK(h.answer(token).epoch == snapshot_epoch{4});
  h.depose(false);
  h.give_config(*h.replicas[1], three_nodes(3)); // says nothing of epoch 4
  h.start(1);
  CHECK(h.state().epoch() == snapshot_epoch{4});
}

// -- rows and bounds
// ----------------------------------------------------------------------------------

TEST_CASE("partition: a request that needs rows is set aside and others go on",
          "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  for (int i = 0; i < 200; ++i) // more than the small row cache holds
    h.create(alice, "f" + std::to_string(i));
  h.hold_loads = true;
  auto cold = h.send(h.make(bob, op_lookup{root_lin, "f0"}));
  REQUIRE_FALSE(h.answered(cold));
  auto warm = h.send(h.make(bob, op_lookup{root_lin, "f199"}));
  CHECK(h.code(warm) == errc::none);
  h.hold_loads = false;
  h.settle();
  CHECK(h.code(cold) == errc::none);
  CHECK(h.state().counters().restarts > 0);
  // Rows that never come: a bounded wait, then an answer.
  h.hold_loads = true;
  auto stuck = h.send(h.make(bob, op_lookup{root_lin, "f1"}));
  REQUIRE_FALSE(h.answered(stuck));
  h.advance(8000);
  h.tick();
  CHECK(h.code(stuck) == errc::unavailable);
  h.hold_loads = false;
  h.settle();
  CHECK(h.answers[stuck].size() == 1);
}

TEST_CASE("partition: its queues are bounded", "[unit][partition]") {
  partition_options options;
  options.requests_max = 10;
  options.pipeline.collected_bytes_max = 1000;
  partition_harness h{options};
  h.start();
  h.join(alice);
  std::vector<partition_token> tokens;
  for (int i = 0; i < 20; ++i)
    tokens.push_back(h.send(h.make(alice, h.creates("f" + std::to_string(i)))));
  for (std::size_t i = 10; i < 20; ++i)
    CHECK(h.code(tokens[i]) == errc::busy);
  h.commit_all();
  for (std::size_t i = 0; i < 10; ++i)
    CHECK(h.code(tokens[i]) == errc::none);
  CHECK(h.state().counters().waiting == 0);
}

TEST_CASE("partition: takes no changes while the store has too much to write",
          "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  h.now.store_overloaded = true;
  auto token = h.send(h.make(alice, h.creates("f")));
  CHECK_FALSE(h.leader().proposal);
  h.now.store_overloaded = false;
  h.tick();
  h.commit_all();
  CHECK(h.code(token) == errc::none);
}

TEST_CASE("partition: a batch that consensus did not take is proposed again", "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  auto token = h.send(h.make(alice, h.creates("f")));
  auto batch = std::exchange(h.leader().proposal, {});
  REQUIRE(batch);
  partition_effects out;
  h.state().proposal_refused(batch->batch, h.now, out);
  h.run(h.leader(), out);
  CHECK_FALSE(h.leader().proposal);
  h.tick();
  REQUIRE(h.leader().proposal);
  CHECK(h.leader().proposal->batch != batch->batch);
  h.commit_all();
  CHECK(h.code(token) == errc::none);
}

TEST_CASE("partition: a change that no entry can carry is refused for good, others go on",
          "[unit][partition]") {
  partition_options options;
  options.limits.entry_bytes_max = 2000;
  partition_harness h{options};
  h.start();
  h.join(alice);
  auto small = h.send(h.make(alice, h.creates("small")));
  auto target = h.creates("long");
  target.inode = {file_kind::symlink, 0777, 0, 0, 0, std::string(3000, 'x')};
  auto request = h.make(alice, target);
  auto large = h.send(request);
  auto after = h.send(h.make(alice, h.creates("after")));
  while (h.leader().proposal) {
    for (const auto& entry : h.leader().proposal->entries)
      CHECK(entry.size() < 4000);
    h.commit();
  }
  CHECK(h.code(small) == errc::none);
  CHECK(h.code(after) == errc::none);
  CHECK(h.code(large) == errc::too_large);
  CHECK(h.answer(large).definite); // its sequence is used up: never executed later
  auto again = h.send(request);
  CHECK(h.code(again) == errc::too_large);
  CHECK(h.answer(again).definite);
  CHECK(h.code(h.ask(alice, op_lookup{root_lin, "long"})) == errc::not_found);
}

TEST_CASE("partition: a long batch is split into entries that are whole", "[unit][partition]") {
  partition_options options;
  options.pipeline.entry_bytes_max = 600;
  options.pipeline.batch_bytes_max = 2000;
  partition_harness h{options};
  h.start(0);
  h.join(alice);
  std::vector<partition_token> tokens;
  for (int i = 0; i < 40; ++i)
    tokens.push_back(h.send(h.make(alice, h.creates("f" + std::to_string(i)))));
  h.commit();
  auto entries = h.commit();
  CHECK(entries > 1);
  CHECK(entries < 8);
  h.commit_all();
  for (auto token : tokens)
    CHECK(h.code(token) == errc::none);
  h.depose(false);
  h.start(1);
  for (int i = 0; i < 40; ++i)
    CHECK(h.code(h.ask(bob, op_lookup{root_lin, "f" + std::to_string(i)})) == errc::none);
}

TEST_CASE("partition: a leader begins to serve whatever the number of clients that were here",
          "[unit][partition]") {
  // Memory holds a part of these records only (partition_harness.hpp).
  partition_harness h;
  h.start(0);
  for (std::uint32_t batch = 0; batch < 20; ++batch) {
    table_batch rows;
    for (std::uint32_t i = 0; i < 100; ++i) {
      bool expired = i != 7;
      rows.push_back({here_key(client_id{1000 + 100 * batch + i}),
                      encode(here_row{incarnation{3}, expired, wall_time{1}})});
    }
    h.preload(rows);
  }
  h.depose(false);
  h.start(1);
  CHECK(h.state().serving());
}
