#include "storage/base/fault_env.hpp"
#include "storage/base/posix_env.hpp"
#include "tests/storage/journal/journal_harness.hpp"

#include <cstdlib>
#include <filesystem>

using namespace troupe;
using namespace troupe::test;

namespace {

/// A fresh journal in memory with faults in front.
struct fixture {
  memory_env memory;
  fault_env e{memory};
  fixture() {
    REQUIRE(e.make_directory("/d"));
    REQUIRE(create_journal(e, "/d", test_drive(), tiny_journal_options()));
  }
  expected<opened_journal> try_open() {
    return open_journal(e, "/d", test_drive(), tiny_journal_options());
  }
  opened_journal open() {
    auto opened = try_open();
    if (!opened)
      INFO(describe(opened.error()));
    REQUIRE(opened);
    return std::move(*opened);
  }
};

append_record entries(std::uint64_t first_index, std::uint64_t count, std::size_t bytes = 10) {
  append_record x{first_index, {}};
  for (std::uint64_t i = 0; i < count; ++i)
    x.entries.push_back(command(1, std::to_string(first_index + i) + std::string(bytes, '.')));
  return x;
}

constexpr replica_id one{1};
constexpr replica_id two{2};

/// Fills `journal` with entries of a replica until it refuses them. @returns the last index.
std::uint64_t fill(opened_journal& journal, replica_id replica, std::uint64_t next_index) {
  for (;; ++next_index) {
    auto lsn = journal.state.append(replica, {entries(next_index, 1, 1500)});
    if (!lsn) {
      REQUIRE(lsn.error().code == errc::no_space);
      return next_index - 1;
    }
    REQUIRE(flush_journal(journal));
  }
}

void run_batches(opened_journal& journal, replica_id replica, std::uint64_t& index,
                 std::uint64_t count) {
  for (; count > 0; --count) {
    REQUIRE(journal.state.append(replica, {entries(++index, 1, 1500)}));
    REQUIRE(flush_journal(journal));
  }
}

} // namespace

TEST_CASE("journal: what was appended is there after opening", "[unit][journal]") {
  fixture f;
  {
    auto journal = f.open();
    CHECK(journal.replicas.empty());
    REQUIRE(journal.state.create_replica(one, group_id{3},
                                         bootstrap_state(checkpoint_at(0, 0).configuration, 5)));
    REQUIRE(journal.state.append(one, {term_vote_record{4, two}, entries(2, 3)}));
    REQUIRE(journal.state.append(one, {truncate_record{4}, entries(4, 1)}));
    REQUIRE(journal.state.append(one, {checkpoint_record{checkpoint_at(2, 1, 5)}}));
    REQUIRE(journal.state.create_replica(two, group_id{0}, {}));
    REQUIRE(flush_journal(journal));
  }
  auto journal = f.open();
  CHECK_FALSE(journal.tail_was_cut);
  REQUIRE(journal.replicas.size() == 2);
  const auto& x = journal.replicas.at(one);
  CHECK(x.group == group_id{3});
  CHECK(x.state.term == 4);
  CHECK(x.state.vote == two);
  CHECK(x.state.checkpoint == checkpoint_at(2, 1, 5));
  REQUIRE(x.state.entries.size() == 2);
  CHECK(as_text(x.state.entries[0].payload.view()) == "3..........");
  CHECK(as_text(x.state.entries[1].payload.view()) == "4..........");
  CHECK(journal.replicas.at(two).group == group_id{0});
  CHECK(dump(journal.replicas.at(two).state) == dump(durable_state{}));
}

TEST_CASE("journal: works on real files", "[unit][journal]") {
  std::string path = std::filesystem::temp_directory_path() / "troupe-journal-XXXXXX";
  path = ::mkdtemp(path.data());
  posix_env e;
  REQUIRE(create_journal(e, path, test_drive(), tiny_journal_options()));
  CHECK(std::filesystem::file_size(path + "/journal")
        == journal_file_bytes(tiny_journal_options()));
  model state;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    auto journal = open_journal(e, path, test_drive(), tiny_journal_options());
    REQUIRE(journal);
    CHECK(journal->log->descriptor() >= 0);
    CHECK(dump(journal->replicas) == dump(state));
    workload work{seed, state, 1 + seed * 1000};
    for (int i = 0; i < 60; ++i) {
      work.step(journal->state);
      if (i % 3 == 0)
        REQUIRE(flush_journal(*journal));
    }
    REQUIRE(flush_journal(*journal));
    state = work.now();
  }
  std::filesystem::remove_all(path);
}

