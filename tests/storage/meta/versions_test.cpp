#include "storage/meta/data_format.hpp"
#include "storage/meta/row_transaction.hpp"
#include "storage/meta/versions.hpp"
#include "tests/storage/meta/stripe_maker.hpp"
#include "tests/storage/meta/tree_dump.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

std::vector<snapshot_epoch> epochs(std::initializer_list<std::uint64_t> values) {
  std::vector<snapshot_epoch> out;
  for (auto v : values)
    out.push_back(snapshot_epoch{v});
  return out;
}

/// The value of a key at an epoch: the inline bytes, or "-".
std::string at(const table_view& view, std::string_view key, std::uint64_t epoch) {
  row_needs needs;
  auto found = read_at(view, key, snapshot_epoch{epoch}, needs);
  REQUIRE(needs.empty());
  return found.state == row_state::found ? decode_inline(found.value)->bytes : "-";
}

/// Random changes of names and data in a small tree, as a workload for snapshots.
struct busy_tree : meta_harness {
  explicit busy_tree(std::uint64_t seed) : random(seed) {
    drives = stripe_maker::drives();
    context.limits.clean_extents_max = 3;
    directories.push_back(root_lin);
    for (std::string name : {"d1", "d2"})
      directories.push_back(mkdir(root_lin, name));
  }
  std::string name() { return "n" + std::to_string(random(6)); }
  lin directory() { return directories[random(directories.size())]; }
  std::optional<lin> some_file() {
    auto found = call(op_lookup{directory(), name()});
    auto* result = std::get_if<meta_result>(&found);
    if (result == nullptr || std::get<entry_found>(*result).kind != file_kind::regular)
      return {};
    return std::get<entry_found>(*result).child;
  }
  void step() {
    switch (random(12)) {
    case 0:
    case 1:
    case 2: call(op_create{directory(), name(), {}, false}); break;
    case 3:
      call(op_create{directory(), name(), {file_kind::symlink, 0, 0, 0, 0, "t"}, false});
      break;
    case 4: call(op_unlink{directory(), name(), {}}); break;
    case 5: call(op_rename{directory(), name(), directory(), name()}); break;
    case 6: call(op_rename{directory(), name(), directory(), name(), false, true}); break;
    case 7:
      if (auto file = some_file())
        call(op_link{directory(), name(), *file});
      break;
    case 8:
      if (auto item = first_clean_item())
        clean(*item);
      break;
    default:
      if (auto file = some_file())
        write(*file);
    }
  }
  void write(lin file) {
    op_commit_write op =
      commit_of(maker, file, random(12) * block_bytes, (1 + random(4)) * block_bytes);
    switch (random(4)) {
    case 0:
      op = {};
      op.id = file;
      op.truncate_to = random(8) * block_bytes;
      break;
    case 1:
      op = {};
      op.id = file;
      op.truncate_to = 0;
      op.inline_data = byte_vector(1 + random(20), std::byte{7});
      break;
    default: break;
    }
    call(op);
  }
  test_random random;
  stripe_maker maker;
  std::vector<lin> directories;
};

} // namespace

TEST_CASE("meta_versions: a value is kept for the newest snapshot that saw it",
          "[unit][meta_versions]") {
  auto all = epochs({2, 4, 7});
  auto kept = [&](std::uint64_t written, std::uint64_t current) {
    return kept_suffix(snapshot_epoch{written}, snapshot_epoch{current}, all).value;
  };
  CHECK(kept(1, 8) == 7);
  CHECK(kept(1, 7) == 4);
  CHECK(kept(1, 5) == 4);
  CHECK(kept(5, 6) == 0);
  CHECK(kept(5, 8) == 7);
  CHECK(kept(7, 8) == 7);
  CHECK(kept(8, 8) == 0);
  CHECK(kept(1, 2) == 0);
  CHECK(kept(3, 4) == 0);
  CHECK(kept_suffix(snapshot_epoch{1}, snapshot_epoch{9}, {}).value == 0);
}

TEST_CASE("meta_versions: records written at epochs 1 to 5 read back right at each",
          "[unit][meta_versions]") {
  // Goal: what one key held at the end of every epoch. Method: the key is put, changed, deleted
  // and put again; snapshots exist at every epoch, or only at some.
  auto snapshots = GENERATE(epochs({1, 2, 3, 4, 5}), epochs({2, 4}), epochs({1, 5}), epochs({}));
  map_view rows;
  auto key = inline_key(lin{5});
  auto write = [&](std::uint64_t epoch, std::optional<std::string> value) {
    std::vector<snapshot_epoch> older;
    for (auto s : snapshots)
      if (s.value < epoch)
        older.push_back(s);
    snapshot_epoch now{epoch};
    row_transaction tx{rows, {now, now, now, older, {}}};
    if (value)
      tx.put(key, encode(inline_row{now, *value}));
    else
      tx.erase(key);
    rows.apply(tx.take_batch());
  };
  write(1, "one");
  write(2, "two");
  write(2, "two again");
  write(3, {});
  write(5, "five");
  write(6, "six");
  std::map<std::uint64_t, std::string> expected{
    {1, "one"}, {2, "two again"}, {3, "-"}, {4, "-"}, {5, "five"}};
  for (auto s : snapshots)
    CHECK(at(rows, key, s.value) == expected[s.value]);
  CHECK(at(rows, key, 6) == "six");
  CHECK(at(rows, key, 100) == "six");
  CHECK(at(rows, inline_key(lin{6}), 3) == "-");
}

