#include "storage/journal/journal_format.hpp"
#include "tests/storage/journal/journal_harness.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace troupe;
using namespace troupe::test;

namespace {

std::string hex(byte_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (auto b : bytes) {
    out += digits[static_cast<unsigned>(b) >> 4];
    out += digits[static_cast<unsigned>(b) & 15];
  }
  return out;
}

segment_state some_state() {
  segment_state x;
  x.removed_floor = 3;
  x.removed = {replica_id{5}, replica_id{9}};
  replica_head head;
  head.group = group_id{2};
  head.term = 7;
  head.vote = replica_id{6};
  head.last_index = 20;
  head.checkpoint = checkpoint_at(16, 6, 4);
  head.checkpoint.configuration.members.push_back({replica_id{6}, member_role::learner});
  x.replicas[replica_id{1}] = head;
  return x;
}

std::vector<journal_record> one_of_each() {
  replica_id r{0x0102030405060708};
  return {{r, replica_created{group_id{17}, checkpoint_at(2, 1)}},
          {r, term_vote_record{0x1112, replica_id{0x21}}},
          {r, journal_entry{3, {5, entry_kind::command, shared_bytes{std::string{"hello"}}}}},
          {r, journal_entry{4, {5, entry_kind::barrier, {}}}},
          {r, truncate_record{4}},
          {r, checkpoint_record{checkpoint_at(3, 5, 1)}},
          {r, install_record{checkpoint_at(100, 6, 2)}},
          {r, replica_removed{}},
          {r, rewritten_entry{3, {5, entry_kind::command, shared_bytes{std::string{"hello"}}}}}};
}

byte_vector some_batch() {
  byte_vector image(batch_header_bytes);
  encode_record(some_state(), image);
  for (const auto& record : one_of_each())
    encode_record(record, image);
  batch_header header;
  header.number = 0x0a0b;
  header.first_lsn = 0x0c0d;
  header.incarnation = 0x31;
  header.replay_from = 0x0909;
  header.record_count = 9;
  header.previous_crc = 0xdeadbeef;
  header.begins_segment = true;
  seal_batch(image, header, test_drive());
  return image;
}

} // namespace

TEST_CASE("journal_format: the superblock's bytes never change", "[unit][journal_format]") {
  journal_superblock x;
  x.owner = test_drive();
  x.segment_bytes = 8 * mib;
  x.segment_count = 16;
  auto page = encode_superblock(x);
  CHECK(page.size() == journal_page_bytes);
  CHECK(hex(byte_view{page}.first(64))
        == "5452504a524e414ce7eeb2a5020000000102030405060708090a0b0c0d0e0f100000800000000000"
           "100000000000000000000000000000000000000000000000");
  CHECK(std::all_of(page.begin() + 64, page.end(), [](std::byte b) { return b == std::byte{0}; }));
  auto back = decode_superblock(page);
  REQUIRE(back);
  CHECK(back->owner == x.owner);
  CHECK(back->segment_bytes == x.segment_bytes);
  CHECK(back->segment_count == x.segment_count);
  CHECK(back->format == 2);

  x.format = 1; // what older programs wrote
  page = encode_superblock(x);
  CHECK(hex(byte_view{page}.first(64))
        == "5452504a524e414cf3b50430010000000102030405060708090a0b0c0d0e0f100000800000000000"
           "100000000000000000000000000000000000000000000000");
  back = decode_superblock(page);
  REQUIRE(back);
  CHECK(back->format == 1);
  for (std::uint32_t unknown : {0u, 3u}) {
    x.format = unknown;
    CHECK(decode_superblock(encode_superblock(x)).error().code == errc::wrong_version);
  }
}

