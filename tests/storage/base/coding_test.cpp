#include "storage/base/coding.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

TEST_CASE("coding: numbers are little-endian", "[unit][coding]") {
  byte_vector out;
  byte_writer{out}.put(std::uint32_t{0x01020304}).put(std::uint16_t{0xa0b0});
  CHECK(out
        == byte_vector{std::byte{4}, std::byte{3}, std::byte{2}, std::byte{1}, std::byte{0xb0},
                       std::byte{0xa0}});
}

TEST_CASE("coding: reading past the end is remembered", "[unit][coding]") {
  byte_vector out;
  byte_writer{out}.put_text("abc").put_i64(-7);
  byte_reader in{out};
  CHECK(in.get_text() == "abc");
  CHECK(in.get_i64() == -7);
  CHECK(in.done());
  CHECK(in.get<std::uint8_t>() == 0);
  CHECK_FALSE(in.ok());
}

TEST_CASE("coding: a length beyond the input gives nothing", "[unit][coding]") {
  byte_vector out;
  byte_writer{out}.put(std::uint32_t{1000}).put(std::uint8_t{1});
  byte_reader in{out};
  CHECK(in.get_bytes().empty());
  CHECK_FALSE(in.ok());
}
