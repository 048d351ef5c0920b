#include "storage/consensus/consensus.hpp"
#include "tests/storage/consensus/hand_group.hpp"

using namespace troupe;
using test::hand_group;
using test::hand_options;

namespace {

bool is_voter(consensus& machine, std::uint64_t id) {
  for (const auto& member : machine.members().members)
    if (member.replica == replica_id{id})
      return member.role == member_role::voter;
  return false;
}

/// Pulls what the replica asked for: the source's applied commands, at once.
void finish_install(hand_group& group, std::uint64_t id, std::uint64_t state_id) {
  auto order = group.at(id).last<install_state>();
  for (const auto& [index, text] : group.at(order.from.value).applied)
    if (index <= order.index)
      group.at(id).applied[index] = text;
  group.step(id, [&](consensus& m, consensus_effects& out) {
    m.install_done(group.now(), order.token, state_id, out);
  });
}

} // namespace

TEST_CASE("consensus: the loaded library is the one that was checked", "[unit][consensus]") {
  auto ok = check_consensus_library();
  if (!ok)
    FAIL(ok.error().context);
}

TEST_CASE("consensus: three replicas elect one leader and apply a batch in order everywhere",
          "[unit][consensus]") {
  hand_group group{3};
  auto chief = group.elect();
  REQUIRE(group.propose(chief, {"a", "b", "c"}));
  group.advance(100);
  CHECK(group.at(chief).last<proposal_finished>().outcome == proposal_outcome::committed);
  CHECK(group.at(chief).count<proposal_finished>() == 1);
  for (std::uint64_t id : {1, 2, 3}) {
    std::vector<std::string> texts;
    for (const auto& [index, text] : group.at(id).applied)
      texts.push_back(text);
    CHECK(texts == std::vector<std::string>{"a", "b", "c"});
    CHECK(group.machine(id).leader() == replica_id{chief});
    CHECK(group.machine(id).last_applied() == group.machine(chief).last_applied());
  }
}

TEST_CASE("consensus: who does not lead refuses a proposal and names the leader",
          "[unit][consensus]") {
  hand_group group{3};
  auto before = group.propose(1, {"x"});
  REQUIRE(!before);
  CHECK(before.error().code == errc::not_leader);
  auto chief = group.elect();
  auto other = chief == 1 ? 2 : 1;
  auto refused = group.propose(other, {"x"});
  REQUIRE(!refused);
  CHECK(refused.error().code == errc::not_leader);
  CHECK(refused.error().context == "the leader is replica " + std::to_string(chief));
}

TEST_CASE("consensus: bad batches are refused", "[unit][consensus]") {
  auto options = hand_options();
  options.batch_entries_max = 2;
  options.batch_bytes_max = 10;
  hand_group group{3, options};
  auto chief = group.elect();
  CHECK(group.propose(chief, {}).error().code == errc::invalid_argument);
  CHECK(group.propose(chief, {"a", ""}).error().code == errc::invalid_argument);
  CHECK(group.propose(chief, {"a", "b", "c"}).error().code == errc::too_large);
  CHECK(group.propose(chief, {"12345678901"}).error().code == errc::too_large);
}

TEST_CASE("consensus: a batch needs a majority of disks", "[unit][consensus]") {
  hand_group group{3};
  group.elect(1);
  for (std::uint64_t id : {1, 2, 3})
    group.at(id).disk_stands_still = true;
  REQUIRE(group.propose(1, {"a"}));
  group.deliver_all();
  CHECK(group.at(1).count<proposal_finished>() == 0);
  group.sync_one(2); // one follower, not yet the leader
  group.deliver_all();
  CHECK(group.at(1).count<proposal_finished>() == 0);
  CHECK(group.propose(1, {"b"}).error().code == errc::busy);
  group.sync_one(1);
  group.deliver_all();
  CHECK(group.at(1).count<proposal_finished>() == 1);
  CHECK(group.propose(1, {"b"}));
}

