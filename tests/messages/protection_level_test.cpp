#include "messages/protection_level.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

TEST_CASE("protection_level: prints and reads all sixteen levels", "[unit][protection_level]") {
  std::string all;
  for (auto level : all_protection_levels()) {
    all += to_string(level) + " ";
    auto again = parse_protection_level(to_string(level));
    REQUIRE(again);
    CHECK(*again == level);
    CHECK(is_protection_level(static_cast<std::uint8_t>(level)));
  }
  CHECK(all == "+1n +2d:1n +2n +3d:1n +3d:1n1d +3n +4d:1n +4d:2n +4n 2x 3x 4x 5x 6x 7x 8x ");
}

TEST_CASE("protection_level: the stored numbers never change", "[unit][protection_level]") {
  CHECK(static_cast<int>(protection_level::plus_1n) == 1);
  CHECK(static_cast<int>(protection_level::plus_2d_1n) == 2);
  CHECK(static_cast<int>(protection_level::plus_2n) == 3);
  CHECK(static_cast<int>(protection_level::plus_3d_1n) == 4);
  CHECK(static_cast<int>(protection_level::plus_3d_1n1d) == 5);
  CHECK(static_cast<int>(protection_level::plus_3n) == 6);
  CHECK(static_cast<int>(protection_level::plus_4d_1n) == 7);
  CHECK(static_cast<int>(protection_level::plus_4d_2n) == 8);
  CHECK(static_cast<int>(protection_level::plus_4n) == 9);
  CHECK(static_cast<int>(protection_level::mirror_2x) == 12);
  CHECK(static_cast<int>(protection_level::mirror_8x) == 18);
  int valid = 0;
  for (int i = 0; i < 256; ++i)
    valid += is_protection_level(static_cast<std::uint8_t>(i)) ? 1 : 0;
  CHECK(valid == 16);
}

TEST_CASE("protection_level: other words are refused with the list", "[unit][protection_level]") {
  for (auto text : {"", "+", "+5n", "+2d", "2d:1n", "+2D:1N", "1x", "9x", "+1n ", " +1n", "+2d:1n1",
                    "+3d:1n1d1", "default"}) {
    auto level = parse_protection_level(text);
    INFO(text);
    REQUIRE_FALSE(level);
    CHECK(level.error().code == errc::invalid_argument);
    CHECK(level.error().context.find('"' + std::string{text} + '"') != std::string::npos);
    CHECK(level.error().context.find("+3d:1n1d") != std::string::npos);
  }
}