TEST_CASE("journal: what arrives during a sync shares the next one", "[unit][journal]") {
  fixture f;
  auto journal = f.open();
  REQUIRE(journal.state.create_replica(one, group_id{1}, {}));
  auto first = journal.state.next_batch();
  REQUIRE(first);
  CHECK(first->bytes.size() == journal_page_bytes);
  std::vector<journal_lsn> waiting;
  for (std::uint64_t i = 1; i <= 20; ++i) {
    auto lsn = journal.state.append(one, {entries(i, 1)});
    REQUIRE(lsn);
    waiting.push_back(*lsn);
  }
  CHECK_FALSE(journal.state.next_batch()); // one in flight
  CHECK(journal.state.batch_done(first->number) < waiting.front());
  auto second = journal.state.next_batch();
  REQUIRE(second);
  CHECK(second->offset == first->offset + first->bytes.size());
  CHECK(journal.state.batch_done(second->number) == waiting.back());
  CHECK(journal.state.idle());
  CHECK_FALSE(journal.state.next_batch());
  const auto& counters = journal.state.counters();
  CHECK(counters.syncs == 2);
  CHECK(counters.batches == 2);
  CHECK(counters.records == 21);
  CHECK(counters.bytes == first->bytes.size() + second->bytes.size());
}

TEST_CASE("journal: an order that fits one batch is never torn in two", "[unit][journal]") {
  fixture f;
  auto journal = f.open();
  REQUIRE(journal.state.create_replica(one, group_id{1}, {}));
  REQUIRE(journal.state.append(one, {entries(1, 2, 1000)}));
  auto lsn = journal.state.append(one, {truncate_record{2}, entries(2, 3, 1000)});
  REQUIRE(lsn);
  auto done = write_batch(journal.state, *journal.log);
  REQUIRE(done);
  CHECK(*done == journal_lsn{3}); // the second order does not fit beside the first
  done = write_batch(journal.state, *journal.log);
  REQUIRE(done);
  CHECK(*done == *lsn);
}

TEST_CASE("journal: an order larger than a batch goes into several", "[unit][journal]") {
  fixture f;
  {
    auto journal = f.open();
    REQUIRE(journal.state.create_replica(one, group_id{1}, {}));
    auto lsn = journal.state.append(one, {entries(1, 9, 1500)});
    REQUIRE(lsn);
    REQUIRE(*flush_journal(journal) == *lsn);
    CHECK(journal.state.counters().batches >= 4);
  }
  CHECK(f.open().replicas.at(one).state.entries.size() == 9);
}

TEST_CASE("journal: records that do not continue a log are refused as a whole", "[unit][journal]") {
  fixture f;
  auto journal = f.open();
  auto& state = journal.state;
  auto code = [](const auto& x) { return x ? errc::none : x.error().code; };
  CHECK(code(state.append(one, {entries(1, 1)})) == errc::not_found);
  CHECK(code(state.remove_replica(one)) == errc::not_found);
  CHECK(code(state.create_replica(replica_id{}, group_id{1}, {})) == errc::already_exists);
  REQUIRE(state.create_replica(one, group_id{1}, {}));
  CHECK(code(state.create_replica(one, group_id{1}, {})) == errc::already_exists);
  REQUIRE(state.append(one, {term_vote_record{5, two}, entries(1, 4)}));
  REQUIRE(state.append(one, {checkpoint_record{checkpoint_at(2, 1)}}));
  REQUIRE(flush_journal(journal));
  auto before = state.written();
  CHECK(code(state.append(one, {entries(6, 1)})) == errc::invalid_argument);
  CHECK(code(state.append(one, {entries(4, 1)})) == errc::invalid_argument);
  CHECK(code(state.append(one, {term_vote_record{4, two}})) == errc::invalid_argument);
  CHECK(code(state.append(one, {truncate_record{2}})) == errc::invalid_argument);
  CHECK(code(state.append(one, {truncate_record{6}})) == errc::invalid_argument);
  CHECK(code(state.append(one, {checkpoint_record{checkpoint_at(1, 1)}}))
        == errc::invalid_argument);
  CHECK(code(state.append(one, {checkpoint_record{checkpoint_at(5, 1)}}))
        == errc::invalid_argument);
  CHECK(code(state.append(one, {entries(5, 1), term_vote_record{9, one}, entries(7, 1)}))
        == errc::invalid_argument);
  CHECK(code(state.append(one, {entries(5, 1, 5000)})) == errc::too_large);
  CHECK(state.idle());
  REQUIRE(state.append(one, {term_vote_record{5, two}})); // to have something written
  REQUIRE(flush_journal(journal));
  CHECK(state.written() == before);
  REQUIRE(state.append(one, {entries(5, 1, state.entry_bytes_max() - 1)}));
  CHECK(code(state.append(one, {entries(6, 1, state.entry_bytes_max())})) == errc::too_large);
}