TEST_CASE("consensus: losing leadership leaves a batch as may have happened", "[unit][consensus]") {
  hand_group group{3};
  group.elect(1);
  group.isolate(1);
  REQUIRE(group.propose(1, {"a"}));
  group.advance(1000);
  CHECK(group.at(1).last<proposal_finished>().outcome == proposal_outcome::may_have_happened);
  CHECK(group.machine(1).role() != consensus_role::leader);
}

TEST_CASE("consensus: a replica that restarts applies what was committed again",
          "[unit][consensus]") {
  hand_group group{3};
  group.elect(1);
  REQUIRE(group.propose(1, {"a", "b"}));
  group.advance(100);
  group.crash(2);
  REQUIRE(group.propose(1, {"c"}));
  group.advance(100);
  group.at(2).applied.clear();
  group.start(2);
  group.advance(200);
  CHECK(group.at(2).applied == group.at(1).applied);
}

TEST_CASE("consensus: everything that was acknowledged survives a power cut of all",
          "[unit][consensus]") {
  hand_group group{3};
  group.elect(1);
  REQUIRE(group.propose(1, {"a", "b"}));
  group.advance(100);
  for (std::uint64_t id : {1, 2, 3}) {
    group.crash(id);
    group.at(id).applied.clear();
  }
  for (std::uint64_t id : {1, 2, 3})
    group.start(id);
  group.elect();
  group.advance(100);
  for (std::uint64_t id : {1, 2, 3})
    CHECK(group.at(id).applied.size() == 2);
}

TEST_CASE("consensus: a checkpoint lets the journal drop entries", "[unit][consensus]") {
  hand_group group{3};
  group.elect(1);
  REQUIRE(group.propose(1, {"abc", "de"}));
  group.advance(100);
  CHECK(group.machine(1).bytes_since_checkpoint() >= 5);
  auto applied = group.machine(1).last_applied();
  group.step(1, [&](consensus& m, consensus_effects& out) { m.checkpointed(applied + 1, out); });
  CHECK(group.machine(1).checkpoint_index() == 1); // not applied yet: ignored
  group.step(1, [&](consensus& m, consensus_effects& out) { m.checkpointed(applied, out); });
  CHECK(group.machine(1).checkpoint_index() == applied);
  CHECK(group.machine(1).bytes_since_checkpoint() == 0);
  CHECK(group.at(1).disk.entries.empty());
  CHECK(group.at(1).disk.checkpoint.index == applied);
  CHECK(group.at(1).disk.checkpoint.configuration.members.size() == 3);
  group.crash(1);
  group.at(1).applied.clear();
  group.start(1);
  CHECK(group.machine(1).last_applied() == applied);
  group.elect();
  REQUIRE(group.propose(group.leader(), {"f"}));
  group.advance(100);
  CHECK(group.at(1).applied.size() == 1); // only what lies behind the checkpoint
}

TEST_CASE("consensus: the tail in memory is bounded and a follower beyond it pulls a state",
          "[unit][consensus]") {
  auto options = hand_options();
  options.tail_bytes_max = 1000;
  hand_group group{3, options};
  group.elect(1);
  group.crash(3);
  group.advance(400); // silent for an election timeout: nothing is kept for it any more
  for (int i = 0; i < 100; ++i) {
    REQUIRE(group.propose(1, {std::string(50, 'x')}));
    group.advance(10);
    CHECK(group.machine(1).tail_bytes() <= 1100);
  }
  group.start(3);
  group.advance(500);
  REQUIRE(group.at(3).count<install_state>() == 1);
  auto order = group.at(3).last<install_state>();
  CHECK(order.from == replica_id{1});
  CHECK(order.index > 90);
  CHECK(group.machine(3).last_applied() < order.index);
  finish_install(group, 3, 77);
  group.advance(300);
  CHECK(group.at(3).last<switch_state>().state_id == 77);
  CHECK(group.at(3).disk.checkpoint.state_id == 77);
  CHECK(group.machine(3).last_applied() == group.machine(1).last_applied());
  CHECK(group.at(3).applied == group.at(1).applied);
  REQUIRE(group.propose(1, {"y"}));
  group.advance(100);
  CHECK(group.at(3).applied == group.at(1).applied);
}

