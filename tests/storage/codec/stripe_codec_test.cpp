#include "storage/codec/stripe_codec.hpp"
#include "storage/layout/layout_table.hpp"
#include "storage/layout/level_shape.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

using namespace troupe;

namespace {

using unit = std::vector<std::byte>;

std::uint64_t next(std::uint64_t& state) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return state >> 33;
}

std::vector<unit> random_units(std::size_t count, std::size_t size, std::uint64_t seed) {
  std::vector<unit> out(count, unit(size));
  for (auto& x : out)
    for (auto& b : x)
      b = static_cast<std::byte>(next(seed));
  return out;
}

/// A whole stripe: data from the seed, parity encoded.
std::vector<unit> stripe(code_shape shape, std::size_t size, std::uint64_t seed) {
  auto units = random_units(shape.data_units + shape.parity_units, size, seed);
  std::vector<std::span<const std::byte>> data{units.begin(), units.begin() + shape.data_units};
  std::vector<std::span<std::byte>> parity{units.begin() + shape.data_units, units.end()};
  REQUIRE(encode_parity(shape, data, parity));
  return units;
}

/// Rebuilds `lost` from the N units of `from` and compares with the truth.
bool rebuilds(code_shape shape, const std::vector<unit>& truth,
              const std::vector<std::uint32_t>& from, const std::vector<std::uint32_t>& lost) {
  std::vector<unit_source> have;
  for (auto i : from)
    have.push_back({i, truth[i]});
  std::vector<unit> made(lost.size(), unit(truth[0].size()));
  std::vector<unit_target> want;
  for (std::size_t i = 0; i < lost.size(); ++i)
    want.push_back({lost[i], made[i]});
  if (!rebuild_units(shape, have, want))
    return false;
  for (std::size_t i = 0; i < lost.size(); ++i)
    if (made[i] != truth[lost[i]])
      return false;
  return true;
}

/// Calls `visit(lost, rest)` for every choice of 1…m lost units of the stripe.
template <class Visit>
void every_loss(code_shape shape, Visit visit) {
  auto units = shape.data_units + shape.parity_units;
  for (std::uint32_t count = 1; count <= shape.parity_units; ++count) {
    std::vector<bool> is_lost(units);
    std::fill(is_lost.begin(), is_lost.begin() + count, true);
    do {
      std::vector<std::uint32_t> lost;
      std::vector<std::uint32_t> rest;
      for (std::uint32_t i = 0; i < units; ++i)
        (is_lost[i] ? lost : rest).push_back(i);
      visit(lost, rest);
    } while (std::prev_permutation(is_lost.begin(), is_lost.end()));
  }
}

/// All shapes that a layout can have: those of the table and rule, mirrors, and every short stripe.
std::set<std::pair<std::uint32_t, std::uint32_t>> layout_shapes() {
  std::set<std::pair<std::uint32_t, std::uint32_t>> out;
  for (auto level : all_protection_levels()) {
    auto m = shape_of(level).parity_units;
    std::uint32_t widest = shape_of(level).mirrored ? 1 : stripe_data_units_max;
    for (std::uint32_t n = 1; n <= widest; ++n)
      out.insert({n, m});
  }
  return out;
}

/// Multiplication in GF(2^8) by the schoolbook, polynomial 0x11d.
unsigned multiply(unsigned a, unsigned b) {
  unsigned out = 0;
  for (; b != 0; b >>= 1) {
    if (b & 1)
      out ^= a;
    a = a << 1 ^ (a & 0x80 ? 0x11d : 0);
  }
  return out;
}
unsigned inverse(unsigned a) {
  for (unsigned b = 1; b < 256; ++b)
    if (multiply(a, b) == 1)
      return b;
  return 0;
}

} // namespace

TEST_CASE("stripe_codec: every loss of every layout's shape is rebuilt", "[unit][stripe_codec]") {
  // Goal: any lost units, data or parity, up to m, come back from n others.
  // Method: all shapes 1+1 … 16+4 and mirrors, all patterns of 1…m lost units, an odd size; of the
  // survivors a different choice of n and a different order each time.
  std::uint64_t seed = 11;
  for (auto [n, m] : layout_shapes()) {
    code_shape shape{n, m};
    auto truth = stripe(shape, 37, n * 100 + m);
    bool all = true;
    std::vector<std::uint32_t> worst;
    every_loss(shape, [&](const auto& lost, auto rest) {
      std::rotate(rest.begin(), rest.begin() + static_cast<long>(next(seed) % rest.size()),
                  rest.end());
      rest.resize(shape.data_units);
      if (all && !rebuilds(shape, truth, rest, lost)) {
        all = false;
        worst = lost;
      }
    });
    INFO(n << "+" << m);
    CAPTURE(worst);
    CHECK(all);
  }
}

