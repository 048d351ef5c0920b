#include "cluster/gateway/cluster_map.hpp"
#include "cluster/gateway/directory_slot.hpp"
#include "cluster/gateway/sequence_table.hpp"
#include "messages/metadata.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string>

using namespace troupe;

namespace {

cluster_view three_nodes() {
  cluster_view view;
  view.version = config_version{4};
  for (std::uint32_t n = 1; n <= 3; ++n) {
    view.nodes.push_back({node_id{n}, "", true});
    drive_uuid id;
    id.bytes[0] = static_cast<std::uint8_t>(n);
    view.drives.push_back({id, node_id{n}, drive_bay{1}, drive_state::healthy, 100, 50});
  }
  view.slots = {{0, 4096, group_id{1}}};
  view.groups = {{group_id{1},
                  {{replica_id{11}, node_id{1}, {}},
                   {replica_id{12}, node_id{2}, {}},
                   {replica_id{13}, node_id{3}, {}}},
                  replica_id{12}}};
  return view;
}

} // namespace

TEST_CASE("sequence_table: the low-water mark waits for the oldest",
          "[unit][gateway][sequence_table]") {
  sequence_table table;
  slot_id slot{7};
  CHECK(table.low_water(slot) == 0);
  CHECK(table.begin(slot) == 1);
  CHECK(table.begin(slot) == 2);
  CHECK(table.begin(slot) == 3);
  CHECK(table.begin(slot_id{8}) == 1);
  table.finish(slot, 2);
  CHECK(table.low_water(slot) == 0);
  table.finish(slot, 1);
  CHECK(table.low_water(slot) == 2);
  table.finish(slot, 3);
  CHECK(table.low_water(slot) == 3);
  CHECK(table.begin(slot) == 4);
  CHECK(table.low_water(slot) == 3);
}

TEST_CASE("cluster_map: asks the leader, follows hints, else goes round",
          "[unit][gateway][cluster_map]") {
  cluster_map map{three_nodes()};
  group_id g{1};
  CHECK(map.replica_to_ask(g)->id == replica_id{12});
  map.leader_lost(g, replica_id{12}, replica_id{11});
  CHECK(map.replica_to_ask(g)->id == replica_id{11});
  map.leader_lost(g, replica_id{12}, replica_id{13}); // an old answer changes nothing
  CHECK(map.replica_to_ask(g)->id == replica_id{11});
  map.set_link(node_id{2}, false);
  map.leader_lost(g, replica_id{11}, {});
  CHECK(map.replica_to_ask(g)->id == replica_id{13});
  map.leader_lost(g, replica_id{13}, replica_id{99}); // no such replica
  CHECK(map.replica_to_ask(g)->id == replica_id{11});
  CHECK_FALSE(map.replica_to_ask(group_id{5}));
}

TEST_CASE("cluster_map: a drive takes data if state, node, link and rest allow it",
          "[unit][gateway][cluster_map]") {
  auto view = three_nodes();
  cluster_map map{view};
  auto id = [&](int i) { return view.drives[static_cast<std::size_t>(i)].uuid; };
  CHECK(map.candidates(boot_time{0}).size() == 3);
  map.set_link(node_id{1}, false);
  CHECK(map.candidates(boot_time{0}).size() == 2);
  CHECK_FALSE(map.readable(id(0)));
  map.rest(id(1), boot_time{100});
  CHECK(map.candidates(boot_time{99}).size() == 1);
  CHECK(map.candidates(boot_time{100}).size() == 2);
  map.slow(id(2), boot_time{100});
  CHECK(map.candidates(boot_time{50}).front().busy);
  map.full(id(2));
  CHECK(map.space() == std::pair<std::uint64_t, std::uint64_t>{300, 100});
  auto older = view;
  older.version = config_version{3};
  CHECK_FALSE(map.update(older));
  auto newer = view;
  newer.version = config_version{5};
  newer.drives[1].state = drive_state::dead;
  CHECK(map.update(newer));
  CHECK_FALSE(map.readable(id(1)));
  CHECK(map.lost(id(1)));
  CHECK_FALSE(map.writable(id(1)));
  CHECK(map.writable(id(2)));
  CHECK_FALSE(map.lost(id(2)));
  auto left = map.left_out(map.candidates(boot_time{200}));
  CHECK(left.size() == 3);
  newer.version = config_version{6};
  newer.drives[2].state = drive_state::fresh; // partitions do not take it before it is in use
  CHECK(map.update(newer));
  CHECK_FALSE(map.writable(id(2)));
  CHECK(map.candidates(boot_time{200}).empty());
}

TEST_CASE("directory_slot: children of the root are spread, few of the deeper ones",
          "[unit][gateway][directory_slot]") {
  std::set<slot_id> slots;
  int moved = 0;
  lin parent{std::uint64_t{77} << 48 | 5};
  for (int i = 0; i < 1000; ++i) {
    auto name = "d" + std::to_string(i);
    slots.insert(slot_for_directory(root_lin, name));
    moved += slot_for_directory(parent, name) != slot_id{77} ? 1 : 0;
    CHECK(slot_for_directory(parent, name).value < slot_count);
  }
  CHECK(slots.size() > 700);
  CHECK(moved > 80);
  CHECK(moved < 180);
}
