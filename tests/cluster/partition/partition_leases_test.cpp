#include "storage/base/random.hpp"
#include "storage/meta/meta_keys.hpp"
#include "storage/meta/partition_format.hpp"
#include "tests/cluster/partition/partition_harness.hpp"

using namespace troupe;
using namespace troupe::test;

// Write leases, commits under them, and what a leader does by itself.

namespace {

/// A mirror of one unit on two drives of different nodes; births never repeat.
op_commit_write mirrored(lin file, lease_id lease, std::uint64_t offset = 0) {
  static std::uint64_t births = 0;
  op_commit_write op;
  op.id = file;
  op.lease = lease;
  stripe_layout stripe;
  stripe.shape = {1, 1, 1};
  stripe.unit_blocks = unit_blocks;
  for (std::uint8_t drive : {2, 4}) {
    ++births;
    stripe.units.push_back({{drive_number(drive), births * 100, unit_blocks, birth{births}}, 1234});
  }
  op.stripes.push_back(stripe);
  op.extents.push_back({offset, unit_bytes, 0, 0});
  op.size_at_least = offset + unit_bytes;
  return op;
}

lease_id acquire(partition_harness& h, client_id client, lin file) {
  return h.result<lease_granted>(h.ask(client, op_acquire_write_lease{file})).lease;
}

leases_renewed renew(partition_harness& h, client_id client, std::vector<held_lease> held) {
  return h.result<leases_renewed>(h.ask(client, op_renew_leases{slot_id{0}, std::move(held)}));
}

} // namespace

TEST_CASE("partition: one writer at a time; who waits has the holder told", "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  h.join(bob);
  auto file = h.create(alice, "f");
  auto granted = h.result<lease_granted>(h.ask(alice, op_acquire_write_lease{file}));
  CHECK(granted.lease_ms == 4000);
  CHECK(granted.attributes.id == file);
  CHECK(h.code(h.ask(bob, op_acquire_write_lease{file})) == errc::busy);
  CHECK(renew(h, alice, {{file, granted.lease}}).recalled == std::vector<lin>{file});
  auto write = mirrored(file, granted.lease);
  write.release_lease = true;
  auto token = h.ask(alice, write);
  CHECK(h.result<write_committed>(token).attributes.size == unit_bytes);
  CHECK(h.answer(token).definite);
  CHECK(h.result<lease_granted>(h.ask(bob, op_acquire_write_lease{file})).attributes.size
        == unit_bytes);
  // A directory has no write lease, a missing file neither.
  CHECK(h.code(h.ask(bob, op_acquire_write_lease{root_lin})) == errc::invalid_argument);
  CHECK(h.code(h.ask(bob, op_acquire_write_lease{lin{999}})) != errc::none);
}

TEST_CASE("partition: readers of data and size wait for another client's lease, others do not",
          "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  h.join(bob);
  auto file = h.create(alice, "f");
  auto lease = acquire(h, alice, file);
  CHECK(h.code(h.ask(bob, op_get_attributes{file})) == errc::busy);
  CHECK(h.code(h.ask(bob, op_get_layout{file, 0, 100, 16})) == errc::busy);
  CHECK(h.code(h.ask(alice, op_get_attributes{file})) == errc::none);
  CHECK(h.code(h.ask(bob, op_lookup{root_lin, "f"})) == errc::none);
  CHECK(h.code(h.ask(bob, op_read_directory{root_lin, 0, 10, true})) == errc::none);
  CHECK(renew(h, alice, {{file, lease}}).recalled == std::vector<lin>{file});
  CHECK(h.code(h.ask(alice, op_release_lease{file, lease})) == errc::none);
  CHECK(h.code(h.ask(bob, op_get_attributes{file})) == errc::none);
}

TEST_CASE("partition: a create may bring the lease along", "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  h.join(bob);
  auto request = h.make(alice, h.creates("f", true));
  auto token = h.send(request);
  h.commit_all();
  auto entry = h.result<entry_found>(token);
  REQUIRE(entry.lease);
  CHECK(h.code(h.ask(bob, op_acquire_write_lease{entry.child})) == errc::busy);
  CHECK(h.code(h.ask(alice, mirrored(entry.child, entry.lease->lease))) == errc::none);
  auto again = h.send(request); // the answer was lost: the same lease
  CHECK(h.result<entry_found>(again).lease->lease == entry.lease->lease);
  // A directory brings none.
  auto directory = h.creates("d", true);
  directory.inode.kind = file_kind::directory;
  CHECK_FALSE(h.result<entry_found>(h.ask(alice, directory)).lease);
}