TEST_CASE("stripe_codec: every choice of survivors rebuilds a small stripe",
          "[unit][stripe_codec]") {
  code_shape shape{3, 3};
  auto truth = stripe(shape, 64, 5);
  every_loss(shape, [&](const auto& lost, const auto& rest) {
    std::vector<bool> use(rest.size());
    std::fill(use.begin(), use.begin() + 3, true);
    do {
      std::vector<std::uint32_t> from;
      for (std::size_t i = 0; i < rest.size(); ++i)
        if (use[i])
          from.push_back(rest[i]);
      CHECK(rebuilds(shape, truth, from, lost));
    } while (std::prev_permutation(use.begin(), use.end()));
  });
}

TEST_CASE("stripe_codec: wide stripes rebuild from random survivors", "[unit][stripe_codec]") {
  std::uint64_t seed = 3;
  for (auto shape : {code_shape{30, 10}, code_shape{100, 50}, code_shape{240, 15},
                     code_shape{254, 1}, code_shape{2, 253}, code_shape{1, 254}}) {
    auto truth = stripe(shape, 100, shape.data_units);
    for (int round = 0; round < 2; ++round) {
      std::vector<std::uint32_t> order(shape.data_units + shape.parity_units);
      for (std::uint32_t i = 0; i < order.size(); ++i)
        order[i] = i;
      for (auto i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[next(seed) % i]);
      std::vector<std::uint32_t> from{order.begin(), order.begin() + shape.data_units};
      std::vector<std::uint32_t> lost{order.begin() + shape.data_units, order.end()};
      INFO(shape.data_units << "+" << shape.parity_units << " round " << round);
      CHECK(rebuilds(shape, truth, from, lost));
    }
  }
}

TEST_CASE("stripe_codec: parity is the stated sum in GF(2^8)", "[unit][stripe_codec]") {
  for (auto shape : {code_shape{2, 1}, code_shape{8, 2}, code_shape{16, 4}, code_shape{5, 7}}) {
    auto units = stripe(shape, 50, 77);
    for (std::uint32_t p = 0; p < shape.parity_units; ++p)
      for (std::size_t at = 0; at < 50; ++at) {
        unsigned sum = 0;
        for (std::uint32_t i = 0; i < shape.data_units; ++i)
          sum ^= multiply(inverse((shape.data_units + p) ^ i), static_cast<unsigned>(units[i][at]));
        REQUIRE(static_cast<unsigned>(units[shape.data_units + p][at]) == sum);
      }
  }
}

TEST_CASE("stripe_codec: the golden parity of 4+2 never changes", "[unit][stripe_codec]") {
  std::vector<unit> units(6, unit(4));
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t k = 0; k < 4; ++k)
      units[i][k] = static_cast<std::byte>(16 * i + k + 1);
  std::vector<std::span<const std::byte>> data{units.begin(), units.begin() + 4};
  std::vector<std::span<std::byte>> parity{units.begin() + 4, units.end()};
  REQUIRE(encode_parity({4, 2}, data, parity));
  CHECK(units[4] == unit{std::byte{0xc8}, std::byte{0xa8}, std::byte{0x88}, std::byte{0x68}});
  CHECK(units[5] == unit{std::byte{0xf2}, std::byte{0x92}, std::byte{0xb2}, std::byte{0x52}});
}

TEST_CASE("stripe_codec: with one data unit parity is copies", "[unit][stripe_codec]") {
  CHECK(is_mirrored({1, 2}));
  CHECK_FALSE(is_mirrored({2, 2}));
  auto units = stripe({1, 7}, 8192, 9);
  for (std::size_t i = 1; i < 8; ++i)
    CHECK(units[i] == units[0]);
}

TEST_CASE("stripe_codec: a byte range is rebuilt from the same range of the others",
          "[unit][stripe_codec]") {
  code_shape shape{8, 2};
  auto truth = stripe(shape, 16384, 21);
  struct range {
    std::size_t begin;
    std::size_t size;
  };
  for (auto r : {range{0, 1}, range{1, 31}, range{8191, 2}, range{16383, 1}, range{100, 9001},
                 range{0, 16384}}) {
    std::vector<unit_source> have;
    for (std::uint32_t i : {0u, 2u, 3u, 4u, 6u, 7u, 8u, 9u})
      have.push_back({i, std::span{truth[i]}.subspan(r.begin, r.size)});
    unit one(r.size);
    unit five(r.size);
    unit_target want[] = {{1, one}, {5, five}};
    REQUIRE(rebuild_units(shape, have, want));
    CHECK(std::equal(one.begin(), one.end(), truth[1].begin() + static_cast<long>(r.begin)));
    CHECK(std::equal(five.begin(), five.end(), truth[5].begin() + static_cast<long>(r.begin)));
  }
}

