#include "messages/metadata.hpp"
#include "storage/meta/meta_keys.hpp"
#include "tests/storage/meta/hex.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace troupe;
using test::to_hex;

namespace {
lin id_of(std::uint64_t slot, std::uint64_t sequence) {
  return lin{slot << 48 | sequence};
}
} // namespace

TEST_CASE("meta_keys: the bytes are what they have always been", "[unit][meta_keys]") {
  auto id = id_of(0x102, 0x30405);
  drive_uuid drive;
  drive.bytes[0] = 0xaa;
  drive.bytes[15] = 0xbb;
  CHECK(to_hex(inode_key(id)) == "010102000000030405");
  CHECK(to_hex(inline_key(id)) == "020102000000030405");
  CHECK(to_hex(extent_key(id, 0x2000)) == "0301020000000304050000000000002000");
  CHECK(to_hex(stripe_key(stripe_id{id.value})) == "040102000000030405");
  CHECK(to_hex(entry_key(id, "ab")) == "050102000000030405004fff28532bf250616200");
  CHECK(to_hex(parent_key(id, lin{1}, "ab")) == "0601020000000304050000000000000001616200");
  CHECK(to_hex(version_key(inode_key(id), snapshot_epoch{7}))
        == "070102010000000304050000000000000007");
  CHECK(to_hex(session_key(slot_id{0x102}, client_id{9})) == "0801020000000000000009");
  CHECK(to_hex(slot_key(slot_id{0x102})) == "0a0102");
  CHECK(to_hex(orphan_key(id)) == "0b0102000000030405");
  CHECK(to_hex(trim_key(id)) == "0c0102000000030405");
  CHECK(to_hex(at_risk_key(stripe_id{id.value})) == "0d0102000000030405");
  CHECK(to_hex(here_key(client_id{9})) == "200000000000000009");
  CHECK(to_hex(pending_free_key(drive, 5)) == "21aa0000000000000000000000000000bb0000000000000005");
  CHECK(to_hex(drive_frees_key(drive)) == "22aa0000000000000000000000000000bb");
  CHECK(to_hex(floor_config_key()) == "2301");
  CHECK(to_hex(floor_epoch_key()) == "2302");
}

TEST_CASE("meta_keys: hashes of names are what they have always been", "[unit][meta_keys]") {
  // Cookies and keys depend on them: they can never change.
  CHECK(name_hash("") == 0x7a950af4d4daf4);
  CHECK(name_hash("a") == 0x1605edfa40a10);
  CHECK(name_hash("troupe") == 0x47d09ac03e1f24);
  CHECK(name_hash(std::string(255, '\xff')) == 0x24dad3c68911d);
  for (int i = 0; i < 1000; ++i) {
    auto hash = name_hash(std::to_string(i));
    CHECK(hash >= 1);
    CHECK(hash < (1ull << 55));
  }
}

TEST_CASE("meta_keys: keys are read back, and nothing else is", "[unit][meta_keys]") {
  auto id = id_of(9, 10);
  drive_uuid drive;
  drive.bytes[3] = 4;
  CHECK(parse_lin_key(inode_key(id)) == id);
  CHECK(parse_lin_key(orphan_key(id)) == id);
  CHECK(parse_stripe_key(at_risk_key(stripe_id{5})) == stripe_id{5});
  CHECK(parse_extent_key(extent_key(id, 77))->end_offset == 77);
  auto entry = parse_entry_key(entry_key(id, "name"));
  REQUIRE(entry);
  CHECK(entry->directory == id);
  CHECK(entry->name == "name");
  CHECK(entry->hash == name_hash("name"));
  CHECK(parse_parent_key(parent_key(id, lin{1}, "x"))->name == "x");
  auto version = parse_version_key(version_key(entry_key(id, "name"), snapshot_epoch{3}));
  REQUIRE(version);
  CHECK(version->live_key == entry_key(id, "name"));
  CHECK(version->suffix == snapshot_epoch{3});
  CHECK(parse_session_key(session_key(slot_id{7}, client_id{8}))->client == client_id{8});
  CHECK(parse_slot_key(slot_key(slot_id{7})) == slot_id{7});
  CHECK(parse_here_key(here_key(client_id{8})) == client_id{8});
  CHECK(parse_pending_free_key(pending_free_key(drive, 6))->batch == 6);
  CHECK(parse_drive_frees_key(drive_frees_key(drive)) == drive);
  for (std::string bad : {std::string{}, std::string{"\x01"}, inode_key(id) + "x",
                          inode_key(id).substr(0, 8), entry_key(id, "name").substr(0, 20)}) {
    CHECK_FALSE(parse_lin_key(bad));
    CHECK_FALSE(parse_entry_key(bad));
    CHECK_FALSE(parse_extent_key(bad));
    CHECK_FALSE(parse_version_key(bad));
    CHECK_FALSE(parse_slot_key(bad));
  }
  CHECK_FALSE(parse_lin_key(stripe_key(stripe_id{1})));
}

TEST_CASE("meta_keys: byte order is number order, and slots are ranges", "[unit][meta_keys]") {
  std::vector<std::string> keys;
  for (std::uint64_t slot : {0, 1, 255, 256, 4095})
    for (std::uint64_t sequence : {1ull, 255ull, 256ull, 65536ull, (1ull << 48) - 2})
      keys.push_back(inode_key(id_of(slot, sequence)));
  CHECK(std::is_sorted(keys.begin(), keys.end()));
  for (std::uint16_t slot : {std::uint16_t{0}, std::uint16_t{255}, std::uint16_t{4095}}) {
    auto range = slot_keys(meta_table::inode, slot_id{slot});
    for (const auto& key : keys) {
      bool inside = range.begin <= key && key < range.end;
      CHECK(inside == (slot_of(*parse_lin_key(key)).value == slot));
    }
  }
  auto last = id_of(5, (1ull << 48) - 2); // the largest LIN of a slot keeps its ranges inside
  CHECK(entry_keys(last).end <= slot_keys(meta_table::entry, slot_id{5}).end);
  CHECK(extent_keys(last).end <= slot_keys(meta_table::extent, slot_id{5}).end);
  CHECK(extent_keys_after(last, ~0ull).begin == extent_keys(last).end);
}

TEST_CASE("meta_keys: versions of a key stand together and no other key between",
          "[unit][meta_keys]") {
  // Names that begin with another name must not fall between the versions of that one.
  auto live = entry_key(lin{1}, "a");
  auto begin = version_prefix(live);
  auto end = prefix_end(begin);
  for (std::string other : {std::string{"b"}, std::string{"aa"}, std::string(9, 'a')}) {
    // As if the hashes were equal:
    auto colliding = live.substr(0, 17) + other + '\0';
    auto key = version_key(colliding, snapshot_epoch{1});
    CHECK((key < begin || key >= end));
  }
  for (std::uint64_t suffix : {0ull, 1ull, 256ull, ~0ull}) {
    auto key = version_key(live, snapshot_epoch{suffix});
    CHECK(begin <= key);
    CHECK(key < end);
  }
}