TEST_CASE("consensus: a failed pull is offered again and a needless one is dropped",
          "[unit][consensus]") {
  auto options = hand_options();
  options.tail_bytes_max = 200;
  hand_group group{3, options};
  group.elect(1);
  group.crash(3);
  group.advance(400);
  for (int i = 0; i < 20; ++i) {
    REQUIRE(group.propose(1, {std::string(50, 'x')}));
    group.advance(10);
  }
  group.start(3);
  group.advance(300);
  REQUIRE(group.at(3).count<install_state>() == 1);
  auto first = group.at(3).last<install_state>();
  group.machine(3).install_failed(first.token);
  group.advance(1500);
  REQUIRE(group.at(3).count<install_state>() == 2);
  finish_install(group, 3, 5);
  group.advance(100);
  CHECK(group.at(3).count<switch_state>() == 1);
  group.step(3, [&](consensus& m, consensus_effects& out) {
    m.install_done(group.now(), first.token, 6, out);
  });
  CHECK(group.at(3).last<drop_state>().token == first.token);
}

TEST_CASE("consensus: a pulled state replaces a newer entry that was never committed",
          "[unit][consensus]") {
  // 2 has an entry of a leader of one term, which nobody else has. The leader of the next term
  // brought one of an older term through to that index, and offers its state there.
  hand_group group{3};
  group.elect(1);
  REQUIRE(group.propose(1, {"base"}));
  group.advance(100);
  auto term = group.machine(1).term();
  auto last = group.machine(1).last_index();
  auto configuration = group.machine(2).members();
  group.crash(1);
  group.crash(3);
  auto entry = [](std::uint64_t in_term, const char* text) {
    return log_entry{in_term, entry_kind::command, test::command(text)};
  };
  group.inject(3, 2, append_entries{term + 1, last, term, last, 0, {entry(term + 1, "lost")}});
  REQUIRE(group.machine(2).last_index() == last + 1);
  group.inject(1, 2, append_entries{term + 2, last, term, last, 0, {}});
  group.inject(1, 2, install_offer{term + 2, replica_id{1}, last + 1, term, configuration, 1});
  REQUIRE(group.at(2).count<install_state>() == 1);
  group.wire().clear();
  group.at(1).applied[last + 1] = "kept";
  finish_install(group, 2, 7);
  REQUIRE(group.at(2).count<switch_state>() == 1);
  CHECK(group.at(2).last<switch_state>().index == last + 1);
  CHECK(group.at(2).disk.checkpoint.index == last + 1);
  CHECK(group.at(2).disk.checkpoint.term == term);
  CHECK(group.at(2).disk.last_index() == last + 1);
  CHECK(group.machine(2).leader() == replica_id{1});
  std::uint64_t acknowledged = 0;
  for (const auto& x : group.wire())
    if (const auto* result = std::get_if<append_entries_result>(&x.message))
      acknowledged = std::max(acknowledged, result->last_index);
  CHECK(acknowledged == last + 1);
  // And goes on behind it.
  group.inject(1, 2,
               append_entries{term + 2, last + 1, term, last + 2, 0, {entry(term + 2, "next")}});
  group.inject(1, 2, append_entries{term + 2, last + 2, term + 2, last + 2, 0, {}});
  CHECK(group.machine(2).last_applied() == last + 2);
  CHECK(group.at(2).applied[last + 1] == "kept");
  CHECK(group.at(2).applied[last + 2] == "next");
}

