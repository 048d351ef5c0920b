// Replicas and the journal that they share: its room, its reading in the middle, its failure.

#include "tests/actors/group/replica_world.hpp"

#include <catch2/catch.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr std::uint32_t busy = 1;
constexpr std::uint32_t idle = 2;
constexpr std::uint64_t journal_bytes = 6 * mib; ///< As in `replica_world_options`.

void both_have_leaders(replica_world& world) {
  world.until("both groups have leaders",
              [&] { return world.leader(busy) != nullptr && world.leader(idle) != nullptr; });
}

/// Nobody ended, and the journals refused no order.
void check_all_well(replica_world& world) {
  CHECK(world.nobody_finished());
  CHECK(world.refused() == 0);
  CHECK(world.events("replica_reopened") == 0);
  CHECK(world.events("journal_append_failed") == 0);
}

} // namespace

TEST_CASE("replica: a log that ends without a command does not hold the journal back",
          "[actor][replica]") {
  // Goal: a group that does nothing more than elect leaders costs the journal nothing.
  // Method: the other group on the same drives writes the journals round several times.
  replica_world world;
  both_have_leaders(world);
  bool had_commands = GENERATE(false, true);
  if (had_commands) {
    world.write(idle, {{"a", "1"}});
    auto first = *world.leader_node(idle);
    world.destroy(idle, first);
    world.until("another leader", [&] { return world.leader(idle) != nullptr; });
    world.recover(idle, first);
    world.until("it is back", [&] { return world.at(idle, first) != nullptr; });
  }
  world.write_much(busy, (had_commands ? 2 : 4) * journal_bytes);
  check_all_well(world);
  for (std::size_t node = 0; node < world.nodes(); ++node) {
    CHECK(world.volume(node).journal_counts().segments > 6);
    CHECK(world.at(idle, node)->applied == (had_commands ? 1 : 0));
  }
  world.check_all(busy);
  world.check_all(idle);
}

TEST_CASE("replica: one that is opened anew in the process has all that was committed",
          "[actor][replica]") {
  replica_world world;
  both_have_leaders(world);
  world.write_much(busy, mib);
  world.write(idle, {{"a", "1"}});
  for (std::size_t round = 0; round < 6; ++round) {
    auto node = round % world.nodes();
    INFO("round " << round);
    // A batch is on its way when the replica dies; the other group's dies with it, or a bit later.
    auto doubtful = world.next_rows();
    bool held = round % 3 == 1;
    if (held)
      world.io(node).hold();
    world.until("a proposal is taken", [&] {
      auto* leader = world.leader(busy);
      return leader != nullptr && leader->put(doubtful);
    });
    if (held)
      world.until("it is being written", [&] { return world.io(node).held() > 0; });
    for (std::size_t i = 0; i < round; ++i)
      world.turn();
    world.destroy(busy, node);
    world.recover(busy, node);
    if (round % 2 == 0)
      world.turn();
    world.destroy(idle, node);
    world.recover(idle, node);
    if (held) {
      world.turns_for_ms(20);
      CHECK(world.at(busy, node) == nullptr); // what is being written must be on disk first
      world.io(node).release();
    }
    world.write(busy, doubtful); // whatever became of it, now it is certain
    world.write_much(busy, 256 * kib);
    world.write(idle, {{"round", std::to_string(round)}});
    world.check_all(busy);
    world.check_all(idle);
  }
  check_all_well(world);
}

TEST_CASE("replica: a full journal refuses proposals and nobody ends", "[actor][replica]") {
  // Goal: without room nothing is lost but time.
  // Method: replicas that are not ticked take no checkpoints and pin the journals' segments.
  replica_world world;
  both_have_leaders(world);
  world.write(idle, {{"a", "1"}});
  for (std::size_t node = 0; node < world.nodes(); ++node)
    world.not_ticked.insert(world.id_of(idle, node));
  for (std::uint64_t written = 0; world.try_write(busy, world.next_rows()); written += 64 * kib)
    REQUIRE(written < journal_bytes);
  auto* leader = world.leader(busy);
  auto term = leader->raft().term();
  std::vector<std::uint64_t> lost;
  for (std::size_t node = 0; node < world.nodes(); ++node)
    lost.push_back(world.at(busy, node)->lost_its_leader);
  for (int i = 0; i < 10; ++i) {
    world.turns_for_ms(100); // together several election timeouts
    auto refused = leader->put(world.next_rows());
    REQUIRE(!refused);
    CHECK(refused.error().code == errc::busy);
  }
  CHECK(leader->ready());
  for (std::size_t node = 0; node < world.nodes(); ++node) {
    CHECK(world.at(busy, node)->raft().term() == term);
    CHECK(world.at(busy, node)->raft().leader() == leader->raft().self());
    CHECK(world.at(busy, node)->lost_its_leader == lost[node]);
  }
  CHECK(world.events("journal_full") > 0);
  check_all_well(world);

  world.not_ticked.clear();
  world.write_much(busy, journal_bytes);
  check_all_well(world);
  world.check_all(busy);
  world.check_all(idle);
}

