#include "storage/base/coding.hpp"
#include "storage/base/crc32c.hpp"
#include "storage/base/fault_env.hpp"
#include "tests/storage/journal/journal_harness.hpp"

#include <algorithm>
#include <set>

using namespace troupe;
using namespace troupe::test;

namespace {

struct written_batch {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0; // header and records, without the padding
};

/// A journal in its third round, with the places of the batches from which it would be replayed.
struct old_journal {
  memory_env e;
  std::vector<written_batch> batches; // all that were ever written
  std::vector<written_batch> live;    // those not overwritten or freed
  model state;

  old_journal() {
    REQUIRE(e.make_directory("/d"));
    REQUIRE(create_journal(e, "/d", test_drive(), tiny_journal_options()));
    auto journal = open_journal(e, "/d", test_drive(), tiny_journal_options());
    REQUIRE(journal);
    workload work{21, {}, 1};
    while (journal->state.counters().segments < 2 * tiny_journal_options().segment_count + 3
           || journal->state.segments_in_use() < 3) {
      for (int i = 0; i < 3; ++i)
        work.step(journal->state);
      while (auto batch = journal->state.next_batch()) {
        REQUIRE(journal->log->write_at(batch->offset, batch->bytes));
        REQUIRE(journal->log->sync());
        auto header = read_batch_header(batch->bytes, test_drive());
        batches.push_back({batch->offset, batch_header_bytes + header->payload_bytes});
        journal->state.batch_done(batch->number);
        // Batch 1, which made the journal, is not in the list.
        auto first = std::max<std::uint64_t>(header->replay_from, 2) - 2;
        live.assign(batches.begin() + static_cast<std::ptrdiff_t>(first), batches.end());
      }
    }
    state = work.now();
    REQUIRE(live.size() > 10);
    REQUIRE(live.size() < batches.size() / 2);
  }

  expected<opened_journal> open_copy(memory_env& copy) const {
    return open_journal(copy, "/d", test_drive(), tiny_journal_options());
  }
};

} // namespace

TEST_CASE("journal: a flipped bit before the last batch is quarantine, not a torn tail",
          "[unit][journal]") {
  old_journal j;
  std::mt19937_64 random{1};
  for (std::size_t i = 0; i + 1 < j.live.size(); ++i)
    for (int n = 0; n < 3; ++n) {
      auto copy = j.e.clone();
      auto at = j.live[i].offset + random() % j.live[i].bytes;
      auto mask = static_cast<std::uint8_t>(1u << (random() % 8));
      INFO("live batch " << i << " of " << j.live.size() << ", byte " << at);
      REQUIRE(copy->flip_bits("/d/journal", at, mask));
      auto opened = j.open_copy(*copy);
      REQUIRE_FALSE(opened);
      CHECK(opened.error().code == errc::quarantined);
      CHECK(opened.error().id == trp::journal_quarantined);
      // Not used again, even if the bit flips back.
      REQUIRE(copy->flip_bits("/d/journal", at, mask));
      CHECK(j.open_copy(*copy).error().code == errc::quarantined);
      CHECK(create_journal(*copy, "/d", test_drive(), tiny_journal_options()).error().code
            == errc::already_exists);
    }
}

TEST_CASE("journal: damage where nothing is needed any more does not matter", "[unit][journal]") {
  old_journal j;
  auto copy = j.e.clone();
  std::set<std::uint64_t> live_pages;
  for (const auto& batch : j.live)
    for (auto at = batch.offset; at < batch.offset + batch.bytes; at += journal_page_bytes)
      live_pages.insert(at / journal_page_bytes);
  std::size_t damaged = 0;
  for (std::uint64_t page = 1;
       page < journal_file_bytes(tiny_journal_options()) / journal_page_bytes; ++page)
    if (!live_pages.contains(page)) {
      REQUIRE(copy->flip_bits("/d/journal", page * journal_page_bytes + 70, 0xff));
      ++damaged;
    }
  CHECK(damaged > 10);
  auto opened = j.open_copy(*copy);
  REQUIRE(opened);
  CHECK(dump(opened->replicas) == dump(j.state));
}

TEST_CASE("journal: a damaged last batch looks like a torn one, and is reported as cut",
          "[unit][journal]") {
  // The one case that cannot be told from a power cut; stated in the README.
  old_journal j;
  auto copy = j.e.clone();
  REQUIRE(copy->flip_bits("/d/journal", j.live.back().offset + j.live.back().bytes - 1, 1));
  auto opened = j.open_copy(*copy);
  REQUIRE(opened);
  CHECK(opened->tail_was_cut);
}