TEST_CASE("consensus: leadership moves to the asked voter", "[unit][consensus]") {
  hand_group group{3};
  group.elect(1);
  group.advance(100);
  auto transfer = [&](std::uint64_t to) {
    return group.step(1, [&](consensus& m, consensus_effects& out) {
      return m.transfer_leadership(group.now(), replica_id{to}, out);
    });
  };
  CHECK(transfer(1).error().code == errc::invalid_argument);
  CHECK(transfer(9).error().code == errc::invalid_argument);
  REQUIRE(transfer(3));
  group.advance(100);
  CHECK(group.leader() == 3);
  CHECK(group.at(1).last<transfer_finished>().to == replica_id{3});
  CHECK(transfer(2).error().code == errc::not_leader);
}

TEST_CASE("consensus: a leader whose transfer fails has no lease until it stood again",
          "[unit][consensus]") {
  hand_group group{3};
  group.elect(1);
  group.advance(100);
  CHECK(group.machine(1).read_lease_valid(group.now()));
  auto term = group.machine(1).term();
  group.filter = [](const hand_group::flying& x) {
    return !std::holds_alternative<timeout_now>(x.message);
  };
  REQUIRE(group.step(1, [&](consensus& m, consensus_effects& out) {
    return m.transfer_leadership(group.now(), replica_id{2}, out);
  }));
  CHECK(!group.machine(1).read_lease_valid(group.now()));
  CHECK(group.propose(1, {"x"}).error().code == errc::busy);
  group.advance(1000);
  CHECK(group.at(1).last<transfer_finished>().to == replica_id{2});
  CHECK(group.leader() == 1);
  CHECK(group.machine(1).term() > term);
  CHECK(group.machine(1).read_lease_valid(group.now()));
}

TEST_CASE("consensus: a learner joins by a pulled state, is promoted and replaces a dead voter",
          "[unit][consensus]") {
  hand_group group{3};
  group.elect(1);
  REQUIRE(group.propose(1, {"a"}));
  group.advance(100);
  group.crash(3);
  group.advance(500);
  auto change = [&](auto call) {
    return group.step(1, [&](consensus& m, consensus_effects& out) {
      return (m.*call)(group.now(), replica_id{3}, out);
    });
  };
  REQUIRE(change(&consensus::remove)); // the dead first
  group.advance(100);
  CHECK(group.at(1).last<change_finished>().done);
  CHECK(group.machine(1).members().members.size() == 2);
  CHECK(group.at(2).last<members_changed>().configuration.members.size() == 2);

  group.add(4, {});
  REQUIRE(group.step(1, [&](consensus& m, consensus_effects& out) {
    return m.add_learner(group.now(), replica_id{4}, out);
  }));
  CHECK(group.machine(1).membership_changing());
  group.advance(300);
  CHECK(group.at(1).last<change_finished>().done);
  auto early = group.step(1, [&](consensus& m, consensus_effects& out) {
    return m.promote(group.now(), replica_id{4}, out);
  });
  CHECK(early.error().code == errc::unavailable); // has nothing yet
  REQUIRE(group.at(4).count<install_state>() == 1);
  finish_install(group, 4, 1);
  group.advance(300);
  CHECK(group.at(4).applied == group.at(1).applied);
  CHECK(!is_voter(group.machine(1), 4));
  REQUIRE(group.step(1, [&](consensus& m, consensus_effects& out) {
    return m.promote(group.now(), replica_id{4}, out);
  }));
  group.advance(300);
  CHECK(is_voter(group.machine(1), 4));
  CHECK(is_voter(group.machine(4), 4));

  group.crash(1);
  auto next = group.elect();
  REQUIRE(group.propose(next, {"b"}));
  group.advance(200);
  CHECK(group.at(4).applied == group.at(2).applied);
}