TEST_CASE("partition: a commit without its lease is refused, definitely", "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  h.join(bob);
  auto file = h.create(alice, "f");
  auto lease = acquire(h, alice, file);
  auto wrong_client = h.ask(bob, mirrored(file, lease));
  CHECK(h.code(wrong_client) == errc::stale);
  CHECK(h.answer(wrong_client).definite); // bob may free his units
  h.advance(4400);                        // alice did not renew
  auto late = h.make(alice, mirrored(file, lease));
  auto token = h.send(late);
  h.commit_all();
  CHECK(h.code(token) == errc::stale);
  CHECK(h.answer(token).definite);
  auto again = h.send(late);
  CHECK(h.code(again) == errc::stale);
  CHECK(h.answer(again).definite);
}

TEST_CASE("partition: a commit in flight keeps its lease until it is decided",
          "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  h.join(bob);
  auto file = h.create(alice, "f");
  auto lease = acquire(h, alice, file);
  auto commit = h.send(h.make(alice, mirrored(file, lease)));
  h.advance(5000);
  h.tick();
  auto grab = h.send(h.make(bob, op_acquire_write_lease{file}));
  CHECK(h.code(grab) == errc::busy);
  h.commit_all();
  CHECK(h.code(commit) == errc::none);
  auto next = h.ask(bob, op_acquire_write_lease{file});
  CHECK(h.result<lease_granted>(next).attributes.size == unit_bytes);
}

TEST_CASE("partition: units must lie on drives that are writable in the adopted configuration",
          "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  auto file = h.create(alice, "f");
  auto lease = acquire(h, alice, file);
  auto config = three_nodes(2);
  config.drives[drive_number(4)].state = drive_state::gone;
  h.give_config(h.leader(), config);
  auto token = h.ask(alice, mirrored(file, lease));
  CHECK(h.code(token) != errc::none);
  CHECK(h.answer(token).definite);
  h.give_config(h.leader(), three_nodes(3));
  CHECK(h.code(h.ask(alice, mirrored(file, lease))) == errc::none);
}

TEST_CASE("partition: leases outlive their leader if they are named again", "[unit][partition]") {
  partition_harness h;
  h.start(0);
  h.join(alice);
  h.join(bob);
  auto kept = h.create(alice, "kept");
  auto used = h.create(alice, "used");
  auto lease_kept = acquire(h, alice, kept);
  auto lease_used = acquire(h, alice, used);
  h.depose(false);
  h.start(1);
  // Nothing is granted and no data shown before everybody was heard.
  CHECK(h.code(h.ask(bob, op_acquire_write_lease{kept})) == errc::busy);
  CHECK(h.code(h.ask(bob, op_get_attributes{kept})) == errc::busy);
  // A commit waits until its lease was named, too.
  auto commit = h.make(alice, mirrored(used, lease_used));
  auto early = h.send(commit);
  h.commit_all();
  CHECK(h.code(early) == errc::busy);
  CHECK_FALSE(h.answer(early).definite);
  auto renewed = renew(h, alice, {{kept, lease_kept}, {used, lease_used}});
  CHECK(renewed.lost.empty());
  auto repeated = h.send(commit);
  h.commit_all();
  CHECK(h.code(repeated) == errc::none);
  CHECK(renew(h, bob, {}).lost.empty());
  CHECK(h.code(h.ask(bob, op_acquire_write_lease{kept})) == errc::busy);
  CHECK(h.code(h.ask(alice, mirrored(kept, lease_kept))) == errc::none);
  auto fresh = h.create(bob, "fresh");
  CHECK(acquire(h, bob, fresh));
}

TEST_CASE("partition: who lost a file to another client writes nothing with the next leader either",
          "[unit][partition]") {
  partition_harness h;
  h.start(0);
  h.join(alice);
  h.join(bob);
  auto file = h.create(alice, "f");
  auto lease = acquire(h, alice, file);
  auto late = h.make(alice, mirrored(file, lease)); // is sent, and delayed
  for (int i = 0; i < 5; ++i) {
    h.advance(1000);
    renew(h, bob, {});
  }
  auto next = acquire(h, bob, file);
  CHECK(h.code(h.ask(bob, mirrored(file, next))) == errc::none);
  CHECK(h.code(h.ask(bob, op_release_lease{file, next})) == errc::none);
  h.depose(false);
  h.start(1);
  auto token = h.send(late);
  h.commit_all();
  CHECK(h.code(token) == errc::busy);
  CHECK(renew(h, alice, {}).lost.empty()); // by its own clock the lease ran out
  token = h.send(late);
  h.commit_all();
  CHECK(h.code(token) == errc::stale);
  CHECK(h.answer(token).definite);
}

