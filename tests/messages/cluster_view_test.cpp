#include "messages/cluster_view.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

TEST_CASE("cluster_view: every slot finds its group, a gap finds none", "[unit][cluster_view]") {
  cluster_view view;
  view.slots = {{0, 256, group_id{1}}, {256, 512, group_id{2}}, {1024, 4096, group_id{3}}};
  CHECK(group_of(view, slot_id{0}) == group_id{1});
  CHECK(group_of(view, slot_id{255}) == group_id{1});
  CHECK(group_of(view, slot_id{256}) == group_id{2});
  CHECK(group_of(view, slot_id{600}) == group_id{0});
  CHECK(group_of(view, slot_id{4095}) == group_id{3});
  CHECK(group_of(view, slot_id{4096}) == group_id{0});
}

TEST_CASE("cluster_view: strangers are not found", "[unit][cluster_view]") {
  cluster_view view;
  view.nodes = {{node_id{1}, "127.0.0.1:7001", true}};
  view.groups = {{group_id{4}, {}, replica_id{9}}};
  CHECK(find_node(view, node_id{1})->up);
  CHECK(find_node(view, node_id{2}) == nullptr);
  CHECK(find_group(view, group_id{4})->leader == replica_id{9});
  CHECK(find_group(view, group_id{5}) == nullptr);
  CHECK(find_drive(view, drive_uuid{}) == nullptr);
}