TEST_CASE("stripe_codec: all sizes around vector widths are right", "[unit][stripe_codec]") {
  code_shape shape{5, 3};
  for (std::size_t size = 1; size <= 300; ++size) {
    auto truth = stripe(shape, size, size);
    INFO(size << " bytes");
    REQUIRE(rebuilds(shape, truth, {1, 3, 4, 6, 7}, {0, 2, 5}));
  }
}

TEST_CASE("stripe_codec: bytes around the targets are left alone", "[unit][stripe_codec]") {
  code_shape shape{4, 2};
  for (std::size_t size : {1u, 15u, 16u, 33u, 63u, 64u, 65u, 200u}) {
    auto truth = stripe(shape, size, size);
    unit guarded(size + 128, std::byte{0x5a});
    std::vector<unit_source> have;
    for (std::uint32_t i : {0u, 1u, 2u, 4u})
      have.push_back({i, truth[i]});
    unit_target want[] = {{3, std::span{guarded}.subspan(64, size)}};
    REQUIRE(rebuild_units(shape, have, want));
    CHECK(std::equal(truth[3].begin(), truth[3].end(), guarded.begin() + 64));
    CHECK(std::count(guarded.begin(), guarded.begin() + 64, std::byte{0x5a}) == 64);
    CHECK(std::count(guarded.end() - 64, guarded.end(), std::byte{0x5a}) == 64);
  }
}

TEST_CASE("stripe_codec: threads share the tables", "[unit][stripe_codec]") {
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (std::size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&wrong, t] {
      for (std::uint32_t n = 2; n <= 16; ++n) {
        code_shape shape{n, 3};
        auto units = random_units(n + 3, 64, n);
        std::vector<std::span<const std::byte>> data{units.begin(), units.begin() + n};
        std::vector<std::span<std::byte>> parity{units.begin() + n, units.end()};
        wrong[t] += encode_parity(shape, data, parity) ? 0 : 1;
        std::vector<std::uint32_t> from;
        for (std::uint32_t i = 3; i < n + 3; ++i)
          from.push_back(i);
        std::vector<std::uint32_t> lost{0, 1, 2};
        lost.resize(std::min<std::uint32_t>(n, 3));
        wrong[t] += rebuilds(shape, units, from, lost) ? 0 : 1;
      }
    });
  for (auto& x : threads)
    x.join();
  CHECK(wrong == std::vector<int>(4));
}

TEST_CASE("stripe_codec: bad calls are refused and nothing is written", "[unit][stripe_codec]") {
  auto units = random_units(6, 32, 1);
  auto before = units;
  std::vector<std::span<const std::byte>> data{units.begin(), units.begin() + 4};
  std::vector<std::span<std::byte>> parity{units.begin() + 4, units.end()};
  auto refused = [&](expected<void> got, const char* why) {
    INFO(why);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::invalid_argument);
    CHECK(got.error().context.find(why) != std::string::npos);
    CHECK(units == before);
  };
  refused(encode_parity({0, 2}, {}, parity), "not 1 to 255 units");
  refused(encode_parity({4, 0}, data, {}), "not 1 to 255 units");
  refused(encode_parity({254, 2}, data, parity), "not 1 to 255 units");
  refused(encode_parity({0xffffffff, 2}, data, parity), "not 1 to 255 units");
  refused(encode_parity({5, 2}, data, parity), "4 data and 2 parity units given");
  refused(encode_parity({4, 3}, data, parity), "4 data and 2 parity units given");
  auto shorter = data;
  shorter[2] = shorter[2].first(31);
  refused(encode_parity({4, 2}, shorter, parity), "unit 2 has 31 bytes, others have 32");
  auto longer = parity;
  longer[1] = longer[1].first(30);
  refused(encode_parity({4, 2}, data, longer), "unit 5 has 30 bytes, others have 32");
  for (auto& x : shorter)
    x = {};
  refused(encode_parity({4, 2}, shorter, parity), "units of 0 bytes");

  std::vector<unit_source> have{{0, units[0]}, {1, units[1]}, {2, units[2]}, {3, units[3]}};
  std::vector<unit_target> want{{4, units[4]}};
  refused(rebuild_units({4, 2}, {}, want), "units of 0 bytes");
  refused(rebuild_units({4, 2}, std::span{have}.first(3), want), "only 3 units at hand");
  refused(rebuild_units({4, 2}, have, {}), "nothing to rebuild");
  want[0].index = 3;
  refused(rebuild_units({4, 2}, have, want), "unit 3 is named twice");
  want[0].index = 6;
  refused(rebuild_units({4, 2}, have, want), "no unit 6");
  want[0].index = 4;
  have[1].index = 0;
  refused(rebuild_units({4, 2}, have, want), "unit 0 is named twice");
  have[1].index = 1;
  have[3].bytes = have[3].bytes.first(5);
  refused(rebuild_units({4, 2}, have, want), "unit 3 has 5 bytes, others have 32");
}