TEST_CASE("journal_format: the bytes of a batch with every kind of record never change",
          "[unit][journal_format]") {
  auto image = some_batch();
  CHECK(image.size() == journal_page_bytes);
  auto header = read_batch_header(image, test_drive());
  REQUIRE(header);
  auto used = byte_view{image}.first(batch_header_bytes + header->payload_bytes);
  CHECK(hex(used.first(batch_header_bytes))
        == "544a424878901de20b0a0000000000000d0c00000000000031000000000000000909000000000000"
           "d401000009000000fabe120fefbeadde0100000000000000");
  CHECK(hex(used.subspan(batch_header_bytes))
        == "7a000000010300000000000000020000000500000000000000090000000000000001000000010000"
           "00000000000200000007000000000000000600000000000000140000000000000010000000000000"
           "00060000000000000008000000000000000400000000000000020000000100000000000000010600"
           "00000000000000390000000208070605040302011100000002000000000000000100000000000000"
           "01000000000000000000000000000000010000000100000000000000011800000004080706050403"
           "0201121100000000000021000000000000001e000000050807060504030201030000000000000005"
           "000000000000000168656c6c6f190000000508070605040302010400000000000000050000000000"
           "00000210000000060807060504030201040000000000000035000000070807060504030201030000"
           "00000000000500000000000000010000000000000001000000000000000100000001000000000000"
           "00013500000008080706050403020164000000000000000600000000000000320000000000000002"
           "000000000000000100000001000000000000000108000000030807060504030201"
           // from format 2 on
           "1e0000000908070605040302010300000000000000050000000000000001"
           "68656c6c6f");
}

TEST_CASE("journal_format: records come back as they were", "[unit][journal_format]") {
  auto image = some_batch();
  auto header = read_batch_header(image, test_drive());
  REQUIRE(header);
  CHECK(header->number == 0x0a0b);
  CHECK(header->first_lsn == 0x0c0d);
  CHECK(header->incarnation == 0x31);
  CHECK(header->replay_from == 0x0909);
  CHECK(header->record_count == 9);
  CHECK(header->previous_crc == 0xdeadbeef);
  CHECK(header->begins_segment);
  auto payload = byte_view{image}.subspan(batch_header_bytes, header->payload_bytes);
  CHECK(payload_matches(*header, payload, test_drive()));
  record_reader reader{payload};
  auto state = reader.next();
  REQUIRE(state);
  CHECK(std::get<segment_state>(*state) == some_state());
  byte_vector again;
  for (const auto& record : one_of_each()) {
    auto next = reader.next();
    REQUIRE(next);
    const auto& read = std::get<journal_record>(*next);
    CHECK(read.replica == record.replica);
    CHECK(read.what.index() == record.what.index());
    byte_vector was;
    byte_vector is;
    encode_record(record, was);
    encode_record(read, is);
    CHECK(was == is);
    CHECK(was.size() == record_bytes(record));
  }
  CHECK(reader.at_end());
}

TEST_CASE("journal_format: a superblock that is not one is refused", "[unit][journal_format]") {
  auto page = encode_superblock({test_drive(), 8 * mib, 16});
  auto with = [&](std::size_t at, std::uint8_t mask) {
    auto copy = page;
    copy[at] ^= std::byte{mask};
    return copy;
  };
  for (std::size_t at : {0u, 9u, 13u, 20u, 40u, 63u, 64u, 4095u})
    CHECK(decode_superblock(with(at, 0x10)).error().code == errc::corrupt);
  CHECK(decode_superblock({}).error().code == errc::corrupt);
  CHECK(decode_superblock(byte_view{page}.first(100)).error().code == errc::corrupt);
}

TEST_CASE("journal_format: no bit of a batch can change unseen", "[unit][journal_format]") {
  auto image = some_batch();
  auto bytes = batch_header_bytes + read_batch_header(image, test_drive())->payload_bytes;
  for (std::size_t at = 0; at < bytes; ++at) {
    auto copy = image;
    copy[at] ^= std::byte{1} << (at % 8);
    auto header = read_batch_header(copy, test_drive());
    auto valid =
      header
      && payload_matches(
        *header, byte_view{copy}.subspan(batch_header_bytes, header->payload_bytes), test_drive());
    CHECK_FALSE(valid);
  }
}

TEST_CASE("journal_format: a batch of another drive is not one of ours", "[unit][journal_format]") {
  auto image = some_batch();
  drive_uuid other = test_drive();
  other.bytes[15] ^= 1;
  CHECK_FALSE(read_batch_header(image, other));
}

TEST_CASE("journal_format: garbage is refused, whatever it is", "[unit][journal_format]") {
  std::mt19937_64 random{5};
  byte_vector good;
  encode_record(some_state(), good);
  for (const auto& record : one_of_each())
    encode_record(record, good);
  for (int round = 0; round < 20000; ++round) {
    auto bytes = good;
    for (auto changes = random() % 4 + 1; changes > 0; --changes)
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    bytes.resize(random() % (bytes.size() + 1));
    record_reader reader{bytes};
    std::size_t count = 0;
    while (!reader.at_end() && count++ < 100)
      if (!reader.next())
        break; // an error or a record: both fine, no crash and no endless loop
    CHECK(count < 100);
  }
}