TEST_CASE("journal: records of earlier rounds are never replayed", "[unit][journal]") {
  // Method: behind the end of the newest segment lie valid batches of an earlier round, at the
  // very place where the next batch will go. Opening must not take them, at any length of the
  // newest segment.
  memory_env e;
  REQUIRE(e.make_directory("/d"));
  REQUIRE(create_journal(e, "/d", test_drive(), tiny_journal_options()));
  auto journal = open_journal(e, "/d", test_drive(), tiny_journal_options());
  REQUIRE(journal);
  replica_id one{1};
  REQUIRE(journal->state.create_replica(one, group_id{1}, {}));
  std::uint64_t aligned = 0;
  for (std::uint64_t index = 1; index < 400; ++index) {
    // Batches of one page each, so that old and new ones lie at the same places.
    REQUIRE(journal->state.append(
      one, {append_record{index, {command(index, "round " + std::to_string(index))}}}));
    REQUIRE(journal->state.append(one, {checkpoint_record{checkpoint_at(index, index)}}));
    auto batch = journal->state.next_batch();
    REQUIRE(batch);
    REQUIRE(journal->log->write_at(batch->offset, batch->bytes));
    REQUIRE(journal->log->sync());
    journal->state.batch_done(batch->number);
    byte_vector behind(journal_page_bytes);
    REQUIRE(journal->log->read_at(batch->offset + batch->bytes.size(), behind));
    if (auto old = read_batch_header(behind, test_drive())) {
      REQUIRE(old->number < batch->number);
      ++aligned;
    }
    auto copy = e.clone();
    auto opened = open_journal(*copy, "/d", test_drive(), tiny_journal_options());
    REQUIRE(opened);
    REQUIRE(opened->replicas.at(one).state.checkpoint.index == index);
    REQUIRE_FALSE(opened->tail_was_cut);
  }
  CHECK(aligned > 200);
}

TEST_CASE("journal: a lost write to a segment in use is noticed", "[unit][journal]") {
  // A page that still holds what was there one round ago: right checksum, wrong time.
  old_journal j;
  auto reader = j.e.open("/d/journal", open_mode::read_only);
  REQUIRE(reader);
  for (std::size_t i = 0; i + 1 < j.live.size(); ++i) {
    auto copy = j.e.clone();
    auto log = copy->open("/d/journal", open_mode::read_write);
    byte_vector older(journal_page_bytes);
    auto source = j.live[i > 0 ? i - 1 : j.live.size() - 1].offset;
    REQUIRE((*reader)->read_at(source, older));
    REQUIRE((*log)->write_at(j.live[i].offset, older));
    CHECK(j.open_copy(*copy).error().code == errc::quarantined);
  }
}

TEST_CASE("journal: a read error is not a verdict", "[unit][journal]") {
  old_journal j;
  fault_env faulty{j.e};
  for (std::uint64_t after = 0; after < 12; ++after) {
    faulty.heal();
    faulty.add({.call = env_call::read, .path_part = "journal", .after = after});
    auto opened = open_journal(faulty, "/d", test_drive(), tiny_journal_options());
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == errc::io_error);
  }
  faulty.heal();
  faulty.shorten_reads("journal", 5000);
  CHECK(open_journal(faulty, "/d", test_drive(), tiny_journal_options()).error().code
        == errc::io_error);
  faulty.heal();
  auto opened = open_journal(faulty, "/d", test_drive(), tiny_journal_options());
  REQUIRE(opened);
  CHECK(dump(opened->replicas) == dump(j.state));
}

