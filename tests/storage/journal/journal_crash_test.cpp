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
