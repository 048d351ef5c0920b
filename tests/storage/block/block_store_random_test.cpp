#include "tests/storage/block/drive_rig.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstdlib>

using namespace troupe;
using namespace troupe::test;

namespace {

/// What the world knows of one run that was answered.
enum class run_status {
  live,
  ending, ///< A free or abandon was sent and not answered.
  gone,
};

struct known_run {
  std::uint64_t id = 0; ///< Of its content, owner and write key.
  run_status status = run_status::live;
};

/// Goal: whatever happens, what was answered holds. Method: random requests, I/O completed in
/// random order, power cuts that keep any subset of sectors, kills that keep all; after each the
/// drive is mounted again and compared, run by run, with what was answered.
class drive_world {
public:
  drive_world(std::uint64_t seed, std::uint64_t blocks) : random_(seed) {
    REQUIRE(format(files_, file_bytes_for(blocks, tiny_log_bytes)));
    start();
  }

  void play(std::size_t steps) {
    // Few crashes let the log go round, many hit every window.
    const std::uint64_t crash_steps = std::array{25, 60, 200}[below(3)];
    for (std::size_t i = 0; i < steps; ++i) {
      if (rig_->io_count() != 0 && below(100) < 60)
        rig_->do_random(random_);
      else
        ask();
      take_replies();
      if (below(crash_steps) == 0)
        crash();
      else if (below(600) == 0)
        settle();
    }
    settle();
    crash();
  }

  std::uint64_t restored_pages = 0;
  std::uint64_t cut_tails = 0;
  std::uint64_t crashes = 0;
  std::uint64_t full = 0;
  std::uint64_t stale_reads = 0;
  std::uint64_t interrupted = 0;
  std::uint64_t stored = 0;

private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  void start() {
    auto drive = mount(files_);
    INFO((drive ? "" : describe(drive.error())));
    REQUIRE(drive);
    restored_pages += drive->found.restored_pages;
    cut_tails += drive->found.tail_cut ? 1 : 0;
    REQUIRE(drive->found.damaged_pages == 0);
    auto report = drive->state.report();
    REQUIRE(report.mount > mount_);
    mount_ = report.mount;
    rig_.emplace(std::move(*drive));
    rig_->vary_syncs(random_);
  }

  // Requests.

  void ask() {
    switch (below(10)) {
    case 0:
    case 1:
    case 2:
    case 3: {
      auto id = next_id_++;
      stores_[rig_->store(store_of(id, blocks_of(id)))] = id;
      break;
    }
    case 4: { // a repeat, perhaps of one long done
      auto id = 1 + below(next_id_);
      if (id < next_id_ && next_id_ - id < 30)
        stores_[rig_->store(store_of(id, blocks_of(id)))] = id;
      break;
    }
    case 5:
    case 6: ask_free(); break;
    case 7: ask_abandon(); break;
    default: ask_read();
    }
  }

  static std::uint32_t blocks_of(std::uint64_t id) {
    return id % 41 == 0 ? 200 : 1 + static_cast<std::uint32_t>(id * 7 % 19);
  }

  const run_ref* pick() {
    if (runs_.empty())
      return nullptr;
    auto it = runs_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(below(runs_.size())));
    return &it->first;
  }

  void ask_free() {
    std::vector<run_ref> runs;
    for (auto n = 1 + below(6); n > 0; --n)
      if (auto* run = pick()) {
        runs.push_back(*run); // perhaps freed before: a stale free
        if (auto& known = runs_.at(*run); known.status == run_status::live)
          known.status = run_status::ending;
      }
    auto token = rig_->free(runs);
    frees_[token] = std::move(runs);
  }

  void ask_abandon() {
    if (abandoned_.size() >= tiny_options().abandoned_keys_max)
      return;
    auto id = next_id_ - std::min(next_id_ - 1, below(20)); // some are still to come
    if (below(3) == 0)
      id += below(5);
    abandoned_.emplace(id, false);
    for (auto& [run, known] : runs_)
      if (known.id == id && known.status == run_status::live)
        known.status = run_status::ending;
    abandons_[rig_->abandon(key_of(id))] = id;
  }

