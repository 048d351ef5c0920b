#include "storage/base/fault_env.hpp"
#include "tests/storage/journal/journal_harness.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

/// What a power cut at this moment would leave, for several seeds.
void check_crash_here(const memory_env& e, const workload& work, std::uint64_t durable,
                      std::uint64_t seeds) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    auto after = e.clone();
    after->crash(seed);
    auto opened = open_journal(*after, "/d", test_drive(), tiny_journal_options());
    INFO("seed " << seed << " durable " << durable);
    if (!opened)
      INFO(describe(opened.error()));
    REQUIRE(opened);
    REQUIRE(work.was_after(dump(opened->replicas), durable));
  }
}

} // namespace

TEST_CASE("journal: a power cut at any moment loses nothing durable and invents nothing",
          "[unit][journal]") {
  // Goal: after every write and every sync of a long mixed life, any crash leaves the replicas as
  // they were after some order not older than the last durable one.
  // Method: the environment is cloned at each boundary and crashed with several seeds.
  memory_env e;
  REQUIRE(e.make_directory("/d"));
  REQUIRE(create_journal(e, "/d", test_drive(), tiny_journal_options()));
  auto opened = open_journal(e, "/d", test_drive(), tiny_journal_options());
  REQUIRE(opened);
  workload work{7, {}, 1};
  std::uint64_t durable = 0;
  std::mt19937_64 random{11};
  for (int batch_count = 0; batch_count < 400; ++batch_count) {
    for (auto orders = random() % 4 + 1; orders > 0; --orders)
      work.step(opened->state);
    while (auto batch = opened->state.next_batch()) {
      REQUIRE(opened->log->write_at(batch->offset, batch->bytes));
      check_crash_here(e, work, durable, 5);
      REQUIRE(opened->log->sync());
      durable = opened->state.batch_done(batch->number).value;
      work.forget_before(durable);
      check_crash_here(e, work, durable, 1);
    }
  }
  CHECK(opened->state.counters().segments > 16); // more than two rounds
}

TEST_CASE("journal: crash after crash, it goes on where it was", "[unit][journal]") {
  // Method: a few batches, a crash in the middle of a write or not, open, compare, go on.
  memory_env e;
  REQUIRE(e.make_directory("/d"));
  REQUIRE(create_journal(e, "/d", test_drive(), tiny_journal_options()));
  model state;
  std::uint64_t next_id = 1;
  std::uint64_t cut_count = 0;
  std::uint64_t segments = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    auto opened = open_journal(e, "/d", test_drive(), tiny_journal_options());
    INFO("seed " << seed);
    REQUIRE(opened);
    REQUIRE(dump(opened->replicas) == dump(state));
    cut_count += opened->tail_was_cut ? 1 : 0;
    workload work{seed, state, next_id};
    auto base = opened->state.durable_lsn().value;
    work.forget_before(base);
    std::uint64_t durable = base;
    for (std::uint64_t batch_count = seed % 5 + 1; batch_count > 0; --batch_count) {
      for (auto orders = seed % 3 + 1; orders > 0; --orders)
        work.step(opened->state);
      auto batch = opened->state.next_batch();
      if (!batch)
        continue;
      REQUIRE(opened->log->write_at(batch->offset, batch->bytes));
      if (batch_count > 1 || seed % 2 == 0) {
        REQUIRE(opened->log->sync());
        durable = opened->state.batch_done(batch->number).value;
      }
    }
    segments += opened->state.counters().segments;
    e.crash(seed * 31 + 5);
    auto again = open_journal(e, "/d", test_drive(), tiny_journal_options());
    REQUIRE(again);
    REQUIRE(work.was_after(dump(again->replicas), durable));
    state = again->replicas;
    next_id = work.next_id();
  }
  CHECK(segments > 40);
  CHECK(cut_count > 20);
}