TEST_CASE("partition: silent clients hold a new leader up for one lease only",
          "[unit][partition]") {
  partition_harness h;
  h.start(0);
  h.join(alice);
  h.join(bob);
  auto file = h.create(alice, "f");
  auto lease = acquire(h, alice, file);
  h.depose(false);
  h.start(1);
  CHECK(h.result<entry_found>(h.ask(bob, h.creates("new", true))).lease); // nobody else's for sure
  CHECK(h.code(h.ask(bob, op_get_attributes{file})) == errc::busy);
  h.advance(4400);
  CHECK(h.code(h.ask(bob, op_get_attributes{file})) == errc::none);
  CHECK(acquire(h, bob, file));
  CHECK(renew(h, alice, {{file, lease}}).lost == std::vector<lin>{file});
  CHECK(h.code(h.ask(alice, mirrored(file, lease))) == errc::stale);
}

TEST_CASE("partition: grants need the leader's leases", "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  auto file = h.create(alice, "f");
  h.now.read_lease_until = h.now.boot;
  auto grab = h.send(h.make(alice, op_acquire_write_lease{file}));
  auto keep = h.send(h.make(alice, op_renew_leases{slot_id{0}, {}}));
  auto with_create = h.send(h.make(alice, h.creates("g", true)));
  h.commit_all();
  CHECK_FALSE(h.answered(grab));
  CHECK_FALSE(h.answered(keep));
  CHECK_FALSE(h.result<entry_found>(with_create).lease);
  h.renew_leases();
  h.tick();
  CHECK(h.code(grab) == errc::none);
  CHECK(h.code(keep) == errc::none);
}

TEST_CASE("partition: a new life of a client ends the old one", "[unit][partition]") {
  partition_harness h;
  h.start();
  h.join(alice);
  h.join(bob);
  auto file = h.create(alice, "f");
  auto lease = acquire(h, alice, file);
  h.join(alice, 2);
  CHECK(acquire(h, bob, file));
  auto late = h.ask(alice, mirrored(file, lease)); // still of life 1
  CHECK(h.code(late) == errc::stale);
  CHECK(h.code(h.ask(alice, op_renew_leases{slot_id{0}, {{file, lease}}})) == errc::unknown_client);
}