  void ask_read() {
    auto* run = pick();
    if (!run)
      return;
    auto first = static_cast<std::uint32_t>(below(run->block_count));
    auto count = 1 + static_cast<std::uint32_t>(below(run->block_count - first));
    reads_[rig_->read(*run, first, count)] = {*run, first, count};
  }

  // Answers.

  void take_replies() {
    for (auto& [token, result] : std::exchange(rig_->replies, {})) {
      auto* no = std::get_if<error>(&result);
      if (no && no->code == errc::busy) {
        stores_.erase(token);
        frees_.erase(token);
        reads_.erase(token);
        abandons_.erase(token);
        continue;
      }
      if (auto it = stores_.find(token); it != stores_.end()) {
        store_answered(it->second, result);
        stores_.erase(it);
      } else if (auto free = frees_.find(token); free != frees_.end()) {
        REQUIRE(std::get_if<runs_freed>(&result));
        for (const auto& run : free->second)
          runs_.at(run).status = run_status::gone;
        frees_.erase(free);
      } else if (auto read = reads_.find(token); read != reads_.end()) {
        read_answered(read->second, result);
        reads_.erase(read);
      } else if (auto abandon = abandons_.find(token); abandon != abandons_.end()) {
        REQUIRE(std::get_if<runs_freed>(&result));
        abandoned_.at(abandon->second) = true;
        abandons_.erase(abandon);
      } else {
        FAIL("a reply to nobody");
      }
    }
  }

  void store_answered(std::uint64_t id, const decltype(drive_reply::result)& result) {
    if (auto* no = std::get_if<error>(&result)) {
      if (no->code == errc::interrupted)
        REQUIRE(abandoned_.contains(id));
      else
        REQUIRE(no->code == errc::no_space);
      (no->code == errc::interrupted ? interrupted : full) += 1;
      return;
    }
    const auto& run = std::get<run_stored>(result).run;
    INFO("store of " << id);
    REQUIRE(run.block_count == blocks_of(id));
    // After the answer to an abandon no write of that key is ever taken.
    REQUIRE_FALSE((abandoned_.contains(id) && abandoned_.at(id)));
    auto [born, first_time] = births_.emplace(run.born, std::pair{id, run.start_block});
    // A birth is given out once. A repeat gets the same answer, whatever became of the run.
    REQUIRE(born->second == std::pair{id, run.start_block});
    if (!first_time)
      return;
    ++stored;
    auto it = runs_.emplace(run, known_run{id, run_status::live}).first;
    if (abandoned_.contains(id))
      it->second.status = run_status::ending;
  }

  struct read_request {
    run_ref run;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
  };
  void read_answered(const read_request& what, const decltype(drive_reply::result)& result) {
    const auto& known = runs_.at(what.run);
    if (auto* no = std::get_if<error>(&result)) {
      INFO(describe(*no));
      REQUIRE(no->code == errc::stale);
      REQUIRE(known.status != run_status::live);
      ++stale_reads;
      return;
    }
    REQUIRE(same(std::get<run_data>(result).data, content(known.id, what.run.block_count)
                                                    .slice(std::size_t{what.first} * block_bytes,
                                                           std::size_t{what.count} * block_bytes)));
  }

  // Ends.

  /// All I/O and requests end.
  void settle() {
    while (rig_->io_count() != 0)
      rig_->do_random(random_);
    take_replies();
    REQUIRE(rig_->state().idle());
    REQUIRE(stores_.empty());
    REQUIRE(frees_.empty());
    REQUIRE(reads_.empty());
    REQUIRE(abandons_.empty());
    compare();
  }

  void crash() {
    ++crashes;
    auto kill = below(4) == 0;
    rig_->drop(random_);
    rig_.reset();
    if (!kill)
      files_.crash(random_());
    stores_.clear(); // nobody knows what became of them
    frees_.clear();
    reads_.clear();
    abandons_.clear();
    start();
    compare();
  }

