#include "storage/base/coding.hpp"
#include "storage/block/block_format.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace troupe;
using namespace troupe::block_format;

namespace {

std::string hex(byte_view bytes) {
  static const char* digits = "0123456789abcdef";
  std::string out;
  for (auto b : bytes) {
    out += digits[std::to_integer<unsigned>(b) >> 4];
    out += digits[std::to_integer<unsigned>(b) & 15];
  }
  return out;
}

bool zero(byte_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

superblock sample_superblock() {
  superblock x;
  for (std::uint8_t i = 0; i < 16; ++i) {
    x.cluster.bytes[i] = i;
    x.drive.bytes[i] = static_cast<std::uint8_t>(0xa0 + i);
  }
  x.node = node_id{7};
  x.geometry = *plan_geometry(8 * mib, 256 * kib);
  x.formatted = wall_time{1'700'000'000'000'000'000};
  x.media = media_class::flash;
  x.sed = sed_class::fips;
  return x;
}

byte_vector both(const superblock& x) {
  auto bytes = encode_superblock(x);
  auto copy = bytes;
  bytes.insert(bytes.end(), copy.begin(), copy.end());
  return bytes;
}

void flip(byte_vector& bytes, std::size_t at) {
  bytes[at] ^= std::byte{0x10};
}

} // namespace

TEST_CASE("block_format: the superblock has these bytes", "[unit][block_format]") {
  auto bytes = encode_superblock(sample_superblock());
  REQUIRE(bytes.size() == 4096);
  CHECK(hex(byte_view{bytes}.first(136))
        == "545250424c4f434b"
           "01000000"
           "00100000"
           "000102030405060708090a0b0c0d0e0f"
           "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
           "07000000"
           "00200000"
           "0000800000000000"
           "b803000000000000"
           "0020000000000000"
           "0000040000000000"
           "0020040000000000"
           "0020080000000000"
           "0030080000000000"
           "0000090000000000"
           "00002a36fe9c9717"
           "02"
           "02"
           "0000"
           "00000000");
  CHECK(zero(byte_view{bytes}.subspan(136, 4092 - 136)));
  CHECK(hex(byte_view{bytes}.last(4)) == "683ea0d4");
}

TEST_CASE("block_format: the superblock reads back, from either copy", "[unit][block_format]") {
  auto x = sample_superblock();
  auto bytes = both(x);
  for (std::size_t damaged : {std::size_t{8192}, std::size_t{0}, std::size_t{40}, std::size_t{4095},
                              std::size_t{4096}, std::size_t{5000}}) {
    auto read = bytes;
    if (damaged < read.size())
      flip(read, damaged);
    auto back = decode_superblock(read);
    REQUIRE(back);
    CHECK(back->cluster == x.cluster);
    CHECK(back->drive == x.drive);
    CHECK(back->node == x.node);
    CHECK(back->geometry == x.geometry);
    CHECK(back->formatted == x.formatted);
    CHECK(back->media == x.media);
    CHECK(back->sed == x.sed);
  }
}

TEST_CASE("block_format: a superblock that cannot be used is refused", "[unit][block_format]") {
  auto bytes = both(sample_superblock());
  SECTION("both copies damaged") {
    flip(bytes, 100);
    flip(bytes, 4096 + 100);
    CHECK(decode_superblock(bytes).error().code == errc::corrupt);
    CHECK(decode_superblock(bytes).error().id == trp::drive_damaged);
  }
  SECTION("nothing there") {
    CHECK(decode_superblock({}).error().code == errc::corrupt);
    CHECK(decode_superblock(byte_vector(8192)).error().code == errc::corrupt);
    CHECK(decode_superblock(byte_view{bytes}.first(4095)).error().code == errc::corrupt);
  }
  SECTION("a newer format") {
    for (auto at : {std::size_t{8}, std::size_t{4096 + 8}})
      store_le(bytes.data() + at, std::uint32_t{2});
    auto refused = decode_superblock(bytes);
    CHECK(refused.error().code == errc::wrong_version);
    CHECK(refused.error().id == trp::newer_format);
    flip(bytes, 0); // the first copy is unreadable: the second still says so
    CHECK(decode_superblock(bytes).error().code == errc::wrong_version);
  }
  SECTION("an impossible geometry under a right checksum") {
    auto x = sample_superblock();
    for (auto change : {0, 1, 2, 3}) {
      auto y = x;
      if (change == 0)
        y.geometry.block_count = 1ull << 60;
      if (change == 1)
        y.geometry.data_offset += 8192;
      if (change == 2)
        y.geometry.file_bytes -= 1 * mib;
      if (change == 3)
        y.geometry.log_bytes = 1ull << 63;
      CHECK(decode_superblock(both(y)).error().code == errc::corrupt);
    }
  }
}

TEST_CASE("block_format: regions do not overlap and fill the file", "[unit][block_format]") {
  for (std::uint64_t file_bytes : {3 * mib, 64 * mib, 1000 * mib, 4 * gib, 15'000 * gib}) {
    auto g = plan_geometry(file_bytes);
    REQUIRE(g);
    CHECK(g->log_offset == 8192);
    CHECK(g->shadow_offset == g->log_offset + g->log_bytes);
    CHECK(g->bitmap_offset == g->shadow_offset + 64 * 4096);
    CHECK(g->table_offset == g->bitmap_offset + g->group_count() * 4096);
    CHECK(g->data_offset >= g->table_offset + g->table_page_count() * 4096);
    CHECK(g->data_offset % 65536 == 0);
    CHECK(g->data_offset + g->block_count * block_bytes <= file_bytes);
    // Another block would not fit, up to what alignment and one more page of each kind take.
    CHECK(g->data_offset + g->block_count * block_bytes + 65536 + 3 * 8192 > file_bytes);
    CHECK(g->group_count() * group_blocks >= g->block_count);
  }
  CHECK(plan_geometry(1 * gib)->log_bytes == 4 * mib);
  CHECK(plan_geometry(3 * mib)->log_bytes == 1 * mib);
  CHECK(plan_geometry(1000 * gib)->log_bytes == 16 * mib);
  CHECK(plan_geometry(1 * mib).error().code == errc::invalid_argument);
  CHECK(plan_geometry(0).error().code == errc::invalid_argument);
  CHECK(plan_geometry(8 * mib, 5000).error().code == errc::invalid_argument);
  CHECK(plan_geometry(8 * mib, 16 * mib).error().code == errc::invalid_argument);
}

TEST_CASE("block_format: a log batch has these bytes", "[unit][block_format]") {
  byte_vector payload;
  write_key key{client_id{0x11}, incarnation{0x12}, write_id{0x13}};
  encode_record(stored_record{birth{5}, 0x600, lin{0x0007000000000009}, key, {0xaabbccdd, 1}},
                payload);
  encode_record(freed_record{birth{4}, 0x500, 16}, payload);
  encode_record(abandoned_record{key}, payload);
  batch_header header{.lsn = 0x5000,
                      .mount = incarnation{3},
                      .log_start = 0x4000,
                      .next_birth = birth{6},
                      .record_count = 3};
  auto bytes = encode_batch(header, 0x0807060504030201, payload);
  REQUIRE(bytes.size() == 4096);
  CHECK(hex(byte_view{bytes}.first(64 + 64 + 24 + 32))
        == "545250414c4c4f43"
           "0102030405060708"
           "0050000000000000"
           "0300000000000000"
           "0040000000000000"
           "0600000000000000"
           "78000000"
           "03000000"
           "00000000"
           "2d745602"
           "01000200"
           "00000000"
           "0500000000000000"
           "0006000000000000"
           "0900000000000700"
           "1100000000000000"
           "1200000000000000"
           "1300000000000000"
           "ddccbbaa"
           "01000000"
           "02001000"
           "00000000"
           "0400000000000000"
           "0005000000000000"
           "03000000"
           "00000000"
           "1100000000000000"
           "1200000000000000"
           "1300000000000000");
  CHECK(zero(byte_view{bytes}.subspan(184)));

  batch_header back;
  REQUIRE(decode_batch_header(bytes, 0x0807060504030201, back));
  CHECK(back.lsn == 0x5000);
  CHECK(back.mount == incarnation{3});
  CHECK(back.log_start == 0x4000);
  CHECK(back.next_birth == birth{6});
  CHECK(batch_is_whole(bytes, back));
  auto records = decode_records(byte_view{bytes}.subspan(64, back.payload_bytes), 3);
  REQUIRE(records);
  REQUIRE(records->size() == 3);
  const auto& stored = std::get<stored_record>((*records)[0]);
  CHECK(stored.born == birth{5});
  CHECK(stored.start_block == 0x600);
  CHECK(stored.owner == lin{0x0007000000000009});
  CHECK(stored.key == key);
  CHECK(stored.checksums == std::vector<std::uint32_t>{0xaabbccdd, 1});
  CHECK(std::get<freed_record>((*records)[1]).block_count == 16);
  CHECK(std::get<abandoned_record>((*records)[2]).key == key);
}

TEST_CASE("block_format: every flipped bit of a batch is noticed", "[unit][block_format]") {
  byte_vector payload;
  encode_record(freed_record{birth{4}, 5, 16}, payload);
  auto bytes = encode_batch({.lsn = 4096, .next_birth = birth{1}, .record_count = 1}, 77, payload);
  auto whole = batch_header_bytes + payload.size();
  for (std::size_t at = 0; at < whole; ++at)
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = bytes;
      damaged[at] ^= std::byte(1 << bit);
      batch_header header;
      CHECK_FALSE((decode_batch_header(damaged, 77, header) && batch_is_whole(damaged, header)));
    }
  batch_header header;
  CHECK_FALSE(decode_batch_header(bytes, 78, header)); // of another drive
  CHECK_FALSE(decode_batch_header(byte_view{bytes}.first(40), 77, header));
}

TEST_CASE("block_format: nonsense in a batch is refused", "[unit][block_format]") {
  byte_vector payload;
  encode_record(stored_record{birth{5}, 6, lin{7}, {}, {1, 2, 3}}, payload);
  CHECK(decode_records(payload, 1));
  CHECK(decode_records(payload, 2).error().code == errc::corrupt);
  CHECK(decode_records(payload, 0).error().code == errc::corrupt);
  for (std::size_t n = 0; n < payload.size(); ++n)
    CHECK(decode_records(byte_view{payload}.first(n), 1).error().code == errc::corrupt);
  auto wrong = payload;
  wrong[0] = std::byte{9};
  CHECK(decode_records(wrong, 1).error().code == errc::corrupt);
  store_le(wrong.data() + 2, std::uint16_t{257});
  wrong[0] = std::byte{1};
  CHECK(decode_records(wrong, 1).error().code == errc::corrupt);
}

TEST_CASE("block_format: a table page has these bytes", "[unit][block_format]") {
  byte_vector page(page_bytes);
  block_descriptor descriptor{birth{0x1122}, lin{0x0003000000000004}, 0xa1b2c3d4, 16, 15};
  store_descriptor(page, 0, descriptor);
  store_descriptor(page, 167, descriptor);
  seal_page(page, {page_kind::table, 0x99}, 0x0807060504030201, 0x7000);
  CHECK(hex(byte_view{page}.first(32))
        == "5452505441424c45"
           "0102030405060708"
           "9900000000000000"
           "0070000000000000");
  CHECK(zero(byte_view{page}.subspan(32, 28)));
  CHECK(hex(byte_view{page}.subspan(60, 28))
        == "5d162867"
           "2211000000000000"
           "0400000000000300"
           "d4c3b2a1"
           "1000"
           "0f00");
  CHECK(load_descriptor(page, 167) == descriptor);
  CHECK(load_descriptor(page, 1) == block_descriptor{});
  CHECK(zero(byte_view{page}.subspan(64 + 24, 166 * 24)));
}

TEST_CASE("block_format: a page is good only in its own place", "[unit][block_format]") {
  byte_vector page(page_bytes);
  std::uint64_t lsn = 0;
  CHECK(check_page(page, {page_kind::table, 4}, 1, lsn) == page_state::empty);
  seal_page(page, {page_kind::bitmap, 4}, 1, 8192);
  CHECK(hex(byte_view{page}.first(8))
        == "545250424954"
           "4d50");
  CHECK(check_page(page, {page_kind::bitmap, 4}, 1, lsn) == page_state::good);
  CHECK(lsn == 8192);
  CHECK(check_page(page, {page_kind::bitmap, 5}, 1, lsn) == page_state::bad);
  CHECK(check_page(page, {page_kind::table, 4}, 1, lsn) == page_state::bad);
  CHECK(check_page(page, {page_kind::bitmap, 4}, 2, lsn) == page_state::bad);
  page_id id;
  REQUIRE(identify_page(page, 1, id, lsn));
  CHECK(id == page_id{page_kind::bitmap, 4});
  for (std::size_t at = 0; at < page.size(); at += 13) {
    auto damaged = page;
    flip(damaged, at);
    if (damaged != page)
      CHECK(check_page(damaged, {page_kind::bitmap, 4}, 1, lsn) == page_state::bad);
  }
}
