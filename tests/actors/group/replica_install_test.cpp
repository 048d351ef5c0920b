// Replicas that lag behind what the leader still has in memory pull its state.

#include "storage/meta/table_chunk_format.hpp"
#include "tests/actors/group/replica_world.hpp"

#include <catch2/catch.hpp>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr std::uint32_t group = 1;

replica_world_options short_tail(std::size_t nodes) {
  replica_world_options options;
  options.nodes = nodes;
  options.groups = {group};
  options.replicas.consensus.tail_bytes_max = 256 * kib;
  options.replicas.consensus.lagging_bytes_max = 512 * kib;
  return options;
}

/// A node whose replica is not the leader, the `count`-th after it.
std::size_t follower_node(replica_world& world, std::size_t count = 1) {
  world.until("a leader", [&] { return world.leader(group) != nullptr; });
  return (*world.leader_node(group) + count) % world.nodes();
}

/// The replica misses more than the leader's tail holds, and hears of its leader again.
void lag(replica_world& world, std::size_t node) {
  world.cut_off(node);
  world.write_much(group, mib);
  world.cut_off(node, false);
}

/// What `serve_pull` answers, which may take some turns.
expected<state_piece> ask(replica_world& world, row_replica& source, const pull_state& request) {
  std::optional<expected<state_piece>> answer;
  source.serve_pull(request, [&](expected<state_piece> piece) { answer = std::move(piece); });
  world.until("a pull is answered", [&] { return answer.has_value(); });
  return std::move(*answer);
}

} // namespace

TEST_CASE("replica: one that lags behind the leader's tail pulls the state", "[actor][replica]") {
  replica_world world{short_tail(3)};
  auto node = follower_node(world);
  world.write_much(group, mib);
  for (std::uint64_t round = 1; round <= 2; ++round) {
    lag(world, node);
    world.write_much(group, 512 * kib); // the log behind the state comes after it
    world.check_all(group);
    CHECK(world.at(group, node)->replaced == round);
  }
  world.destroy(group, node);
  world.recover(group, node);
  world.until("it is back", [&] { return world.at(group, node) != nullptr; });
  world.check_all(group);
  CHECK(world.nobody_finished());
}

TEST_CASE("replica: two that pull at once both get exactly the source's rows", "[actor][replica]") {
  replica_world world{short_tail(5)};
  auto a = follower_node(world, 1);
  auto b = follower_node(world, 2);
  world.write_much(group, mib);
  // Whether they meet is a matter of milliseconds: so many rounds until they met twice.
  auto met = [&] {
    return world.events("state_install_failed", "another replica pulls this state");
  };
  for (std::uint64_t round = 1; met() < 2; ++round) {
    REQUIRE(round <= 20);
    world.cut_off(a);
    world.cut_off(b);
    world.write_much(group, mib);
    world.cut_off(a, false);
    world.cut_off(b, false);
    while (world.at(group, a)->replaced < round || world.at(group, b)->replaced < round)
      world.write_much(group, 64 * kib);
    world.check_all(group);
  }
  CHECK(world.nobody_finished());
}

TEST_CASE("replica: one destroyed around the switch to a pulled state has all rows",
          "[actor][replica]") {
  // Goal: at every moment the journal names tables that are whole.
  // Method: it dies some turns after the last piece came, or while the record of the switch is
  // being written, and is opened at once or later.
  replica_world world{short_tail(3)};
  auto node = follower_node(world);
  world.write_much(group, mib);
  std::uint64_t in_time = 0;
  for (int round = 0; round < 6; ++round) {
    INFO("round " << round);
    bool held = round % 3 == 2;
    bool last_came = false;
    world.on_piece = [&](replica_id, const pull_state& request, expected<state_piece>& piece) {
      last_came = last_came || (request.piece != 0 && piece && piece->rows.empty());
      if (last_came && held)
        world.io(node).hold();
      return true;
    };
    auto replaced = world.at(group, node)->replaced;
    lag(world, node);
    world.until("the last piece comes", [&] { return last_came; });
    world.on_piece = nullptr;
    if (held)
      world.until("the switch is being written", [&] { return world.io(node).held() > 0; });
    for (int i = 0; i < round; ++i)
      world.turn();
    in_time += world.at(group, node)->replaced == replaced ? 1 : 0;
    if (held)
      CHECK(world.at(group, node)->replaced == replaced);
    world.destroy(group, node);
    if (round % 2 == 0)
      world.turns_for_ms(30);
    world.recover(group, node);
    world.io(node).release();
    world.until("it is back", [&] { return world.at(group, node) != nullptr; });
    world.check_all(group);
    world.until("the other tables are gone",
                [&] { return world.tables(node) == std::vector{world.at(group, node)->table()}; });
  }
  CHECK(in_time >= 2);
  CHECK(world.nobody_finished());
}

TEST_CASE("replica: gives each piece of its state once and in order", "[actor][replica]") {
  replica_world world{short_tail(3)};
  world.write_much(group, mib);
  auto& source = *world.at(group, follower_node(world));
  world.check_all(group);
  auto id = source.raft().self();
  auto begun = ask(world, source, {group_id{group}, id, 0, 0});
  REQUIRE(begun);
  CHECK(begun->index == source.raft().last_applied());
  auto pull = begun->pull;
  auto code = [&](std::uint64_t p, std::uint64_t piece) {
    return ask(world, source, {group_id{group}, id, p, piece}).error().code;
  };
  CHECK(code(0, 0) == errc::busy);
  CHECK(code(pull, 2) == errc::stale);
  CHECK(code(pull + 1, 1) == errc::stale);
  auto expected_rows = world.committed(group);
  world.write_much(group, 512 * kib); // does not show in what is pulled
  row_map pulled;
  std::uint64_t piece = 0;
  for (;;) {
    auto found = ask(world, source, {group_id{group}, id, pull, ++piece});
    REQUIRE(found);
    if (found->rows.empty())
      break;
    CHECK(code(pull, piece) == errc::stale);
    CHECK(code(pull, piece + 2) == errc::stale);
    auto rows = decode_table_chunk(found->rows.view());
    REQUIRE(rows);
    for (auto& row : *rows)
      CHECK(pulled.emplace(row.key, row.value).second);
  }
  CHECK(piece > 10);
  CHECK(code(pull, piece + 1) == errc::stale); // it is over
  CHECK((pulled == expected_rows));
  auto again = ask(world, source, {group_id{group}, id, 0, 0}); // nobody has to wait for it
  REQUIRE(again);
  CHECK(again->pull != pull);
  CHECK(code(pull, 1) == errc::stale);
  // Who gives up says so, and the next one need not wait. Only its own pull can anybody end.
  CHECK(code(pull, 0) == errc::stale);
  CHECK(code(0, 0) == errc::busy);
  CHECK(ask(world, source, {group_id{group}, id, again->pull, 0}));
  CHECK(code(again->pull, 1) == errc::stale);
  CHECK(ask(world, source, {group_id{group}, id, 0, 0}));
}