TEST_CASE("partition: a client that is silent for long is forgotten and never executed again",
          "[unit][partition]") {
  partition_harness h;
  h.start(0);
  h.join(alice);
  h.join(bob);
  auto request = h.make(alice, h.creates("f"));
  h.send(request);
  h.commit_all();
  for (int i = 0; i < 30; ++i) { // bob stays
    h.advance(20'000);
    renew(h, bob, {});
  }
  for (int i = 0; i < 4; ++i) {
    h.advance(1000);
    h.tick();
    h.commit_all();
  }
  CHECK(h.state().counters().clients == 1);
  auto late = h.send(request);
  h.commit_all();
  CHECK(h.code(late) == errc::unknown_client);
  auto back = h.send(h.make(alice, op_register_client{slot_id{0}}));
  h.commit_all();
  CHECK(h.code(back) != errc::none); // this life is over
  h.join(alice, 2);
  h.depose(false);
  h.start(1);
  CHECK(h.state().counters().clients == 2);
}

TEST_CASE("partition: frees go to their drives, one at a time, until the drive has them",
          "[unit][partition]") {
  partition_harness h;
  h.start(0);
  h.join(alice);
  auto file = h.create(alice, "f");
  auto lease = acquire(h, alice, file);
  CHECK(h.code(h.ask(alice, mirrored(file, lease))) == errc::none);
  CHECK(h.code(h.ask(alice, op_release_lease{file, lease})) == errc::none);
  CHECK(h.sent_frees.empty());
  CHECK(h.code(h.ask(alice, op_unlink{root_lin, "f", {}})) == errc::none);
  auto settle = [&] {
    for (int i = 0; i < 5; ++i) {
      h.commit_all();
      h.advance(200);
      h.tick();
    }
  };
  auto answer = [&](bool taken) {
    partition_effects out;
    h.state().frees_sent(h.sent_frees.back().number, taken, h.now, out);
    h.run(h.leader(), out);
    h.settle();
  };
  settle();
  REQUIRE(h.sent_frees.size() == 1);
  CHECK(h.sent_frees[0].drive == drive_number(2));
  CHECK(h.sent_frees[0].runs.size() == 1);
  answer(false); // it did not answer in time: the other one is not held up
  settle();
  REQUIRE(h.sent_frees.size() == 2);
  CHECK(h.sent_frees[1].drive == drive_number(4));
  answer(true);
  settle();
  CHECK(h.sent_frees.size() == 2);
  CHECK(h.state().counters().freed_runs == 1);
  h.advance(5000);
  settle();
  REQUIRE(h.sent_frees.size() == 3);
  CHECK(h.sent_frees[2].drive == drive_number(2));
  // A new leader cannot know whether it was freed: it sends again. Its drive is away at first.
  h.depose(false);
  auto away = three_nodes(2);
  away.nodes[node_id{1}].state = node_state::down;
  h.give_config(*h.replicas[1], away);
  h.start(1);
  settle();
  CHECK(h.sent_frees.size() == 3);
  h.give_config(*h.replicas[1], three_nodes(3));
  settle();
  REQUIRE(h.sent_frees.size() == 4);
  CHECK(h.sent_frees[3].runs == h.sent_frees[0].runs);
  answer(true);
  for (int i = 0; i < 3; ++i)
    settle();
  CHECK(h.sent_frees.size() == 4);
}

TEST_CASE("partition: a late answer of a drive removes no frees that it was not asked for",
          "[unit][partition]") {
  partition_harness h;
  h.start(0);
  h.join(alice);
  for (const auto* name : {"f", "g"}) {
    auto file = h.create(alice, name);
    auto lease = acquire(h, alice, file);
    REQUIRE(h.code(h.ask(alice, mirrored(file, lease))) == errc::none);
    REQUIRE(h.code(h.ask(alice, op_release_lease{file, lease})) == errc::none);
  }
  auto settle = [&] {
    for (int i = 0; i < 10; ++i) {
      h.commit_all();
      h.advance(200);
      h.tick();
    }
  };
  auto answer = [&](const send_frees& frees, bool taken) {
    partition_effects out;
    h.state().frees_sent(frees.number, taken, h.now, out);
    h.run(h.leader(), out);
    h.settle();
    settle();
  };
  REQUIRE(h.code(h.ask(alice, op_unlink{root_lin, "f", {}})) == errc::none);
  settle();
  REQUIRE(h.sent_frees.size() == 1);
  auto first = h.sent_frees[0];
  // Leadership goes and comes back, and there is more to free, before the answer arrives.
  h.depose(false);
  auto away = three_nodes(2);
  away.nodes[node_id{1}].state = node_state::down;
  away.nodes[node_id{2}].state = node_state::down;
  h.give_config(*h.replicas[0], away);
  h.start(0);
  REQUIRE(h.code(h.ask(alice, op_unlink{root_lin, "g", {}})) == errc::none);
  settle();
  REQUIRE(h.sent_frees.size() == 1);
  h.give_config(*h.replicas[0], three_nodes(3));
  settle();
  if (h.sent_frees.back().drive != first.drive) // the other drive's turn was first
    answer(h.sent_frees.back(), true);
  REQUIRE(h.sent_frees.back().drive == first.drive);
  REQUIRE(h.sent_frees.back().runs.size() == 2);
  auto sent = h.sent_frees.size();
  answer(first, true);
  answer(h.sent_frees.back(), false);
  h.advance(5000);
  settle();
  REQUIRE(h.sent_frees.size() == sent + 1); // nothing was removed: it is sent again
  CHECK(h.sent_frees.back().runs.size() == 2);
}

TEST_CASE(
  "partition: cleans what big files left, in bounded entries, also after a change of leaders",
  "[unit][partition]") {
  partition_options options;
  options.limits.clean_extents_max = 2;
  partition_harness h{options};
  h.start(0);
  h.join(alice);
  auto file = h.create(alice, "f");
  auto lease = acquire(h, alice, file);
  for (std::uint64_t i = 0; i < 9; ++i)
    CHECK(h.code(h.ask(alice, mirrored(file, lease, i * unit_bytes))) == errc::none);
  CHECK(h.code(h.ask(alice, op_unlink{root_lin, "f", file})) == errc::none);
  h.advance(2000);
  h.tick();
  h.commit_all();
  CHECK(h.state().counters().cleaned == 0); // alice has it open
  CHECK(h.code(h.ask(alice, op_get_attributes{file})) == errc::none);
  auto release = h.send(h.make(alice, op_release_orphan{file}));
  for (int i = 0; i < 40 && h.state().counters().cleaned < 2; ++i)
    if (h.commit() == 0) {
      h.advance(200);
      h.tick();
    }
  CHECK(h.code(release) == errc::none);
  auto cleaned_before = h.state().counters().cleaned; // two extents each: more is left
  CHECK(cleaned_before == 2);
  h.depose(true);
  h.start(1);
  CHECK(renew(h, alice, {}).lost.empty());
  for (int i = 0; i < 40; ++i) {
    h.commit_all();
    h.advance(200);
    h.tick();
  }
  // Five entries in all; one that was in flight when the leader went is counted by nobody.
  auto cleaned_after = h.state().counters().cleaned;
  CHECK(cleaned_after >= 1);
  CHECK(cleaned_before + cleaned_after >= 4);
  CHECK(cleaned_before + cleaned_after <= 5);
  CHECK(h.code(h.ask(alice, op_get_attributes{file})) != errc::none);
  CHECK_FALSE(h.sent_frees.empty());
}

TEST_CASE("partition: every change happens exactly once, whatever leaders come and go",
          "[unit][partition]") {
  // Goal: after any schedule of commits and lost leaderships, each acknowledged create exists once
  // under the LIN that its client was told, and the slot counts exactly those inodes.
  // Method: clients repeat each request until its answer is definite, with the same sequence, and
  // now and then repeat one that was answered; leaders lose batches or not, at random.
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    random_source random{seed};
    partition_options options;
    options.pipeline.entry_bytes_max = 500 + random.below(3000);
    options.pipeline.batch_bytes_max = 1000 + random.below(5000);
    partition_harness h{options};
    h.start(0);
    const std::vector<client_id> clients{alice, bob, client_id{103}};
    for (auto client : clients)
      h.join(client);
    struct work {
      meta_request request;
      std::string name;
      std::optional<partition_token> token;
      lin child;
      bool done = false;
    };
    std::vector<work> all;
    std::uint64_t made = 0;
    auto collect = [&](work& w) {
      if (w.done || !w.token || !h.answered(*w.token))
        return;
      const auto& response = h.answer(*w.token);
      if (response.definite) {
        w.child = h.result<entry_found>(*w.token).child;
        w.done = true;
      }
      w.token.reset();
    };
    for (int step = 0; step < 150; ++step) {
      switch (random.below(10)) {
      case 0: {
        h.depose(random.one_in(2));
        auto next = random.below(3);
        h.elect(next);
        break;
      }
      case 1:
      case 2:
      case 3: h.commit(); break;
      case 4:
        if (!all.empty()) { // a late duplicate of anything
          const auto& w = all[random.below(all.size())];
          auto token = h.send(w.request);
          if (w.done && h.answered(token) && h.answer(token).definite)
            CHECK(h.result<entry_found>(token).child == w.child);
        }
        break;
      default: {
        auto name = "f" + std::to_string(made++);
        work w{h.make(clients[random.below(3)], h.creates(name)), name, {}, {}, false};
        w.token = h.send(w.request);
        all.push_back(w);
      }
      }
      // A read shows nothing that is not committed.
      if (!all.empty() && h.state().serving()) {
        const auto& w = all[random.below(all.size())];
        auto token = h.send(h.make(bob, op_lookup{root_lin, w.name}));
        if (h.answered(token) && h.code(token) == errc::none)
          CHECK(h.leader().view->get(inode_key(h.result<entry_found>(token).child)).state
                != row_state::absent);
      }
      for (auto& w : all) {
        collect(w);
        if (!w.done && !w.token && random.one_in(3))
          w.token = h.send(w.request);
      }
    }
    for (int round = 0; round < 20; ++round) {
      if (!h.state().serving())
        h.elect(0);
      h.commit_all();
      for (auto& w : all) {
        collect(w);
        if (!w.done && !w.token)
          w.token = h.send(w.request);
      }
    }
    h.commit_all();
    std::set<lin> lins;
    for (auto& w : all) {
      collect(w);
      REQUIRE(w.done);
      lins.insert(w.child);
      CHECK(h.result<entry_found>(h.ask(alice, op_lookup{root_lin, w.name})).child == w.child);
    }
    CHECK(lins.size() == all.size());
    auto root = h.result<attributes_are>(h.ask(alice, op_get_attributes{root_lin}));
    CHECK(root.attributes.size == all.size());
    auto row = h.leader().engine->get(partition_harness::replica::table, slot_key(slot_id{0}));
    REQUIRE(row);
    REQUIRE(*row);
    auto slot = decode_slot(**row);
    REQUIRE(slot);
    CHECK(slot->inode_count == all.size() + 1);
  }
}