  /// Reads everything that was ever answered, and the list of runs. Afterwards nothing is unknown.
  void compare() {
    for (auto& [run, known] : runs_) {
      INFO("run of " << known.id << " born " << run.born.value);
      auto token = rig_->read(run);
      rig_->run();
      auto* data = rig_->reply<run_data>(token);
      if (data) {
        REQUIRE(known.status != run_status::gone);
        REQUIRE(same(data->data, content(known.id, run.block_count)));
        REQUIRE(data->checksums == store_of(known.id, run.block_count).checksums);
        known.status = run_status::live;
      } else {
        REQUIRE(rig_->code(token) == errc::stale);
        REQUIRE(known.status != run_status::live);
        known.status = run_status::gone;
      }
      rig_->replies.clear();
    }
    compare_list();
  }

  void compare_list() {
    std::map<run_ref, lin> listed;
    std::uint64_t end_of_last = 0;
    std::uint64_t blocks = 0;
    for (std::uint64_t from = 0;;) {
      auto token = rig_->list(from);
      rig_->run();
      auto window = *rig_->reply<run_list>(token);
      for (const auto& entry : window.runs) {
        REQUIRE(entry.run.start_block >= end_of_last);
        end_of_last = entry.run.start_block + entry.run.block_count;
        blocks += entry.run.block_count;
        listed[entry.run] = entry.owner;
      }
      if (window.done)
        break;
      from = window.next_block;
    }
    rig_->replies.clear();
    auto report = rig_->state().report();
    REQUIRE(blocks == report.blocks_total - report.blocks_free);
    REQUIRE(report.checksum_errors == 0);
    for (const auto& [run, known] : runs_)
      if (known.status == run_status::live)
        REQUIRE(listed.at(run) == lin{known.id});
      else
        REQUIRE_FALSE(listed.contains(run));
    // Leaks: runs that nobody was told of. As Collect will, free them now and then; until then a
    // repeat of their write may get them.
    if (below(2) == 0)
      return;
    std::vector<run_ref> leaks;
    for (const auto& [run, owner] : listed)
      if (!runs_.contains(run))
        leaks.push_back(run);
    rig_->free(leaks);
    rig_->run();
    rig_->replies.clear();
    std::erase_if(
      runs_, [&](const auto& x) { return x.second.status == run_status::gone && below(3) == 0; });
  }

  std::mt19937_64 random_;
  memory_env files_;
  std::optional<drive_rig> rig_;
  incarnation mount_;
  std::map<birth, std::pair<std::uint64_t, std::uint64_t>> births_; ///< To id and place.
  std::uint64_t next_id_ = 1;
  std::map<run_ref, known_run> runs_;
  std::map<std::uint64_t, bool> abandoned_; ///< True: answered.
  std::map<request_token, std::uint64_t> stores_;
  std::map<request_token, std::vector<run_ref>> frees_;
  std::map<request_token, read_request> reads_;
  std::map<request_token, std::uint64_t> abandons_;
};

} // namespace

TEST_CASE("block_store: what was answered survives every power cut", "[unit][block_store_random]") {
  std::uint64_t first = 1;
  std::uint64_t count = 24;
  if (const char* chosen = std::getenv("TROUPE_SEED")) {
    first = std::strtoull(chosen, nullptr, 10);
    count = 1;
  }
  if (const char* chosen = std::getenv("TROUPE_SEEDS"))
    count = std::strtoull(chosen, nullptr, 10);
  std::uint64_t restored_pages = 0;
  std::uint64_t cut_tails = 0;
  std::uint64_t full = 0;
  std::uint64_t interrupted = 0;
  std::uint64_t stale_reads = 0;
  std::uint64_t stored = 0;
  for (auto seed = first; seed < first + count; ++seed) {
    INFO("TROUPE_SEED=" << seed);
    drive_world world{seed, seed % 8 == 0 ? 5000u : seed % 3 == 0 ? 60u : 900u};
    world.play(1500);
    restored_pages += world.restored_pages;
    cut_tails += world.cut_tails;
    full += world.full;
    interrupted += world.interrupted;
    stale_reads += world.stale_reads;
    stored += world.stored;
  }
  if (count < 20)
    return;
  // The schedules that this is about did happen.
  CHECK(restored_pages > 0);
  CHECK(cut_tails > 0);
  CHECK(full > 0);
  CHECK(interrupted > 0);
  CHECK(stale_reads > 0);
  CHECK(stored > 1000);
}
