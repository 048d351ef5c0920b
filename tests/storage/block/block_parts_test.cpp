#include "storage/block/block_bitmap.hpp"
#include "storage/block/block_table_cache.hpp"
#include "storage/block/block_write_keys.hpp"
#include "tests/storage/block/drive_rig.hpp"

#include <catch2/catch.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace troupe::block_format;

TEST_CASE("block_bitmap: runs go one behind the other, and round", "[unit][block_bitmap]") {
  block_bitmap bitmap{100};
  CHECK(bitmap.place(16) == 0);
  CHECK(bitmap.place(16) == 16);
  bitmap.release(0, 16);
  CHECK(bitmap.place(60) == 32); // not the place that became free just now
  CHECK(bitmap.place(9) == 0);   // 8 are left behind it
  CHECK(bitmap.place(8) == 92);
  CHECK(bitmap.place(8) == std::nullopt);
  CHECK(bitmap.free_count() == 7);
  CHECK(bitmap.place(7) == 9);
  CHECK(bitmap.place(1) == std::nullopt);
  bitmap.release(20, 1);
  CHECK(bitmap.place(2) == std::nullopt);
  CHECK(bitmap.place(1) == 20);
}

TEST_CASE("block_bitmap: no run leaves its group", "[unit][block_bitmap]") {
  block_bitmap bitmap{2 * group_blocks + 100};
  REQUIRE(bitmap.group_count() == 3);
  CHECK(bitmap.group_size(2) == 100);
  bitmap.set(0, group_blocks - 10, true);
  CHECK(bitmap.place(20) == group_blocks);
  CHECK(bitmap.place(5) == group_blocks + 20);
  bitmap.set(group_blocks, group_blocks, true);
  CHECK(bitmap.place(90) == 2 * group_blocks);
  CHECK(bitmap.place(11) == std::nullopt);
  CHECK(bitmap.place(10) == 2 * group_blocks + 90);
  CHECK(bitmap.place(10) == group_blocks - 10);
}

TEST_CASE("block_bitmap: agrees with a list of blocks", "[unit][block_bitmap]") {
  std::mt19937_64 random{5};
  for (std::uint64_t blocks : {1, 63, 64, 65, 1000}) {
    block_bitmap bitmap{blocks};
    std::vector<bool> model(blocks);
    std::vector<std::pair<std::uint64_t, std::uint32_t>> runs;
    for (int step = 0; step < 2000; ++step) {
      if (random() % 3 != 0 || runs.empty()) {
        auto count = static_cast<std::uint32_t>(1 + random() % 20);
        auto start = bitmap.place(count);
        std::size_t longest = 0;
        std::size_t gap = 0;
        for (auto used : model)
          longest = std::max(longest, gap = used ? 0 : gap + 1);
        REQUIRE(start.has_value() == (longest >= count)); // found if it is there at all
        if (!start)
          continue;
        for (auto b = *start; b < *start + count; ++b) {
          REQUIRE_FALSE(model[b]);
          model[b] = true;
        }
        runs.emplace_back(*start, count);
      } else {
        auto at = runs.begin() + static_cast<std::ptrdiff_t>(random() % runs.size());
        bitmap.release(at->first, at->second);
        for (auto b = at->first; b < at->first + at->second; ++b)
          model[b] = false;
        runs.erase(at);
      }
    }
    for (std::uint64_t b = 0; b < blocks; ++b)
      REQUIRE(bitmap.used(b) == model[b]);
    REQUIRE(bitmap.free_count()
            == static_cast<std::uint64_t>(std::count(model.begin(), model.end(), false)));
    byte_vector body(page_body_bytes);
    bitmap.copy_group(0, body);
    block_bitmap copy{blocks};
    std::fill(body.begin() + static_cast<std::ptrdiff_t>((blocks + 7) / 8), body.end(),
              std::byte{0xff}); // past the end: ignored
    copy.load_group(0, body);
    REQUIRE(copy.free_count() == bitmap.free_count());
    for (std::uint64_t b = 0; b < blocks; ++b)
      REQUIRE(copy.used(b) == model[b]);
  }
}

