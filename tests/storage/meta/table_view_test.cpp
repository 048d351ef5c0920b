#include "storage/base/random.hpp"
#include "storage/meta/row_cache.hpp"
#include "storage/meta/table_chunk_format.hpp"
#include "storage/meta/table_view.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace troupe;

namespace {

/// A view over a plain map that knows everything, in small pages.
class map_view final : public table_view {
public:
  std::map<std::string, std::string, std::less<>> rows;
  row_lookup get(std::string_view key) const override {
    auto at = rows.find(key);
    if (at == rows.end())
      return {row_state::absent, {}};
    return {row_state::found, at->second};
  }
  range_lookup scan(const table_range& range) const override {
    range_lookup out;
    std::vector<table_row> all;
    for (const auto& [key, value] : rows)
      if (key >= range.begin && key < range.end)
        all.push_back({key, value});
    if (range.reverse)
      std::reverse(all.begin(), all.end());
    out.more = all.size() > range.rows_max;
    if (out.more)
      all.resize(range.rows_max);
    out.rows = std::move(all);
    return out;
  }
};

std::string random_key(random_source& random) {
  std::string key;
  for (auto n = random.below(3); n-- > 0;)
    key.push_back(
      static_cast<char>(random.below(2) == 0 ? random.below(4) : 252 + random.below(4)));
  return key;
}

} // namespace

TEST_CASE("table_view: the end of a prefix is behind everything that begins with it",
          "[unit][table_view]") {
  CHECK(prefix_end("ab") == "ac");
  CHECK(prefix_end(std::string{"a\xff"}) == "b");
  CHECK(prefix_end("\xff\xff").empty());
  CHECK(prefix_end("").empty());
}

TEST_CASE("overlay_view: shows its changes over the base, in both directions",
          "[unit][table_view]") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    random_source random{seed};
    map_view base;
    for (auto n = random.below(20); n-- > 0;)
      base.rows[random_key(random)] = "base";
    overlay_view overlay{base};
    auto expect = base;
    for (auto n = random.below(20); n-- > 0;) {
      auto key = random_key(random);
      if (random.one_in(2)) {
        overlay.add({{key, "mine"}});
        expect.rows[key] = "mine";
      } else {
        overlay.add({{key, std::nullopt}});
        expect.rows.erase(key);
      }
    }
    for (int i = 0; i < 30; ++i) {
      table_range range{random_key(random), random_key(random),
                        static_cast<std::uint32_t>(1 + random.below(6)), random.one_in(2)};
      auto got = overlay.scan(range);
      REQUIRE_FALSE(got.missing);
      auto right = expect.scan(range);
      CHECK(got.rows == right.rows);
      if (right.more)
        CHECK(got.more);
      auto key = random_key(random);
      CHECK(overlay.get(key).state == expect.get(key).state);
      CHECK(overlay.get(key).value == expect.get(key).value);
    }
  }
}

TEST_CASE("overlay_view: hands on what the base does not know", "[unit][table_view]") {
  row_cache cache{1 << 20};
  class cache_view final : public table_view {
  public:
    explicit cache_view(const row_cache& x) : cache_(x) {}
    row_lookup get(std::string_view key) const override { return cache_.get(table_id{1}, key); }
    range_lookup scan(const table_range& range) const override {
      return cache_.scan(table_id{1}, range);
    }

  private:
    const row_cache& cache_;
  } base{cache};
  overlay_view overlay{base};
  overlay.add({{"b", "mine"}});
  CHECK(overlay.get("a").state == row_state::unknown);
  CHECK(overlay.get("b").state == row_state::found);
  auto range = overlay.scan({"a", "z", 10, false});
  REQUIRE(range.missing);
  CHECK(*range.missing == table_range{"a", "z", 10, false});
  cache.learn_range(table_id{1}, "a", "z", {{"c", "base"}});
  range = overlay.scan({"a", "z", 10, false});
  CHECK_FALSE(range.missing);
  CHECK(range.rows == std::vector<table_row>{{"b", "mine"}, {"c", "base"}});
}

