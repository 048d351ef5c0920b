#include "storage/meta/data_format.hpp"
#include "storage/meta/inode_format.hpp"
#include "storage/meta/name_format.hpp"
#include "storage/meta/partition_format.hpp"
#include "storage/meta/session_format.hpp"
#include "tests/storage/meta/hex.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

namespace {

/// The bytes are the golden ones (made by another program from the documented layout), they are
/// read back, and no cut, extension or other format number is taken for a row.
template <class Row>
void check_format(const Row& row, const std::string& golden,
                  expected<Row> (*decode)(std::string_view), bool open_ended = false) {
  auto bytes = encode(row);
  CHECK(test::to_hex(bytes) == golden);
  auto back = decode(bytes);
  REQUIRE(back);
  CHECK(*back == row);
  auto fixed = open_ended ? versioned_header_bytes : bytes.size();
  for (std::size_t i = 0; i < fixed; ++i)
    CHECK(decode(std::string_view{bytes}.substr(0, i)).error().code == errc::corrupt);
  if (!open_ended)
    CHECK(decode(bytes + '\0').error().code == errc::corrupt);
  bytes[0] = 0;
  CHECK(decode(bytes).error().code == errc::corrupt);
  bytes[0] = 2;
  CHECK(decode(bytes).error().code == errc::wrong_version);
}

lin id_of(std::uint64_t slot, std::uint64_t sequence) {
  return lin{slot << 48 | sequence};
}

} // namespace

TEST_CASE("row_formats: inodes", "[unit][row_formats]") {
  inode_row x;
  x.written = snapshot_epoch{5};
  x.kind = file_kind::regular;
  x.flags = inode_flag::removing;
  x.mode = 04755;
  x.uid = 1000;
  x.gid = 100;
  x.link_count = 3;
  x.size = 123456;
  x.physical_blocks = 260;
  x.device = 0x103;
  x.access_time = {-1};
  x.modify_time = {2};
  x.change_time = {3};
  x.birth_time = {4};
  x.change_count = 9;
  x.parent = id_of(1, 2);
  x.entry_count = 7;
  check_format(
    x,
    "0105000000000000000102ed09e8030000640000000300000040e20100000000000401000000000000"
    "0301000000000000ffffffffffffffff0200000000000000030000000000000004000000000000000900"
    "00000000000002000000000001000700000000000000",
    decode_inode);
  x.trimmed = {8192, 81920, snapshot_epoch{4}};
  check_format(
    x,
    "0105000000000000000182ed09e8030000640000000300000040e20100000000000401000000000000"
    "0301000000000000ffffffffffffffff0200000000000000030000000000000004000000000000000900"
    "00000000000002000000000001000700000000000000002000000000000000400100000000000400000000"
    "000000",
    decode_inode);
  CHECK(written_epoch_of(encode(x)) == snapshot_epoch{5});
  CHECK(written_epoch_of("12345678") == snapshot_epoch{});
  auto bytes = encode(x);
  bytes[9] = 0; // no kind
  CHECK(decode_inode(bytes).error().code == errc::corrupt);
  bytes[9] = 8;
  CHECK(decode_inode(bytes).error().code == errc::corrupt);
}

TEST_CASE("row_formats: entries and parent links", "[unit][row_formats]") {
  check_format(entry_row{snapshot_epoch{5}, id_of(1, 2), file_kind::directory, 3},
               "01050000000000000002000000000001000203", decode_entry);
  check_format(parent_row{snapshot_epoch{5}}, "010500000000000000", decode_parent);
}

TEST_CASE("row_formats: data", "[unit][row_formats]") {
  check_format(inline_row{snapshot_epoch{5}, "hello"}, "01050000000000000068656c6c6f",
               decode_inline, true);
  check_format(extent_row{snapshot_epoch{5}, 8192, stripe_id{id_of(1, 9).value}, 16384},
               "010500000000000000002000000000000009000000000001000040000000000000", decode_extent);
  stripe_row stripe{lin{2}, 3, 4, 3, {{1, 1, 1}, 16, 6, true, {}}};
  drive_uuid one;
  one.bytes[15] = 1;
  drive_uuid two;
  two.bytes[15] = 2;
  stripe.layout.units = {{{one, 100, 16, birth{11}}, 0xaabbccdd}, {{two, 200, 16, birth{12}}, 1}};
  check_format(
    stripe,
    "01020000000000000003000000000000000400000003000000010101060110000000020000000000000000"
    "00000000000000000164000000000000000b00000000000000ddccbbaa0000000000000000000000000000"
    "0002c8000000000000000c0000000000000001000000",
    decode_stripe);
  CHECK(physical_blocks_of(stripe.layout) == 32);
  check_format(at_risk_row{lin{2}, 6}, "01020000000000000006", decode_at_risk);
}

TEST_CASE("row_formats: the partition's own rows", "[unit][row_formats]") {
  check_format(slot_row{10, 11, 12, 13, 14},
               "010a000000000000000b000000000000000c000000000000000d000000000000000e00000000000000",
               decode_slot);
  check_format(orphan_row{client_id{7}, incarnation{8}, snapshot_epoch{9}, wall_time{-2}},
               "01070000000000000008000000000000000900000000000000feffffffffffffff", decode_orphan);
  check_format(trim_row{}, "01", decode_trim);
  check_format(
    pending_free_row{{{100, 16, birth{11}}, {200, 1, birth{12}}}},
    "01020000006400000000000000100000000b00000000000000c800000000000000010000000c0000000000"
    "0000",
    decode_pending_free);
  check_format(drive_frees_row{5, 6, true}, "010500000000000000060000000000000001",
               decode_drive_frees);
  check_format(floor_row{77}, "014d00000000000000", decode_floor);
}

TEST_CASE("row_formats: sessions", "[unit][row_formats]") {
  check_format(here_row{incarnation{3}, true, wall_time{55}},
               "010300000000000000023700000000000000", decode_here);
  session_row session{incarnation{3}, 10, {}};
  session.results[11] = stored_refusal{errc::not_found, error_id{1012}};
  session.results[12] = stored_done{};
  session.results[13] = stored_entry{id_of(1, 2), file_kind::directory};
  session.results[14] = stored_attributes{lin{2}};
  session.results[15] = stored_commit{lin{2}, stripe_id{id_of(1, 5).value}, 3};
  check_format(
    session,
    "0103000000000000000a0000000000000005000b000000000000000002f4030c00000000000000010d0000"
    "0000000000020200000000000100020e000000000000000302000000000000000f00000000000000040200"
    "000000000000050000000000010003000000",
    decode_session);
}
