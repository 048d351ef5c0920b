#include "messages/units.hpp"
#include "storage/codec/unit_checksum.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

namespace {

/// CRC32C bit by bit, from its definition (RFC 3720).
std::uint32_t slow_crc32c(byte_view bytes) {
  std::uint32_t crc = ~0u;
  for (auto b : bytes) {
    crc ^= static_cast<std::uint32_t>(b);
    for (int i = 0; i < 8; ++i)
      crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

byte_vector pattern(std::size_t size) {
  byte_vector out(size);
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<std::byte>(i * 7 + i / 251);
  return out;
}

} // namespace

TEST_CASE("unit_checksum: one CRC32C per block", "[unit][unit_checksum]") {
  auto bytes = pattern(3 * block_bytes + 100);
  auto list = block_checksums(bytes);
  REQUIRE(list.size() == 4);
  byte_view all{bytes};
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(list[i] == slow_crc32c(all.subspan(i * block_bytes, block_bytes)));
  CHECK(list[3] == slow_crc32c(all.subspan(3 * block_bytes)));
  CHECK(block_checksums({}).empty());
}

TEST_CASE("unit_checksum: covers the list as little-endian words", "[unit][unit_checksum]") {
  std::uint32_t list[] = {0x01020304, 0xfffefdfc};
  byte_vector words;
  for (int x : {4, 3, 2, 1, 0xfc, 0xfd, 0xfe, 0xff})
    words.push_back(static_cast<std::byte>(x));
  CHECK(unit_checksum(list) == slow_crc32c(words));
  CHECK(unit_checksum({}) == 0);
}

TEST_CASE("unit_checksum: every changed, missing or swapped block is seen",
          "[unit][unit_checksum]") {
  auto bytes = pattern(4 * block_bytes);
  auto list = block_checksums(bytes);
  auto sum = unit_checksum(list);
  CHECK_FALSE(first_bad_block(bytes, list));
  for (std::size_t at : {0u, 8191u, 8192u, 20000u, 32767u}) {
    auto bad = bytes;
    bad[at] ^= std::byte{0x10};
    CHECK(first_bad_block(bad, list) == static_cast<std::uint32_t>(at / block_bytes));
    CHECK(unit_checksum(block_checksums(bad)) != sum);
  }
  CHECK(first_bad_block(byte_view{bytes}.first(2 * block_bytes), list) == 2u);
  CHECK(first_bad_block(bytes, std::span{list}.first(3)) == 3u);
  auto swapped = list;
  std::swap(swapped[0], swapped[1]);
  CHECK(unit_checksum(swapped) != sum); // blocks that are right, in the wrong place
}
