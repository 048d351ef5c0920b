// Goal: the guards whose removal random seeds hit too rarely (A, C, E, H, L) do what they are for.
// Method: one schedule each, played with the guard and without it; without it the schedule must
// end in the violation. H and the other guards: tests/sim/consensus_guards_test.cpp.

#include "tests/apart.hpp"
#include "tests/storage/consensus/hand_group.hpp"

#include <optional>
#include <set>

using namespace troupe;
using test::hand_group;
using test::hand_options;
using test::outcome;

namespace {

log_entry entry(std::uint64_t term, const char* text) {
  return {term, entry_kind::command, test::command(text)};
}

/// Figure 8 of the Raft paper: an entry of an old term reaches a majority under a new leader and
/// is overwritten by a third one. @returns whether two commands were applied at one index.
bool overwrites_committed_entry(hand_group& group) {
  auto lead = [&](std::uint64_t id) { // until it is elected, ready or not
    // A follower forgets a leader only when its own clock says so: first nobody hears anything.
    auto filter = std::exchange(group.filter, [](const hand_group::flying&) { return false; });
    for (std::uint64_t other : {1, 2, 3, 4, 5})
      group.at(other).clock_ticks = true;
    group.advance(1000);
    group.filter = filter;
    for (std::uint64_t other : {1, 2, 3, 4, 5})
      group.at(other).clock_ticks = other == id;
    for (int i = 0; i < 500 && group.machine(id).role() != consensus_role::leader; ++i)
      group.advance(10);
    REQUIRE(group.machine(id).role() == consensus_role::leader);
  };
  group.elect(1);
  REQUIRE(group.propose(1, {"base"}));
  group.advance(100);
  auto index = group.machine(1).last_index() + 1;

  // 1 has "x" on two of five disks, then goes down.
  for (std::uint64_t far : {3, 4, 5}) {
    group.cut(1, far);
    group.cut(2, far);
  }
  REQUIRE(group.propose(1, {"x"}));
  group.advance(50);
  auto old_term = group.machine(1).term();
  group.crash(1);

  // 5 leads with the votes of 3 and 4 and has something else there, which nobody gets.
  group.filter = [](const hand_group::flying& x) {
    return x.from != 5 || !std::holds_alternative<append_entries>(x.message);
  };
  lead(5);
  (void)group.propose(5, {"y"}); // refused while its barrier, now at that index, is not applied
  group.deliver_all();
  REQUIRE(group.machine(5).last_index() == index);
  group.crash(5);

  // 1 leads again and brings "x" to 3: a majority has it. Nothing of its own term arrives, nor
  // that it is committed, if it is.
  group.heal();
  group.filter = [&](const hand_group::flying& x) {
    const auto* entries = std::get_if<append_entries>(&x.message);
    return entries == nullptr || x.from != 1
           || (x.to <= 3 && entries->commit_index < index
               && (entries->entries.empty() || entries->entries[0].term == old_term));
  };
  group.start(1);
  group.advance(400); // its quiet time
  lead(1);
  group.advance(300);
  REQUIRE(group.machine(3).last_index() >= index);
  group.crash(1);

  // 5 comes back; its entry is newer, so 2, 3 and 4 follow it.
  group.filter = nullptr;
  group.start(5);
  group.advance(400);
  lead(5);
  group.advance(200);
  REQUIRE(group.machine(5).leader_ready());
  REQUIRE(group.propose(5, {"z"}));
  group.advance(200);
  auto first = group.at(1).applied.find(index);
  auto now = group.at(3).applied.find(index);
  std::string there = now == group.at(3).applied.end() ? "no command" : now->second;
  return first != group.at(1).applied.end() && first->second != there;
}

/// Three leaders in turn write to a follower whose disk is slow. @returns whether it acknowledges
/// to the third what its disk is about to truncate.
bool acknowledges_what_will_be_truncated(hand_group& group) {
  group.elect(1);
  REQUIRE(group.propose(1, {"base"}));
  group.advance(100);
  auto term = group.machine(1).term();
  auto last = group.machine(1).last_index();
  group.crash(1);
  group.crash(3);
  group.at(2).disk_stands_still = true;
  group.inject(1, 2, append_entries{term, last, term, last, 0, {entry(term, "old")}});
  group.inject(3, 2, append_entries{term + 1, last, term, last, 0, {entry(term + 1, "new")}});
  // The heartbeat makes the term durable before the entries: guard K holds no result back then.
  group.inject(1, 2, append_entries{term + 2, last, term, last, 0, {}});
  group.inject(
    1, 2,
    append_entries{term + 2, last, term, last, 0, {entry(term, "old"), entry(term + 2, "newer")}});
  bool broken = false;
  std::uint64_t acknowledged = 0; // to the leader of term + 2
  while (!group.at(2).unsynced.empty()) {
    group.sync_one(2);
    for (const auto& x : group.wire())
      if (const auto* result = std::get_if<append_entries_result>(&x.message);
          result != nullptr && result->term == term + 2 && result->rejected_index == 0)
        acknowledged = std::max(acknowledged, result->last_index);
    // A power cut now leaves exactly this disk.
    const auto& disk = group.at(2).disk;
    if (acknowledged > disk.last_index())
      broken = true;
    for (auto index = last + 1; index <= std::min(acknowledged, disk.last_index()); ++index) {
      auto expected = index == last + 1 ? term : term + 2;
      broken = broken || disk.entries[index - disk.checkpoint.index - 1].term != expected;
    }
  }
  return broken;
}

/// A leader that asked 2 to take over is overtaken by 3, votes for it, and then is asked by 2.
/// @returns whether it votes for both.
bool votes_twice(hand_group& group) {
  group.elect(1);
  group.advance(400); // its quiet time
  auto term = group.machine(1).term() + 1;
  auto last = group.machine(1).last_index();
  group.isolate(1); // what it sends is lost; what arrives is injected
  REQUIRE(group.step(1, [&](consensus& m, consensus_effects& out) {
    return m.transfer_leadership(group.now(), replica_id{2}, out);
  }));
  group.deliver_all();
  group.heal();
  group.inject(3, 1, append_entries_result{term, last, last, 0}); // a newer term, no leader yet
  REQUIRE(group.machine(1).term() == term);
  for (std::uint64_t candidate : {3, 2})
    group.inject(candidate, 1, request_vote{term, last, term - 1, candidate == 2, false});
  std::set<std::uint64_t> votes;
  for (const auto& x : group.wire())
    if (const auto* result = std::get_if<request_vote_result>(&x.message);
        result != nullptr && x.from == 1 && result->term == term && result->granted)
      votes.insert(x.to);
  REQUIRE(votes.count(3) == 1);
  return votes.size() > 1;
}

/// A voter restarts just after it promised patience to leader 1, and is asked by 3, which was cut
/// off, while 1 is. @returns whether 1 still reads under its lease what 3 has overwritten.
bool reads_stale_state(hand_group& group) {
  group.elect(1);
  REQUIRE(group.propose(1, {"old"}));
  group.advance(400);
  std::optional<request_vote> asked;
  group.filter = [&](const hand_group::flying& x) {
    if (const auto* request = std::get_if<request_vote>(&x.message); request && x.to == 2)
      asked = *request;
    return x.from != 3 && x.to != 3;
  };
  for (int i = 0; i < 200 && !asked; ++i)
    group.advance(10);
  REQUIRE(asked);
  REQUIRE(group.machine(1).read_lease_valid(group.now()));
  group.crash(2);
  group.start(2);
  group.isolate(1);
  group.filter = nullptr;
  group.inject(3, 2, *asked);
  group.deliver_all();
  (void)group.propose(3, {"new"});
  group.deliver_all();
  return group.machine(1).read_lease_valid(group.now())
         && group.at(3).applied.size() > group.at(1).applied.size();
}

} // namespace

