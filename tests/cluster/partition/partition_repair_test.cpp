#include "storage/meta/meta_keys.hpp"
#include "tests/cluster/partition/partition_harness.hpp"

using namespace troupe;
using namespace troupe::test;

// Repairs of units, and orphans, over changes of the leader.

namespace {

/// A file with one stripe 1+1 on drives 2 (node 1) and 4 (node 2), written by alice.
struct repair_scene {
  repair_scene() {
    h.start(0);
    h.join(alice);
    h.join(bob);
    file = h.create(alice, "f");
    op_commit_write op;
    op.id = file;
    op.lease = h.result<lease_granted>(h.ask(alice, op_acquire_write_lease{file})).lease;
    stripe_layout stripe;
    stripe.shape = {1, 1, 1};
    stripe.unit_blocks = unit_blocks;
    for (std::uint8_t drive : {2, 4})
      stripe.units.push_back({run_on(drive, drive), 1234});
    op.stripes.push_back(stripe);
    op.extents.push_back({0, unit_bytes, 0, 0});
    op.size_at_least = unit_bytes;
    op.release_lease = true;
    id = h.result<write_committed>(h.ask(alice, op)).stripes.at(0);
  }
  static run_ref run_on(std::uint8_t drive, std::uint64_t born) {
    return {drive_number(drive), born * 100, unit_blocks, birth{born}};
  }
  stripe_info stripe() { return h.result<stripe_is>(h.ask(bob, op_get_stripe{id})).stripe; }
  partition_harness h;
  lin file;
  stripe_id id;
};

} // namespace

TEST_CASE("partition: a client without a lease repairs a unit; its old run is freed",
          "[unit][partition][partition_repair]") {
  repair_scene s;
  auto attributes =
    s.h.result<attributes_are>(s.h.ask(alice, op_get_attributes{s.file})).attributes;
  auto repaired = s.h.ask(bob, op_repair_unit{s.id, 0, 1, repair_scene::run_on(6, 60)});
  CHECK(s.h.code(repaired) == errc::none);
  CHECK(s.h.answer(repaired).definite);
  CHECK(s.stripe().layout.units[1].run == repair_scene::run_on(6, 60));
  CHECK(s.h.result<attributes_are>(s.h.ask(alice, op_get_attributes{s.file})).attributes
        == attributes);
  for (int i = 0; i < 5; ++i) {
    s.h.commit_all();
    s.h.advance(200);
    s.h.tick();
  }
  REQUIRE(s.h.sent_frees.size() == 1);
  CHECK(s.h.sent_frees[0].drive == drive_number(4));
  CHECK(s.h.sent_frees[0].runs == std::vector<run_ref>{repair_scene::run_on(4, 4)});
}

TEST_CASE("partition: of two repairs of a unit one is done, whatever is in flight",
          "[unit][partition][partition_repair]") {
  repair_scene s;
  auto first = s.h.send(s.h.make(bob, op_repair_unit{s.id, 0, 1, repair_scene::run_on(6, 60)}));
  auto second = s.h.send(s.h.make(alice, op_repair_unit{s.id, 0, 1, repair_scene::run_on(5, 50)}));
  s.h.commit_all();
  CHECK(s.h.code(first) == errc::none);
  CHECK(s.h.code(second) == errc::stale);
  CHECK(s.h.answer(second).definite); // alice frees what she stored
  CHECK(s.stripe().layout.units[1].run == repair_scene::run_on(6, 60));
  auto late = s.h.send(s.h.make(alice, op_unlink{root_lin, "f", {}}));
  auto lost = s.h.send(s.h.make(bob, op_repair_unit{s.id, 1, 0, repair_scene::run_on(3, 30)}));
  s.h.commit_all();
  CHECK(s.h.code(late) == errc::none);
  CHECK((s.h.code(lost) == errc::none || s.h.code(lost) == errc::not_found));
}

TEST_CASE("partition: a repair goes to a drive that the adopted configuration takes, at its floor",
          "[unit][partition][partition_repair]") {
  repair_scene s;
  auto config = three_nodes(2);
  config.drives[drive_number(6)].state = drive_state::smartfail;
  s.h.give_config(s.h.leader(), config);
  auto refused = s.h.ask(bob, op_repair_unit{s.id, 0, 1, repair_scene::run_on(6, 60)});
  CHECK(s.h.code(refused) == errc::below_floor);
  CHECK(s.h.answer(refused).definite);
  auto crowded = s.h.ask(bob, op_repair_unit{s.id, 0, 1, repair_scene::run_on(3, 30)});
  CHECK(s.h.code(crowded) == errc::invalid_argument); // node 1 has the other unit
  partition_effects out;
  s.h.state().raise_floor(77, config_version{2}, s.h.now, out);
  s.h.run(s.h.leader(), out);
  s.h.commit_all();
  auto old = s.h.make(bob, op_repair_unit{s.id, 0, 1, repair_scene::run_on(7, 70)});
  auto below = s.h.send(old); // prepared under configuration 1
  s.h.commit_all();
  CHECK(s.h.code(below) == errc::below_floor);
  auto anew = s.h.make(bob, op_repair_unit{s.id, 0, 1, repair_scene::run_on(7, 70)});
  anew.config = config_version{2};
  auto done_now = s.h.send(anew);
  s.h.commit_all();
  CHECK(s.h.code(done_now) == errc::none);
}

TEST_CASE("partition: an orphan outlives leaders as long as its holder is heard (F14)",
          "[unit][partition][partition_repair]") {
  repair_scene s;
  auto is_there = [&] {
    for (int i = 0; i < 5; ++i) {
      s.h.commit_all();
      s.h.advance(200);
      s.h.tick();
    }
    return s.h.code(s.h.ask(alice, op_get_attributes{s.file})) == errc::none;
  };
  CHECK(s.h.code(s.h.ask(alice, op_unlink{root_lin, "f", s.file})) == errc::none);
  auto renew = [&](client_id client) {
    CHECK(s.h.code(s.h.ask(client, op_renew_leases{slot_id{0}, {}})) == errc::none);
  };
  s.h.advance(590'000); // nearly forgotten
  s.h.depose(false);
  s.h.start(1); // a new leader counts from its election
  s.h.advance(590'000);
  CHECK(is_there());
  renew(alice); // no lease to name: she is here all the same
  renew(bob);
  s.h.advance(590'000);
  s.h.depose(false);
  s.h.start(2);
  s.h.advance(10'000); // nobody names leases: they have run out by then
  CHECK(is_there());
  SECTION("released under another leader than it was made under") {
    CHECK(s.h.code(s.h.ask(alice, op_release_orphan{s.file})) == errc::none);
    CHECK_FALSE(is_there());
  }
  SECTION("its holder is silent for long") {
    for (int i = 0; i < 30; ++i) {
      s.h.advance(25'000);
      renew(bob);
    }
    for (int i = 0; i < 10; ++i) {
      s.h.commit_all();
      s.h.advance(200);
      s.h.tick();
    }
    CHECK(s.h.code(s.h.ask(bob, op_get_attributes{s.file})) == errc::stale_handle);
  }
}