TEST_CASE("block_table_cache: keeps what is needed, and a bounded rest", "[unit][table_cache]") {
  block_table_cache cache{3};
  auto page = [](int n) { return byte_vector(page_bytes, static_cast<std::byte>(n)); };
  cache.insert(1, page(1), 1);
  cache.insert(2, page(2), 0);
  cache.insert(3, page(3), 0);
  cache.pin(2); // used again: 3 is the longest unused now
  cache.unpin(2);
  cache.insert(4, page(4), 0);
  CHECK(cache.contains(1)); // pinned
  CHECK(cache.contains(2));
  CHECK_FALSE(cache.contains(3));
  cache.hold(2, true);
  cache.insert(5, page(5), 1);
  cache.insert(6, page(6), 1); // pinned and held ones may exceed the limit
  CHECK(cache.contains(2));
  CHECK_FALSE(cache.contains(4));
  CHECK(cache.size() == 4);
  CHECK(cache.bytes(2)[0] == std::byte{2});
  cache.hold(2, false);
  CHECK_FALSE(cache.contains(2));
  cache.unpin(1);
  CHECK(cache.size() == 3);
}

TEST_CASE("block_dirty_pages: a change during a checkpoint step counts as new",
          "[unit][table_cache]") {
  block_dirty_pages dirty;
  CHECK(dirty.oldest_lsn() == UINT64_MAX);
  page_id a{page_kind::table, 1};
  page_id b{page_kind::table, 2};
  page_id c{page_kind::bitmap, 0};
  dirty.touch(b, 100);
  dirty.touch(a, 200);
  dirty.touch(c, 300);
  dirty.touch(b, 400);
  CHECK(dirty.oldest_lsn() == 100);
  CHECK(dirty.pick(2) == std::vector{b, a}); // oldest first
  dirty.touch(a, 500);
  dirty.touch(a, 600);
  CHECK(dirty.oldest_lsn() == 100); // not in place yet
  CHECK(dirty.settle() == std::vector{b});
  CHECK(dirty.oldest_lsn() == 300);
  CHECK(dirty.pick(9) == std::vector{c, a});
  CHECK(dirty.settle() == std::vector{c, a}); // in the order of page ids
  CHECK(dirty.size() == 0);
}

TEST_CASE("block_write_keys: the oldest are forgotten, and whole clients", "[unit][write_keys]") {
  block_write_keys keys{3, 2};
  auto run = [](std::uint64_t born) { return run_ref{some_drive(), born, 1, birth{born}}; };
  for (std::uint64_t id = 1; id <= 4; ++id)
    keys.remember_done(key_of(id), run(id));
  CHECK_FALSE(keys.find_done(key_of(1)));
  CHECK(keys.find_done(key_of(2)) == run(2));
  keys.forget_run(birth{3});
  CHECK_FALSE(keys.find_done(key_of(3)));
  keys.remember_done(key_of(2), run(9)); // its run was freed, it was stored anew
  CHECK(keys.find_done(key_of(2)) == run(9));

  keys.remember_unsure(key_of(20), run(20));
  CHECK_FALSE(keys.find_done(key_of(20)));
  CHECK(keys.find_run(key_of(20)) == run(20));
  keys.remember_done(key_of(20), run(21)); // stored anew
  CHECK(keys.find_done(key_of(20)) == run(21));
  CHECK(keys.find_run(key_of(20)) == run(21));

  keys.remember_abandoned(key_of(10), 0);
  CHECK(keys.oldest_lsn() == UINT64_MAX);
  keys.remember_abandoned(key_of(10), 500);
  keys.remember_abandoned(key_of(11), 400);
  keys.remember_abandoned(key_of(11), 300); // an older record says nothing new
  CHECK(keys.oldest_lsn() == 400);
  CHECK(keys.abandoned_before(450) == std::vector{key_of(11)});
  keys.remember_abandoned(key_of(12), 0); // has no record yet, but is the newest
  CHECK(keys.is_abandoned(key_of(12)));
  CHECK(keys.is_abandoned(key_of(10)));
  CHECK_FALSE(keys.is_abandoned(key_of(11)));

  keys.remember_abandoned(key_of(10, 1, 2), 600);
  keys.forget(client_id{2}, incarnation{9});
  CHECK(keys.find_done(key_of(2)));
  keys.forget(client_id{1}, incarnation{1});
  CHECK_FALSE(keys.find_done(key_of(2)));
  CHECK_FALSE(keys.is_abandoned(key_of(12)));
  CHECK(keys.is_abandoned(key_of(10, 1, 2)));
}