TEST_CASE("journal: the queue is bounded", "[unit][journal]") {
  fixture f;
  auto options = tiny_journal_options();
  options.queue_bytes_max = 5000;
  auto journal = open_journal(f.e, "/d", test_drive(), options);
  REQUIRE(journal);
  REQUIRE(journal->state.create_replica(one, group_id{1}, {}));
  REQUIRE(journal->state.append(one, {entries(1, 3, 1000)}));
  CHECK(journal->state.admits(1000));
  CHECK_FALSE(journal->state.admits(2000));
  CHECK(journal->state.append(one, {entries(4, 2, 1000)}).error().code == errc::busy);
  REQUIRE(flush_journal(*journal));
  CHECK(journal->state.append(one, {entries(4, 2, 1000)}));
}

TEST_CASE("journal: an id is never used twice, however long ago it was", "[unit][journal]") {
  fixture f;
  std::uint64_t index = 0;
  for (std::uint64_t round = 0; round < 3; ++round) {
    auto journal = f.open();
    for (std::uint64_t id = 10 + round * 10; id < 15 + round * 10; ++id) {
      REQUIRE(journal.state.create_replica(replica_id{id}, group_id{1}, {}));
      REQUIRE(journal.state.remove_replica(replica_id{id}));
    }
    replica_id worker{1000 + round};
    REQUIRE(journal.state.create_replica(worker, group_id{1}, {}));
    index = 0;
    run_batches(journal, worker, index, 20); // several segments on
    REQUIRE(journal.state.remove_replica(worker));
    REQUIRE(flush_journal(journal));
  }
  auto journal = f.open();
  CHECK(journal.replicas.empty());
  for (std::uint64_t id = 10; id < 35; ++id)
    if (id % 10 < 5)
      CHECK(journal.state.create_replica(replica_id{id}, group_id{1}, {}).error().code
            == errc::already_exists);
  CHECK(journal.state.create_replica(replica_id{1002}, group_id{1}, {}).error().code
        == errc::already_exists);
  CHECK(journal.state.create_replica(replica_id{2000}, group_id{1}, {}));
  CHECK(journal.state.written().removed.size() == tiny_journal_options().removed_ids_max);
}

TEST_CASE("journal: a full journal refuses entries, not votes, and a checkpoint opens it again",
          "[unit][journal]") {
  fixture f;
  auto journal = f.open();
  auto& state = journal.state;
  REQUIRE(state.create_replica(one, group_id{1}, {}));
  REQUIRE(state.create_replica(two, group_id{2}, {}));
  REQUIRE(state.append(one, {entries(1, 2)}));
  CHECK(state.admits(1500));
  CHECK(state.laggards(2).empty());
  auto last = fill(journal, two, 1);
  CHECK(last > 20);
  CHECK_FALSE(state.admits(1500));
  CHECK(state.segments_in_use() + tiny_journal_options().reserve_segments
        >= state.segment_count() - 1);
  auto laggards = state.laggards(2);
  REQUIRE(laggards.size() == 2);
  CHECK(laggards[0].replica == one);

  // The small replica holds everything: a checkpoint of the large one does not help.
  REQUIRE(state.append(two, {checkpoint_record{checkpoint_at(last, 1)}}));
  REQUIRE(flush_journal(journal));
  CHECK_FALSE(state.append(two, {entries(last + 1, 1, 1500)}));

  // Votes until they are refused too; then what makes room still gets in.
  std::uint64_t votes = 0;
  while (state.append(one, {term_vote_record{votes + 1, two}})) {
    ++votes;
    REQUIRE(flush_journal(journal));
  }
  CHECK(votes > 3);
  CHECK(state.append(one, {truncate_record{2}}).error().code == errc::no_space);
  CHECK(state.create_replica(replica_id{3}, group_id{1}, {}).error().code == errc::no_space);
  REQUIRE(state.append(one, {checkpoint_record{checkpoint_at(2, 1)}}));
  REQUIRE(flush_journal(journal));
  CHECK(state.segments_in_use() == 1);
  CHECK(state.laggards(1).empty());
  CHECK(state.admits(1500));
  CHECK(fill(journal, two, last + 1) > last + 20);
  CHECK(state.counters().refused > 4);

  auto again = f.open();
  CHECK(again.replicas.at(one).state.term == votes);
  CHECK(again.replicas.at(one).state.entries.empty());
}