TEST_CASE("replica: a follower whose journal is full waits and comes back", "[actor][replica]") {
  // Goal: its leader goes on with the others; it does not end, whatever is sent to it at once.
  replica_world_options options;
  options.replicas.consensus.message_bytes_max = 256 * kib;
  replica_world world{options};
  both_have_leaders(world);
  world.write(idle, {{"a", "1"}});
  auto node = (*world.leader_node(busy) + 1) % world.nodes();
  auto* follower = world.at(busy, node);
  world.catch_up(idle, node);
  world.not_ticked.insert(world.id_of(idle, node));
  bool at_once = GENERATE(false, true);
  if (at_once) { // it is away while its journal has some room, and comes back to a long log
    while (world.volume(node).admits(mib))
      world.write(busy, world.next_rows());
    world.catch_up(busy, node);
    world.cut_off(node);
    world.write_much(busy, 3 * mib);
    world.cut_off(node, false);
  } else {
    world.write_much(busy, journal_bytes);
  }
  world.turns_for_ms(1000);
  CHECK(!world.volume(node).admits(300 * kib));
  CHECK(follower->raft().last_applied() < world.leader(busy)->raft().last_applied());
  CHECK(follower->raft().leader() == world.leader(busy)->raft().self());
  check_all_well(world);

  world.not_ticked.clear();
  world.write_much(busy, mib);
  world.check_all(busy);
  world.check_all(idle);
  check_all_well(world);
}

TEST_CASE("replica: a group without a majority does not hold the journals of its drives back",
          "[actor][replica]") {
  // Goal: its entries, which nobody may commit or drop, stay; the other group writes on for ever.
  // Method: first only the answers of the one group are lost, so that its entries are stored and
  // not committed, then all its messages; meanwhile the other one writes the journals round.
  replica_world world;
  both_have_leaders(world);
  world.write(idle, {{"a", "1"}});
  for (std::size_t node = 0; node < world.nodes(); ++node)
    world.catch_up(idle, node);
  bool answers_only = true;
  world.on_parcel = [&](const consensus_parcel& parcel) {
    return parcel.group != group_id{idle}
           || (answers_only && !std::holds_alternative<append_entries_result>(parcel.message));
  };
  auto doubtful = world.next_rows();
  REQUIRE(world.leader(idle)->put(doubtful));
  auto has_it = [&](std::size_t node) {
    return world.at(idle, node)->raft().bytes_since_checkpoint() > 60 * kib;
  };
  world.until("all have stored it", [&] { return has_it(0) && has_it(1) && has_it(2); });
  answers_only = false;
  world.write_much(busy, 2 * journal_bytes);
  for (std::size_t node = 0; node < world.nodes(); ++node) {
    CHECK(has_it(node));
    CHECK(world.at(idle, node)->applied == 1);
    auto last = world.at(idle, node)->raft().last_index();
    world.destroy(idle, node); // what was written again is what it had
    world.recover(idle, node);
    world.until("it is back", [&] { return world.at(idle, node) != nullptr; });
    CHECK(world.at(idle, node)->raft().last_index() == last);
  }
  world.write_much(busy, 2 * journal_bytes);
  std::uint64_t segments = 0; // a slow node may get the state instead, so only their sum is sure
  for (std::size_t node = 0; node < world.nodes(); ++node) {
    CHECK(has_it(node));
    segments += world.volume(node).journal_counts().segments;
  }
  CHECK(segments >= std::uint64_t{2} * 18); // every entry is in a majority of the journals
  check_all_well(world);

  world.on_parcel = nullptr;
  world.write(idle, doubtful); // whatever became of it, now it is certain
  world.write(idle, {{"a", "2"}});
  world.check_all(busy);
  world.check_all(idle);
  check_all_well(world);
}

