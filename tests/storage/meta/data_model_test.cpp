#include "storage/meta/extents.hpp"
#include "tests/storage/meta/stripe_maker.hpp"
#include "tests/storage/meta/tree_dump.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

/// Where a block of a file comes from: which stripe (by the birth of its first unit) and which
/// block of it.
using block_source = std::pair<std::uint64_t, std::uint64_t>;

/// One file under random commits, truncates and cleaning, against a map of its blocks.
struct random_file : meta_harness {
  explicit random_file(std::uint64_t seed) : random(seed) {
    drives = stripe_maker::drives();
    context.limits.clean_extents_max = 3;
    forgetful_every = 12;
    file = create(root_lin, "f");
  }

  /// A commit of one to three stripes with one or two extents each, anywhere.
  op_commit_write random_commit() {
    op_commit_write op;
    op.id = file;
    std::set<std::uint64_t> taken;
    auto stripe_count = 1 + random(3);
    for (std::uint32_t s = 0; s < stripe_count; ++s) {
      auto stripe_blocks = static_cast<std::uint32_t>(1 + random(6));
      std::vector<new_extent> extents;
      for (std::uint64_t at = 0; at < stripe_blocks;) {
        auto count = 1 + random(stripe_blocks - at);
        auto place = random(60);
        bool free = true;
        for (std::uint64_t b = place; b < place + count; ++b)
          free = free && !taken.contains(b);
        if (free) {
          for (std::uint64_t b = place; b < place + count; ++b)
            taken.insert(b);
          extents.push_back({place * block_bytes, count * block_bytes,
                             static_cast<std::uint32_t>(op.stripes.size()), at * block_bytes});
        }
        at += count;
      }
      if (extents.empty())
        continue;
      op.stripes.push_back(maker.make(1, 2, stripe_blocks));
      op.extents.insert(op.extents.end(), extents.begin(), extents.end());
    }
    for (const auto& e : op.extents)
      op.size_at_least = std::max(op.size_at_least, e.file_offset + e.bytes);
    return op;
  }
  void apply_to_model(const op_commit_write& op) {
    if (op.truncate_to && *op.truncate_to < size) {
      size = *op.truncate_to;
      blocks.erase(blocks.lower_bound(round_up_to_block(size) / block_bytes), blocks.end());
      if (inline_bytes.size() > size)
        inline_bytes.resize(size);
    }
    for (const auto& e : op.extents)
      for (std::uint64_t b = 0; b < e.bytes / block_bytes; ++b) {
        auto birth = op.stripes[e.stripe_index].units[0].run.born.value;
        blocks[e.file_offset / block_bytes + b] = {birth, e.stripe_offset / block_bytes + b};
        if (e.file_offset == 0)
          inline_bytes.clear();
      }
    if (op.inline_data) {
      blocks.erase(0);
      inline_bytes = *op.inline_data;
      size = std::max<std::uint64_t>(size, inline_bytes.size());
    }
    size = std::max(size, op.size_at_least);
  }
  /// A unit of one of the file's stripes gets a new run: the blocks come from there now, and
  /// nothing else of the file changes.
  void repair() {
    auto page = must<layout_is>(op_get_layout{file, random(60) * block_bytes, ~0ull, 1});
    if (page.stripes.empty())
      return;
    auto& stripe = page.stripes[0];
    auto unit = static_cast<std::uint32_t>(random(stripe.layout.units.size()));
    auto old = stripe.layout.units[unit].run;
    auto run = maker.make(1, 2, stripe.layout.unit_blocks).units[0].run;
    run.drive = stripe_maker::drive(static_cast<std::uint8_t>(random(12)));
    bool taken = false;
    for (std::uint32_t i = 0; i < stripe.layout.units.size(); ++i)
      taken |= i != unit && stripe.layout.units[i].run.drive == run.drive;
    auto attributes = stat(file);
    auto code = refused(op_repair_unit{stripe.id, stripe.version, unit, run});
    CHECK((code == errc::invalid_argument || !taken));
    CHECK((code == errc::none || code == errc::invalid_argument)); // too many on the node
    if (code == errc::none && unit == 0)
      for (auto& [block, source] : blocks)
        if (source.first == old.born.value)
          source.first = run.born.value;
    CHECK(stat(file) == attributes);
  }
  void step() {
    op_commit_write op;
    op.id = file;
    switch (random(9)) {
    case 8: return repair();
    case 0: op.truncate_to = random(61) * block_bytes + random(2) * 100; break;
    case 1:
      op = random_commit();
      op.truncate_to = random(61) * block_bytes;
      break;
    case 2: op.size_at_least = random(70) * block_bytes; break;
    case 3:
      op.truncate_to = random(3) * 2000;
      op.inline_data = byte_vector(random(20), std::byte{5});
      break;
    case 4:
      if (auto item = first_clean_item())
        clean(*item);
      return;
    default: op = random_commit();
    }
    auto code = refused(op);
    if (code == errc::none) {
      apply_to_model(op);
    } else if (code == errc::busy) {
      ++busy_count;
      CHECK_FALSE(last_recorded);
      REQUIRE(first_clean_item());
      clean(*first_clean_item());
    } else if (code == errc::too_large) {
      REQUIRE(op.truncate_to);
      op_commit_write alone;
      alone.id = file;
      alone.truncate_to = op.truncate_to;
      if (refused(alone) == errc::none)
        apply_to_model(alone);
    } else {
      REQUIRE(op.inline_data); // the file was longer than a block
      CHECK(code == errc::invalid_argument);
    }
  }
  void compare() {
    std::map<std::uint64_t, block_source> seen;
    byte_vector data;
    std::uint64_t offset = 0;
    while (true) {
      auto page = must<layout_is>(
        op_get_layout{file, offset, ~0ull, 1 + static_cast<std::uint32_t>(random(5))});
      CHECK(page.attributes.size == size);
      if (page.inline_data)
        data = *page.inline_data;
      std::map<stripe_id, std::uint64_t> births;
      for (const auto& s : page.stripes)
        births[s.id] = s.layout.units[0].run.born.value;
      for (const auto& e : page.extents) {
        offset = e.file_offset + e.bytes;
        for (std::uint64_t b = 0; b < e.bytes / block_bytes; ++b)
          seen[e.file_offset / block_bytes + b] = {births.at(e.stripe),
                                                   e.stripe_offset / block_bytes + b};
      }
      if (!page.more)
        break;
    }
    CHECK(seen == blocks);
    CHECK(data == inline_bytes);
  }

  test_random random;
  stripe_maker maker;
  lin file;
  std::map<std::uint64_t, block_source> blocks;
  byte_vector inline_bytes;
  std::uint64_t size = 0;
  int busy_count = 0;
};

} // namespace

TEST_CASE("meta_data_model: every block of a random file comes from where it was written",
          "[unit][meta_data_model]") {
  // Goal: a layout shows the newest acknowledged bytes, and stripes, charges and frees fit to it.
  // Method: random commits, truncates and cleaning against a map of blocks, checked at each step.
  auto seed = GENERATE(range(1u, 11u));
  INFO("seed " << seed);
  random_file m{seed};
  for (int i = 0; i < 200; ++i) {
    INFO("step " << i);
    m.step();
    m.compare();
    REQUIRE(m.findings() == "");
    if (i % 16 == 15) // else the check reads more and more of them
      m.drain_frees();
  }
  m.must<done>(op_unlink{root_lin, "f", {}});
  m.clean_all();
  auto report = check_partition(m.rows, nullptr);
  CHECK(report.findings.empty());
  CHECK(report.stripe_count == 0);
  CHECK(report.inode_count == 1);
}