TEST_CASE("journal: whatever the shape, what was admitted finds room", "[unit][journal]") {
  // Goal: `next_batch` never lacks a segment (it would assert). Method: journals of random shape,
  // filled to every brink by orders of random size, with random syncs in between.
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    std::mt19937_64 random{seed};
    auto options = tiny_journal_options();
    options.segment_bytes = journal_page_bytes * (8 + random() % 12);
    options.batch_bytes_max =
      600 + random() % (options.segment_bytes / 4 - journal_page_bytes - 600);
    options.queue_bytes_max = 20 * kib + random() % (500 * kib);
    options.reserve_segments = static_cast<std::uint32_t>(1 + random() % 2);
    options.segment_count = static_cast<std::uint32_t>(options.reserve_segments + 3 + random() % 4);
    if (!check(options))
      continue;
    memory_env e;
    REQUIRE(e.make_directory("/d"));
    REQUIRE(create_journal(e, "/d", test_drive(), options));
    auto journal = open_journal(e, "/d", test_drive(), options);
    REQUIRE(journal);
    auto& state = journal->state;
    REQUIRE(state.create_replica(one, group_id{1}, {}));
    std::uint64_t last = 0;
    std::uint64_t term = 0;
    std::uint64_t admitted = 0;
    for (int i = 0; i < 400; ++i) {
      auto bytes = random() % state.entry_bytes_max();
      if (random() % 4 == 0)
        bytes %= 50;
      auto count = 1 + random() % 3;
      auto promised = state.admits(count * (bytes + 60));
      auto lsn = state.append(one, {entries(last + 1, count, bytes / 2)});
      if (promised)
        REQUIRE(lsn);
      if (lsn) {
        last += count;
        ++admitted;
      } else if (state.append(one, {term_vote_record{term + 1, one}})) {
        ++term;
      } else if (random() % 3 == 0 || state.counters().refused > 200) {
        auto relief = state.append(one, {checkpoint_record{checkpoint_at(last, 1)}});
        REQUIRE((relief || relief.error().code == errc::busy));
        REQUIRE(flush_journal(*journal));
      }
      if (random() % 3 == 0)
        REQUIRE(write_batch(state, *journal->log));
    }
    REQUIRE(flush_journal(*journal));
    CHECK(admitted > 20);
    auto again = open_journal(e, "/d", test_drive(), options);
    REQUIRE(again);
    CHECK(again->replicas.at(one).state.last_index() == last);
    CHECK(again->replicas.at(one).state.term == term);
  }
}

TEST_CASE("journal: any error of the drive ends it for good", "[unit][journal]") {
  auto call = GENERATE(env_call::write, env_call::sync);
  auto code = GENERATE(errc::io_error, errc::no_space);
  fixture f;
  auto journal = f.open();
  auto& state = journal.state;
  REQUIRE(state.create_replica(one, group_id{1}, {}));
  REQUIRE(flush_journal(journal));
  auto durable = state.durable_lsn();
  f.e.add({.call = call, .code = code});
  REQUIRE(state.append(one, {entries(1, 1)}));
  auto result = flush_journal(journal);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == errc::io_error);
  CHECK(result.error().id == trp::drive_failed);
  f.e.heal();
  CHECK_FALSE(state.health());
  CHECK_FALSE(state.next_batch());
  CHECK_FALSE(state.admits(1));
  CHECK(state.append(one, {entries(2, 1)}).error().code == errc::io_error);
  CHECK(state.append(one, {checkpoint_record{checkpoint_at(0, 0)}}).error().code == errc::io_error);
  CHECK(write_batch(state, *journal.log).error().code == errc::io_error);
  CHECK(state.durable_lsn() == durable);
}

TEST_CASE("journal: opening makes what it found durable before anybody acts on it",
          "[unit][journal]") {
  fixture f;
  {
    auto journal = f.open();
    REQUIRE(journal.state.create_replica(one, group_id{1}, {}));
    auto batch = journal.state.next_batch();
    REQUIRE(journal.log->write_at(batch->offset, batch->bytes)); // kill -9 before the sync
  }
  CHECK(f.open().replicas.size() == 1);
  f.memory.crash(0); // power cut: everything unsynced is gone
  CHECK(f.open().replicas.size() == 1);
  f.e.add({.call = env_call::sync});
  CHECK(f.try_open().error().code == errc::io_error);
}
