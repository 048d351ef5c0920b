#include "cluster/gateway/layout_cache.hpp"
#include "cluster/gateway/read_plan.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

namespace {

stripe_info stripe(std::uint64_t id, std::uint8_t data_units, std::uint32_t unit_blocks_each) {
  stripe_info out;
  out.id = stripe_id{id};
  out.layout.shape = {data_units, 2, 2};
  out.layout.unit_blocks = unit_blocks_each;
  out.layout.units.resize(data_units + 2u);
  return out;
}
layout_is answer(std::uint64_t change_count, std::vector<extent> extents,
                 std::vector<stripe_info> stripes, bool more = false) {
  layout_is out;
  out.attributes.change_count = change_count;
  out.attributes.size = 10 * mib;
  out.extents = std::move(extents);
  out.stripes = std::move(stripes);
  out.more = more;
  return out;
}

} // namespace

TEST_CASE("layout_cache: gaps between extents are holes", "[unit][gateway][layout_cache]") {
  layout_cache cache{100};
  CHECK_FALSE(cache.covers(0, 1));
  cache.insert(0, mib,
               answer(5, {{8192, 8192, stripe_id{1}, 0}, {32768, 8192, stripe_id{1}, 8192}},
                      {stripe(1, 1, 2)}));
  CHECK(cache.covers(0, mib));
  CHECK_FALSE(cache.covers(0, mib + 1));
  auto s = cache.segments(4096, 40'000);
  REQUIRE(s.size() == 5);
  CHECK(s[0].stripe == nullptr);
  CHECK(s[0].bytes == 4096);
  CHECK(s[1].stripe->id == stripe_id{1});
  CHECK(s[2].bytes == 32768 - 16384);
  CHECK(s[3].stripe_offset == 8192);
  CHECK(s[4].file_offset == 40960);
  auto inside = cache.segments(8192 + 100, 50);
  REQUIRE(inside.size() == 1);
  CHECK(inside[0].stripe_offset == 100);
}

TEST_CASE("layout_cache: an answer with more covers up to its last extent",
          "[unit][gateway][layout_cache]") {
  layout_cache cache{100};
  cache.insert(0, mib, answer(5, {{0, 8192, stripe_id{1}, 0}}, {stripe(1, 1, 1)}, true));
  CHECK(cache.covers(0, 8192));
  CHECK(cache.covered_until(0) == 8192);
  cache.insert(8192, mib, answer(5, {}, {}));
  CHECK(cache.covers(0, mib));
}

TEST_CASE("layout_cache: a newer change count replaces, an older is passed over",
          "[unit][gateway][layout_cache]") {
  layout_cache cache{100};
  cache.insert(0, mib, answer(5, {{0, 8192, stripe_id{1}, 0}}, {stripe(1, 1, 1)}));
  cache.insert(0, 8192, answer(6, {}, {}));
  CHECK(cache.covers(0, 8192));
  CHECK_FALSE(cache.covers(0, mib));
  CHECK(cache.segments(0, 8192)[0].stripe == nullptr);
  cache.insert(0, mib, answer(5, {{0, 8192, stripe_id{1}, 0}}, {stripe(1, 1, 1)}));
  CHECK(cache.attributes()->change_count == 6);
  CHECK_FALSE(cache.covers(0, mib));
}

TEST_CASE("read_plan: segments are cut at units", "[unit][gateway][read_plan]") {
  auto s = std::make_shared<const stripe_info>(stripe(1, 3, 4));
  std::vector<file_segment> segments{{0, 10'000, nullptr, 0}, {10'000, 70'000, s, 1000}};
  auto plan = plan_read(segments, false);
  REQUIRE(plan);
  REQUIRE(plan->size() == 4);
  CHECK((*plan)[0].stripe == nullptr);
  CHECK((*plan)[1].unit_index == 0);
  CHECK((*plan)[1].unit_offset == 1000);
  CHECK((*plan)[1].bytes == 4 * 8192 - 1000);
  CHECK((*plan)[1].block_count == 4);
  CHECK((*plan)[2].bytes == 4 * 8192);
  CHECK((*plan)[3].unit_index == 2);
  CHECK((*plan)[3].block_count == 1);
  auto whole = plan_read(segments, true);
  CHECK((*whole)[3].block_count == 4);
  std::vector<file_segment> beyond{{0, 8192, s, 3 * 4 * 8192}};
  CHECK_FALSE(plan_read(beyond, false));
}