TEST_CASE("row_cache: never tells anything but the newest state, whatever is evicted",
          "[unit][row_cache]") {
  // Goal: every answer other than "unknown" equals a plain map. Method: random puts, releases,
  // loads from the map as it was at the last release, and a bound that evicts most of it.
  std::uint64_t known = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    random_source random{seed};
    row_cache cache{random.below(4000)};
    table_id table{seed % 3};
    map_view model;
    map_view engine;
    std::uint64_t sequence = 0;
    for (int i = 0; i < 300; ++i) {
      switch (random.below(6)) {
      case 0: {
        table_change change{random_key(random), std::nullopt};
        if (random.one_in(2))
          change.value = std::to_string(sequence);
        cache.put(table, change, ++sequence);
        if (change.value)
          model.rows[change.key] = *change.value;
        else
          model.rows.erase(change.key);
        break;
      }
      case 1:
        engine.rows = model.rows;
        cache.release(sequence);
        cache.trim();
        CHECK(cache.held_bytes() == 0);
        break;
      case 2: {
        auto key = random_key(random);
        auto row = engine.get(key);
        cache.learn(table, key,
                    row.state == row_state::found ? std::optional{row.value} : std::nullopt);
        break;
      }
      case 3: {
        auto begin = random_key(random);
        auto end = random_key(random);
        cache.learn_range(table, begin, end, engine.scan({begin, end, 1000, false}).rows);
        break;
      }
      default: {
        auto key = random_key(random);
        auto row = cache.get(table, key);
        if (row.state != row_state::unknown) {
          ++known;
          CHECK(row.state == model.get(key).state);
          CHECK(row.value == model.get(key).value);
        }
        table_range range{random_key(random), random_key(random),
                          static_cast<std::uint32_t>(1 + random.below(5)), random.one_in(2)};
        auto found = cache.scan(table, range);
        if (!found.missing) {
          ++known;
          CHECK(found.rows == model.scan(range).rows);
        }
      }
      }
    }
    cache.erase(table);
    CHECK(cache.bytes() == 0);
  }
  CHECK(known > 1000);
}

TEST_CASE("row_cache: what a range load brought answers the range and its parts",
          "[unit][row_cache]") {
  row_cache cache{1 << 20};
  table_id table{1};
  cache.learn_range(table, "b", "m", {{"c", "1"}, {"f", "2"}});
  CHECK(cache.get(table, "b").state == row_state::absent);
  CHECK(cache.get(table, "d").state == row_state::absent);
  CHECK(cache.get(table, "a").state == row_state::unknown);
  CHECK(cache.get(table, "m").state == row_state::unknown);
  CHECK(cache.scan(table, {"b", "m", 9, true}).rows
        == std::vector<table_row>{{"f", "2"}, {"c", "1"}});
  cache.put(table, {"e", "3"}, 1);
  CHECK(cache.scan(table, {"d", "g", 9, false}).rows
        == std::vector<table_row>{{"e", "3"}, {"f", "2"}});
  auto beyond = cache.scan(table, {"d", "z", 9, false});
  REQUIRE(beyond.missing);
  CHECK(beyond.missing->begin == "m");
  CHECK(beyond.missing->rows_max == 7);
}

TEST_CASE("table_chunk_format: golden bytes", "[unit][table_chunk_format]") {
  auto bytes = encode_table_chunk({{"k", "vv"}});
  const unsigned char golden[] = {'T', 'R', 'T', 'C', 1, 0, 0, 0, 1,   0,   0,  0,
                                  1,   0,   0,   0,   2, 0, 0, 0, 'k', 'v', 'v'};
  REQUIRE(bytes.size() == sizeof(golden) + 4);
  CHECK(std::equal(std::begin(golden), std::end(golden), bytes.begin(),
                   [](unsigned char a, std::byte b) { return std::byte{a} == b; }));
  auto back = decode_table_chunk(bytes);
  REQUIRE(back);
  CHECK(*back == std::vector<table_row>{{"k", "vv"}});
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto bad = bytes;
    bad[i] ^= std::byte{1};
    CHECK_FALSE(decode_table_chunk(bad));
    CHECK_FALSE(decode_table_chunk(byte_view{bytes}.first(i)));
  }
}