TEST_CASE("consensus: members change only where a healthy majority remains", "[unit][consensus]") {
  hand_group group{5};
  group.elect(1);
  group.advance(100);
  group.crash(4);
  group.crash(5);
  group.advance(500);
  auto remove = [&](std::uint64_t id) {
    return group.step(1, [&](consensus& m, consensus_effects& out) {
      return m.remove(group.now(), replica_id{id}, out);
    });
  };
  CHECK(remove(2).error().code == errc::unavailable); // 2 of 4 would be healthy
  CHECK(remove(1).error().code == errc::invalid_argument);
  CHECK(remove(9).error().code == errc::not_found);
  auto followers = group.machine(1).followers(group.now());
  REQUIRE(followers.size() == 4);
  CHECK(followers[0].healthy);
  CHECK(followers[0].caught_up);
  CHECK(!followers[3].healthy);
  REQUIRE(remove(4)); // hazards F27: two dead do not block the repair
  group.advance(100);
  REQUIRE(remove(5));
  group.advance(100);
  CHECK(group.machine(1).members().members.size() == 3);
}

TEST_CASE("consensus: a sole voter leads by itself, each time in a new term", "[unit][consensus]") {
  hand_group group{1};
  auto first = group.machine(1).term();
  CHECK(group.leader() == 1);
  REQUIRE(group.propose(1, {"a"}));
  CHECK(group.at(1).applied.size() == 1);
  CHECK(group.machine(1).read_lease_valid(group.now()));
  group.crash(1);
  group.start(1);
  CHECK(group.leader() == 1);
  CHECK(group.machine(1).term() > first);
}

TEST_CASE("consensus: a dead drive stops the replica for good", "[unit][consensus]") {
  hand_group group{3};
  group.elect(1);
  group.at(1).disk_stands_still = true;
  REQUIRE(group.propose(1, {"a"}));
  group.step(1, [&](consensus& m, consensus_effects& out) { m.failed(store_token{99}, out); });
  CHECK(group.machine(1).role() == consensus_role::stopped);
  CHECK(group.at(1).last<proposal_finished>().outcome == proposal_outcome::may_have_happened);
  CHECK(group.propose(1, {"b"}).error().code == errc::not_leader);
  group.at(1).unsynced.clear();
  group.wire().clear();
  group.advance(1000);
  CHECK(group.machine(1).role() == consensus_role::stopped);
  CHECK(group.leader() != 1);
  CHECK(group.leader() != 0);
}

TEST_CASE("consensus: a leader with a stuck disk is replaced", "[unit][consensus]") {
  hand_group group{3};
  group.elect(1);
  group.at(1).disk_stands_still = true;
  REQUIRE(group.propose(1, {"a"}));
  group.advance(2000);
  CHECK(group.leader() != 1);
  CHECK(group.leader() != 0);
  CHECK(!group.machine(1).read_lease_valid(group.now()));
}

TEST_CASE("consensus: malformed messages are dropped", "[unit][consensus]") {
  hand_group group{3};
  group.elect(1);
  REQUIRE(group.propose(1, {"a"}));
  group.advance(100);
  auto term = group.machine(2).term();
  auto last = group.machine(2).last_index();
  log_entry garbage{term, entry_kind::configuration, test::command("garbage")};
  log_entry empty{term, entry_kind::command, {}};
  log_entry future{term + 9, entry_kind::command, test::command("z")};
  log_entry unknown{term, static_cast<entry_kind>(9), test::command("z")};
  for (const auto& entry : {garbage, empty, future, unknown})
    group.inject(1, 2, append_entries{term, last, term, last, 0, {entry}});
  group.inject(1, 2, append_entries{0, 0, 0, 0, 0, {}});
  group.inject(1, 2, append_entries{term, 5, 0, 5, 0, {}});
  group.inject(1, 2, install_offer{term, replica_id{1}, 900, term, {}, 1});
  group.inject(2, 1, append_entries_result{0, 0, 0, 0});
  group.inject(9, 1, append_entries{term, last, term, last, 0, {}}); // a second leader of the term
  CHECK(group.machine(2).last_index() == last);
  CHECK(group.at(2).count<install_state>() == 0);
  CHECK(group.leader() == 1);
  REQUIRE(group.propose(1, {"b"}));
  group.advance(100);
  CHECK(group.at(2).applied == group.at(1).applied);
}
