#include "storage/meta/directory_slots.hpp"

#include <catch2/catch.hpp>

#include <map>

using namespace troupe;

TEST_CASE("directory_slots: trees begin everywhere, small ones stay together",
          "[unit][directory_slots]") {
  lin parent{std::uint64_t{77} << 48 | 5};
  CHECK(suggest_directory_slot(parent, "a", {}) == slot_id{77});
  CHECK(suggest_directory_slot(parent, "a", {7, 10}) == slot_id{77});
  CHECK(suggest_directory_slot(parent, "a", {8, 10}) != slot_id{77});
  CHECK(suggest_directory_slot(parent, "a", {0, 2000}) != slot_id{77});
  CHECK(suggest_directory_slot(parent, "a", {8, 0}) == suggest_directory_slot(parent, "a", {9, 5}));
  std::map<slot_id, int> used;
  for (int i = 0; i < 1000; ++i) {
    auto slot = suggest_directory_slot(root_lin, "home" + std::to_string(i), {});
    REQUIRE(slot.value < slot_count);
    ++used[slot];
  }
  CHECK(used.size() > 850);
}

TEST_CASE("directory_slots: a copied source tree reaches the leaders of all 16 groups",
          "[unit][directory_slots]") {
  // Goal: copying a tree of the shape of /usr/include makes every group work. Method: 1 + 150 + 807
  // directories, placed as a client would that knows only the parent's attributes.
  struct directory {
    inode_attributes attributes;
  };
  std::map<slot_id, std::uint64_t> sequences;
  std::map<int, int> directories_of_group;
  auto make = [&](inode_attributes& parent, const std::string& name) {
    auto slot = suggest_directory_slot(parent.id, name, estimate_slot_load(parent));
    ++parent.link_count;
    inode_attributes child;
    child.id = lin{std::uint64_t{slot.value} << 48 | (2 + sequences[slot]++)};
    child.link_count = 2;
    sequences[slot] += 20; // its files
    ++directories_of_group[slot.value / 256];
    return child;
  };
  inode_attributes root;
  root.id = root_lin;
  root.link_count = 2;
  auto top = make(root, "include");
  for (int i = 0; i < 150; ++i) {
    auto directory = make(top, "library" + std::to_string(i));
    for (int k = 0; k < i % 12; ++k)
      make(directory, "part" + std::to_string(k));
  }
  CHECK(directories_of_group.size() == 16);
  int most = 0;
  int all = 0;
  for (const auto& [group, count] : directories_of_group) {
    most = std::max(most, count);
    all += count;
  }
  CHECK(all == 1 + 150 + 807);
  CHECK(most < all / 4);
}