TEST_CASE("meta_versions: a snapshot does not see files from the future", "[unit][meta_versions]") {
  // Hazards F12: created in epoch 6, snapshot 7, changed in 8.
  map_view rows;
  auto snapshots = epochs({5, 7});
  auto key = inline_key(lin{5});
  auto six = epochs({5});
  row_transaction create{rows, {snapshot_epoch{6}, snapshot_epoch{6}, snapshot_epoch{6}, six, {}}};
  create.put(key, encode(inline_row{snapshot_epoch{6}, "new"}));
  rows.apply(create.take_batch());
  row_transaction change{rows,
                         {snapshot_epoch{8}, snapshot_epoch{8}, snapshot_epoch{8}, snapshots, {}}};
  change.put(key, encode(inline_row{snapshot_epoch{8}, "newer"}));
  rows.apply(change.take_batch());
  CHECK(at(rows, key, 5) == "-");
  CHECK(at(rows, key, 7) == "new");
  CHECK(at(rows, key, 8) == "newer");
  CHECK(rows.rows().size() == 2);
}

TEST_CASE("meta_versions: a range reads as it was, page by page", "[unit][meta_versions]") {
  auto seed = GENERATE(range(1u, 6u));
  INFO("seed " << seed);
  test_random random{seed};
  map_view rows;
  std::vector<snapshot_epoch> snapshots;
  std::map<std::uint64_t, std::map<std::string, std::string>> expected;
  std::map<std::string, std::string> live;
  for (std::uint64_t epoch = 1; epoch <= 8; ++epoch) {
    snapshot_epoch now{epoch};
    for (int i = 0; i < 30; ++i) {
      auto key = inline_key(lin{1 + random(25)});
      row_transaction tx{rows, {now, now, now, snapshots, {}}};
      if (random(3) == 0) {
        tx.erase(key);
        live.erase(key);
      } else {
        live[key] = std::to_string(random(1000));
        tx.put(key, encode(inline_row{now, live[key]}));
      }
      rows.apply(tx.take_batch());
    }
    if (random(3) != 0) {
      expected[epoch] = live;
      snapshots.push_back(now);
    }
  }
  expected[8] = live;
  for (const auto& [epoch, model] : expected) {
    for (std::uint32_t page_rows : {1u, 2u, 5u, 100u}) {
      std::map<std::string, std::string> seen;
      auto keys = slot_keys(meta_table::inline_data, slot_id{0});
      table_range range{keys.begin, keys.end, page_rows, false};
      while (true) {
        auto page = scan_at(rows, range, snapshot_epoch{epoch});
        REQUIRE_FALSE(page.missing);
        REQUIRE(page.rows.size() <= page_rows);
        for (const auto& row : page.rows)
          seen[row.key] = decode_inline(row.value)->bytes;
        if (!page.more)
          break;
        range.begin = page.rows.back().key + '\0';
      }
      CHECK(seen == model);
    }
    for (std::uint64_t id = 1; id <= 25; ++id) {
      auto key = inline_key(lin{id});
      CHECK(at(rows, key, epoch) == (model.contains(key) ? model.at(key) : "-"));
    }
  }
}

TEST_CASE("meta_versions: a whole tree reads back at every snapshot, cleaner and all",
          "[unit][meta_versions]") {
  // Goal: invariant 6. Method: random changes and cleaning over nine epochs; at the end of an epoch
  // the tree is read and, for some, a snapshot is taken; all of them must read the same ever after.
  auto seed = GENERATE(range(1u, 9u));
  INFO("seed " << seed);
  busy_tree tree{seed};
  std::vector<snapshot_epoch> snapshots;
  std::map<snapshot_epoch, std::string> dumps;
  for (std::uint64_t epoch = 1; epoch <= 9; ++epoch) {
    tree.context.epoch = snapshot_epoch{epoch};
    tree.context.snapshots = snapshots;
    for (int i = 0; i < 40; ++i)
      tree.step();
    CHECK(tree.findings() == "");
    if (tree.random(4) != 0) {
      dumps[snapshot_epoch{epoch}] = dump_tree(tree.rows, tree.context);
      snapshots.push_back(snapshot_epoch{epoch});
    }
  }
  REQUIRE(dumps.size() >= 2);
  tree.context.epoch = snapshot_epoch{10};
  tree.context.snapshots = snapshots;
  tree.clean_all();
  CHECK(tree.findings() == "");
  for (const auto& [epoch, dump] : dumps) {
    tree.context.read_epoch = epoch;
    INFO("epoch " << epoch.value);
    CHECK(dump_tree(tree.rows, tree.context) == dump);
  }
}

TEST_CASE("meta_versions: without a snapshot nothing old is kept", "[unit][meta_versions]") {
  busy_tree tree{77};
  for (std::uint64_t epoch = 1; epoch <= 5; ++epoch) {
    tree.context.epoch = snapshot_epoch{epoch};
    for (int i = 0; i < 40; ++i)
      tree.step();
  }
  auto range = table_keys(meta_table::version);
  CHECK(tree.rows.scan({range.begin, range.end, 10, false}).rows.empty());
}