TEST_CASE("journal: a missing, foreign, cut or newer journal is refused by name",
          "[unit][journal]") {
  memory_env e;
  REQUIRE(e.make_directory("/d"));
  auto open = [&](env& x, drive_uuid owner = test_drive()) {
    return open_journal(x, "/d", owner, tiny_journal_options());
  };
  CHECK(open(e).error().code == errc::not_found);
  REQUIRE(create_journal(e, "/d", test_drive(), tiny_journal_options()));
  CHECK(create_journal(e, "/d", test_drive(), tiny_journal_options()).error().code
        == errc::already_exists);

  auto foreign = open(e, drive_uuid{});
  CHECK(foreign.error().code == errc::wrong_cluster);
  CHECK(foreign.error().id == trp::foreign_data_directory);
  CHECK(open(e)); // and no harm was done

  auto newer = e.clone();
  auto log = newer->open("/d/journal", open_mode::read_write);
  byte_vector page(journal_page_bytes);
  REQUIRE((*log)->read_at(0, page));
  page[12] = std::byte{3};
  store_le(page.data() + 8, crc32c(byte_view{page}.subspan(12)));
  REQUIRE((*log)->write_at(0, page));
  CHECK(open(*newer).error().code == errc::wrong_version);
  CHECK(open(*newer).error().id == trp::newer_format);

  auto cut = e.clone();
  auto cut_log = cut->open("/d/journal", open_mode::read_write);
  REQUIRE((*cut_log)->truncate(100'000));
  CHECK(open(*cut).error().code == errc::quarantined);

  auto bad = e.clone();
  REQUIRE(bad->flip_bits("/d/journal", 30, 1));
  CHECK(open(*bad).error().code == errc::quarantined);

  auto empty = e.clone();
  auto empty_log = empty->open("/d/journal", open_mode::read_write);
  REQUIRE(
    (*empty_log)->write_zeros(journal_page_bytes, journal_file_bytes(tiny_journal_options())));
  CHECK(open(*empty).error().code == errc::quarantined);
}

TEST_CASE("journal: a drive without room gets no journal and keeps its room", "[unit][journal]") {
  memory_env e{100'000};
  REQUIRE(e.make_directory("/d"));
  auto before = *e.free_bytes("/d");
  CHECK(create_journal(e, "/d", test_drive(), tiny_journal_options()).error().code
        == errc::no_space);
  CHECK(*e.free_bytes("/d") == before);
  CHECK(open_journal(e, "/d", test_drive(), tiny_journal_options()).error().code
        == errc::not_found);
}

TEST_CASE("journal: options that cannot work are refused", "[unit][journal]") {
  auto refused = [](auto change) {
    auto options = tiny_journal_options();
    change(options);
    auto result = check(options);
    return !result && result.error().code == errc::invalid_argument;
  };
  CHECK(check(tiny_journal_options()));
  CHECK(check(journal_options{}));
  CHECK(refused([](auto& x) { x.segment_bytes = 0; }));
  CHECK(refused([](auto& x) { x.segment_bytes += 1; }));
  CHECK(refused([](auto& x) { x.segment_bytes = 4 * gib; }));
  CHECK(refused([](auto& x) { x.segment_count = x.reserve_segments + 2; }));
  CHECK(refused([](auto& x) { x.segment_count = 1 << 20; }));
  CHECK(refused([](auto& x) { x.reserve_segments = 0; }));
  CHECK(refused([](auto& x) { x.batch_bytes_max = 100; }));
  CHECK(refused([](auto& x) { x.batch_bytes_max = x.segment_bytes / 4; }));
  CHECK(refused([](auto& x) { x.removed_ids_max = 0; }));
  CHECK(refused([](auto& x) { x.removed_ids_max = 100'000; }));
}

TEST_CASE("journal: one of an older format is taken over at any crash", "[unit][journal]") {
  memory_env e;
  REQUIRE(e.make_directory("/d"));
  REQUIRE(create_journal(e, "/d", test_drive(), tiny_journal_options()));
  {
    auto journal = open_journal(e, "/d", test_drive(), tiny_journal_options());
    REQUIRE(journal->state.create_replica(replica_id{1}, group_id{1}, {}));
    REQUIRE(journal->state.append(replica_id{1}, {append_record{1, {command(1, "a")}}}));
    REQUIRE(flush_journal(*journal));
  }
  auto format = [](env& x) {
    auto log = x.open("/d/journal", open_mode::read_write);
    byte_vector page(journal_page_bytes);
    REQUIRE((*log)->read_at(0, page));
    return decode_superblock(page)->format;
  };
  journal_superblock older{test_drive(), tiny_journal_options().segment_bytes,
                           tiny_journal_options().segment_count};
  older.format = 1;
  auto log = e.open("/d/journal", open_mode::read_write);
  REQUIRE((*log)->write_at(0, encode_superblock(older)));
  REQUIRE((*log)->sync());
  CHECK(format(e) == 1);
  // Reading alone changes nothing.
  REQUIRE(recover_journal(**log, test_drive()));
  CHECK(format(e) == 1);
  for (std::uint64_t changes = 0; changes < 6; ++changes)
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      auto copy = e.clone();
      fault_env cut{*copy};
      cut.stop_after(changes);
      bool opened = bool{open_journal(cut, "/d", test_drive(), tiny_journal_options())};
      copy->crash(seed);
      INFO("changes " << changes << " seed " << seed);
      CHECK((format(*copy) == 2 || !opened)); // before the first record that needs it
      auto again = open_journal(*copy, "/d", test_drive(), tiny_journal_options());
      REQUIRE(again);
      CHECK(again->replicas.at(replica_id{1}).state.entries.size() == 1);
      CHECK(format(*copy) == 2);
    }
}