TEST_CASE("journal: heads and the states that consensus folds agree", "[unit][journal]") {
  memory_env e;
  REQUIRE(e.make_directory("/d"));
  REQUIRE(create_journal(e, "/d", test_drive(), tiny_journal_options()));
  auto opened = open_journal(e, "/d", test_drive(), tiny_journal_options());
  REQUIRE(opened);
  workload work{3, {}, 1};
  for (int i = 0; i < 1000; ++i) {
    work.step(opened->state);
    REQUIRE(flush_journal(*opened));
    const auto& heads = opened->state.written().replicas;
    REQUIRE(heads.size() == work.now().size());
    for (const auto& [replica, x] : work.now()) {
      const auto& head = heads.at(replica);
      REQUIRE(head.last_index == x.state.last_index());
      REQUIRE(head.checkpoint == x.state.checkpoint);
      REQUIRE(head.term == x.state.term);
      REQUIRE(head.vote == x.state.vote);
    }
  }
  CHECK(opened->state.counters().segments > 50);
}

TEST_CASE("journal: a log that nobody checkpoints does not stop the others if it is written again",
          "[unit][journal]") {
  // Goal: a replica whose entries are never committed (its group has no majority) costs the others
  // a little room, for ever; at any crash its log is what it was.
  // Method: one replica only appends now and then and follows the journal's wish to rewrite; the
  // other one writes the journal round many times. Every write is a moment to crash.
  memory_env e;
  REQUIRE(e.make_directory("/d"));
  REQUIRE(create_journal(e, "/d", test_drive(), tiny_journal_options()));
  auto opened = open_journal(e, "/d", test_drive(), tiny_journal_options());
  REQUIRE(opened);
  auto& journal = opened->state;
  const replica_id stuck{1};
  const replica_id busy{2};
  model now;
  std::map<std::uint64_t, std::string> history;
  for (auto replica : {stuck, busy}) {
    REQUIRE(journal.create_replica(replica, group_id{1}, {}));
    now[replica].group = group_id{1};
  }
  auto give = [&](replica_id replica, const log_record& record) {
    auto lsn = journal.append(replica, {record});
    REQUIRE(lsn);
    REQUIRE(fold(now.at(replica).state, record));
    history[lsn->value] = dump(now);
  };
  auto append = [&](replica_id replica, std::size_t bytes) {
    give(replica, append_record{now.at(replica).state.last_index() + 1,
                                {command(1, std::string(bytes, 'x'))}});
  };
  append(stuck, 10);
  append(stuck, 3000);
  append(stuck, 10);
  give(stuck, checkpoint_record{checkpoint_at(1, 1)}); // the rest of its first segment stays
  std::uint64_t durable = 0;
  std::uint64_t rewritten = 0;
  std::uint64_t crashes = 0;
  auto write_all = [&] {
    while (auto batch = journal.next_batch()) {
      REQUIRE(opened->log->write_at(batch->offset, batch->bytes));
      auto after = e.clone();
      after->crash(++crashes);
      auto again = open_journal(*after, "/d", test_drive(), tiny_journal_options());
      REQUIRE(again);
      auto found = dump(again->replicas);
      auto at = durable == 0 ? history.begin() : history.find(durable);
      // An order may take several batches here: a crash may leave its first records only.
      bool known = durable == 0 || std::any_of(at, history.end(), [&](const auto& x) {
                     return x.second == found;
                   });
      REQUIRE(known);
      REQUIRE(opened->log->sync());
      durable = journal.batch_done(batch->number).value;
    }
  };
  write_all();
  for (int round = 0; round < 1500; ++round) {
    REQUIRE(journal.admits(1000));
    append(busy, 900);
    if (round % 200 == 7 && now.at(stuck).state.entries.size() < 8)
      append(stuck, 500);
    if (round % 200 == 99)
      give(stuck, truncate_record{now.at(stuck).state.last_index()});
    if (round % 8 == 0)
      give(busy, checkpoint_record{checkpoint_at(now.at(busy).state.last_index(), 1)});
    for (const auto& laggard : journal.laggards(2)) {
      CHECK(laggard.replica == stuck);
      auto& state = now.at(stuck).state;
      std::uint64_t bytes = 0;
      for (const auto& entry : state.entries)
        bytes += entry.payload.size() + 64;
      if (bytes > laggard.rewrite_bytes_max)
        continue;
      ++rewritten;
      give(stuck, rewrite_record{state.checkpoint.index + 1, state.entries});
    }
    write_all();
  }
  CHECK(journal.counters().segments > 40); // five rounds
  CHECK(rewritten > 8);
  CHECK(rewritten < journal.counters().segments / 3);
  CHECK(journal.counters().refused == 0);
}