TEST_CASE("replica: what waits for a slow drive is bounded", "[actor][replica]") {
  replica_world_options options;
  options.replicas.consensus.tail_bytes_max = 512 * kib;
  options.replicas.consensus.lagging_bytes_max = 16 * mib;
  replica_world world{options};
  both_have_leaders(world);
  auto node = (*world.leader_node(busy) + 1) % world.nodes();
  world.catch_up(busy, node);
  world.io(node).hold();
  std::uint64_t most = 0;
  for (std::uint64_t written = 0; written < 4 * mib; written += 64 * kib) {
    world.write(busy, world.next_rows());
    most = std::max(most, world.at(busy, node)->waiting_bytes());
  }
  CHECK(most > 128 * kib);
  CHECK(most <= 512 * kib);
  world.io(node).release();
  world.write(busy, world.next_rows());
  world.check_all(busy);
  CHECK(world.at(busy, node)->waiting_bytes() == 0);
  check_all_well(world);
}

TEST_CASE("metadata_volume: what waits for a recovery takes room", "[actor][replica]") {
  replica_world world;
  both_have_leaders(world);
  auto& volume = world.volume(0);
  auto id = world.id_of(idle, 0);
  auto last = world.at(idle, 0)->raft().last_index();
  world.destroy(idle, 0);
  auto room = [&] {
    std::uint64_t bytes = 0;
    while (volume.admits(bytes + kib))
      bytes += kib;
    return bytes;
  };
  std::vector<bool> stored;
  auto append = [&](const log_record& record) {
    volume.append(id, {record}, [&](const expected<void>& done) { stored.push_back(bool{done}); });
  };
  world.io(0).hold();
  append(term_vote_record{100, {}});
  bool found = false;
  volume.recover(id, [&](const expected<recovered_replica>& x) { found = bool{x}; });
  auto before = room();
  append_record entries{last + 1, {}};
  for (int i = 0; i < 10; ++i)
    entries.entries.push_back({100, entry_kind::command, shared_bytes{std::string(64 * kib, 'x')}});
  append(entries);
  CHECK(stored.empty());
  CHECK(room() <= before - 640 * kib);
  world.io(0).release();
  world.until("all is done", [&] { return found && stored.size() == 2; });
  CHECK(stored == std::vector<bool>{true, true});
  CHECK(room() <= before - 640 * kib);
}

TEST_CASE("replica: a journal that cannot be written answers everybody", "[actor][replica]") {
  replica_world world;
  both_have_leaders(world);
  world.write_much(busy, 256 * kib);
  auto node = *world.leader_node(busy);
  auto& volume = world.volume(node);
  REQUIRE(volume.health());
  bool before_recovery = GENERATE(false, true);
  world.destroy(idle, node);
  world.io(node).hold();
  std::vector<expected<void>> stored;
  std::vector<expected<recovered_replica>> found;
  auto append = [&](std::uint64_t term) {
    volume.append(world.id_of(idle, node), {term_vote_record{term, {}}},
                  [&](expected<void> result) { stored.push_back(result); });
  };
  auto recover = [&] {
    volume.recover(world.id_of(idle, node),
                   [&](expected<recovered_replica> x) { found.push_back(std::move(x)); });
  };
  for (std::uint64_t i = 0; i < 5; ++i) // one is on its way, the others wait for it
    append(100 + i);
  if (!before_recovery) {
    recover();
    for (std::uint64_t i = 5; i < 10; ++i) // these wait for the recovery
      append(100 + i);
  }
  CHECK(stored.empty());
  world.io(node).fail();
  world.io(node).release();
  auto appends = before_recovery ? 5U : 10U;
  world.until("everybody has an answer", [&] {
    return stored.size() == appends && found.size() == (before_recovery ? 0 : 1);
  });
  for (const auto& x : stored)
    CHECK(x.error().code == errc::io_error);
  for (const auto& x : found)
    CHECK(x.error().code == errc::io_error);
  REQUIRE(!volume.health());
  CHECK(volume.health().error().id == trp::drive_failed);
  CHECK(!volume.admits(1));
  append(200); // those who come late hear it at once
  recover();
  REQUIRE(stored.size() == appends + 1);
  CHECK(stored.back().error().code == errc::io_error);
  CHECK(found.back().error().code == errc::io_error);

  // The leader on that drive ends at its next order; the group goes on without it.
  world.write_much(busy, 256 * kib);
  CHECK(world.at(busy, node)->finished());
  CHECK(world.leader_node(busy) != node);
  world.destroy(busy, node);
  for (std::size_t other = 0; other < world.nodes(); ++other)
    if (other != node) {
      world.catch_up(busy, other);
      CHECK((world.rows(busy, other) == world.committed(busy)));
    }
}