TEST_CASE("consensus guard A: an entry of an old term is committed only under one of the own term",
          "[unit][consensus]") {
  for (bool guard : {true, false}) {
    auto options = hand_options();
    options.guards.own_term_first = guard;
    options.message_bytes_max = 1; // one entry per message
    auto seen = test::play_apart([&] {
      hand_group group{5, options};
      return overwrites_committed_entry(group);
    });
    CHECK(seen == (guard ? outcome::held : outcome::violated));
  }
}

TEST_CASE("consensus guard C: a follower acknowledges only what stays on its disk",
          "[unit][consensus]") {
  for (bool guard : {true, false}) {
    auto options = hand_options();
    options.guards.serial_follower = guard;
    auto seen = test::play_apart([&] {
      hand_group group{3, options};
      bool violated = acknowledges_what_will_be_truncated(group);
      if (!guard && violated)
        _exit(1); // the library has confused its memory too: closing it could crash
      return violated;
    });
    CHECK(seen == (guard ? outcome::held : outcome::violated));
  }
}

TEST_CASE("consensus guard E: nobody votes twice in a term, also not for a transferee",
          "[unit][consensus]") {
  for (bool guard : {true, false}) {
    auto options = hand_options();
    options.guards.one_vote = guard;
    options.pre_vote = false;
    auto seen = test::play_apart([&] {
      hand_group group{3, options};
      return votes_twice(group);
    });
    CHECK(seen == (guard ? outcome::held : outcome::violated));
  }
}

TEST_CASE("consensus guard L: a voter that restarts keeps the promise that a lease counts on",
          "[unit][consensus]") {
  for (bool guard : {true, false}) {
    auto options = hand_options();
    options.guards.quiet_start = guard;
    options.pre_vote = false;
    auto seen = test::play_apart([&] {
      hand_group group{3, options};
      return reads_stale_state(group);
    });
    CHECK(seen == (guard ? outcome::held : outcome::violated));
  }
}

TEST_CASE("consensus guard I: a replica that the library gave up on is opened anew",
          "[unit][consensus]") {
  for (bool guard : {true, false}) {
    auto options = hand_options();
    options.guards.reopen = guard;
    hand_group group{3, options};
    group.elect(1);
    REQUIRE(group.propose(1, {"a"}));
    group.advance(100);
    auto term = group.machine(1).term();
    auto last = group.machine(2).last_applied();
    // Contradicts a committed entry: the library shuts itself down.
    group.inject(1, 2, append_entries{term, last, term - 1, last, 0, {}});
    CHECK(group.machine(2).role() == consensus_role::stopped);
    CHECK(group.at(2).count<reopen_group>() == (guard ? 1 : 0));
    if (group.at(2).count<reopen_group>() == 1) // what an owner does
      group.start(2);
    REQUIRE(group.propose(1, {"b"}));
    group.advance(500);
    CHECK((group.at(2).applied == group.at(1).applied) == guard);
  }
}