TEST_CASE("journal: full of needed entries, it does not turn round for ever", "[unit][journal]") {
  // What is written again is at most as much as was written else, and what a journal has.
  memory_env e;
  REQUIRE(e.make_directory("/d"));
  REQUIRE(create_journal(e, "/d", test_drive(), tiny_journal_options()));
  auto opened = open_journal(e, "/d", test_drive(), tiny_journal_options());
  REQUIRE(opened);
  auto& journal = opened->state;
  durable_state state;
  REQUIRE(journal.create_replica(replica_id{1}, group_id{1}, state));
  while (journal.admits(2000)) {
    append_record one{state.last_index() + 1, {command(1, std::string(1900, 'x'))}};
    REQUIRE(journal.append(replica_id{1}, {one}));
    REQUIRE(fold(state, one));
    REQUIRE(flush_journal(*opened));
  }
  int turns = 0;
  for (std::uint64_t first = 1;; first = first % state.last_index() + 1) {
    auto laggards = journal.laggards(2);
    REQUIRE(laggards.size() == 1);
    if (laggards[0].rewrite_bytes_max < 2000)
      break;
    REQUIRE(++turns < 1000);
    REQUIRE(journal.append(replica_id{1}, {rewrite_record{first, {state.entries[first - 1]}}}));
    REQUIRE(flush_journal(*opened));
  }
  CHECK(turns > 0);
  // What makes room still fits.
  REQUIRE(journal.append(replica_id{1}, {checkpoint_record{checkpoint_at(state.last_index(), 1)}}));
  REQUIRE(flush_journal(*opened));
  CHECK(journal.admits(2000));
}

TEST_CASE("journal: what is written again must be in the log", "[unit][journal]") {
  memory_env e;
  REQUIRE(e.make_directory("/d"));
  REQUIRE(create_journal(e, "/d", test_drive(), tiny_journal_options()));
  auto opened = open_journal(e, "/d", test_drive(), tiny_journal_options());
  REQUIRE(opened);
  durable_state state;
  state.checkpoint = checkpoint_at(5, 1);
  state.entries = {command(1, "six"), command(1, "seven")};
  REQUIRE(opened->state.create_replica(replica_id{1}, group_id{1}, state));
  auto code = [&](std::uint64_t first, std::vector<log_entry> entries) {
    rewrite_record x{first, std::move(entries)};
    auto folded = state;
    auto fits = fold(folded, x);
    auto taken = opened->state.append(replica_id{1}, {x});
    CHECK(bool{taken} == fits);
    return taken ? errc::none : taken.error().code;
  };
  CHECK(code(5, {command(1, "five")}) == errc::invalid_argument);
  CHECK(code(8, {command(1, "eight")}) == errc::invalid_argument);
  CHECK(code(7, {command(1, "seven"), command(1, "eight")}) == errc::invalid_argument);
  CHECK(code(6, {command(0, "six")}) == errc::invalid_argument);
  CHECK(code(6, state.entries) == errc::none);
  REQUIRE(flush_journal(*opened));
  auto again = open_journal(e, "/d", test_drive(), tiny_journal_options());
  REQUIRE(again);
  CHECK(dump(again->replicas.at(replica_id{1}).state) == dump(state));
}

TEST_CASE("journal: a crash while it is made leaves none or a whole one", "[unit][journal]") {
  bool none = false;
  bool whole = false;
  for (std::uint64_t changes = 0; changes < 12; ++changes)
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      memory_env e;
      REQUIRE(e.make_directory("/d"));
      fault_env cut{e};
      cut.stop_after(changes);
      auto made = create_journal(cut, "/d", test_drive(), tiny_journal_options());
      e.crash(seed);
      auto opened = open_journal(e, "/d", test_drive(), tiny_journal_options());
      INFO("changes " << changes << " seed " << seed);
      if (made)
        REQUIRE(opened);
      if (opened) {
        whole = true;
        continue;
      }
      none = true;
      REQUIRE(opened.error().code == errc::not_found);
      REQUIRE(create_journal(e, "/d", test_drive(), tiny_journal_options()));
      REQUIRE(open_journal(e, "/d", test_drive(), tiny_journal_options()));
    }
  CHECK(none);
  CHECK(whole);
}
