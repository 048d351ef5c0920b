#pragma once

#include "messages/bytes.hpp"
#include "messages/error.hpp"
#include "storage/meta/table_types.hpp"

namespace troupe {

// One chunk of an exported table, on its way between nodes:
//
//   0   u32  magic "TRTC"
//   4   u16  version (1)
//   6   u16  0
//   8   u32  row count
//  12   rows: u32 key bytes, u32 value bytes, key, value; keys ascending
//  end  u32  CRC32C of everything before
//
// All numbers little-endian. Values must not be changed.
inline constexpr std::uint32_t table_chunk_magic = 0x43545254;
inline constexpr std::uint16_t table_chunk_version = 1;

byte_vector encode_table_chunk(const std::vector<table_row>& rows);
/// @returns errc::corrupt if the bytes are anything else, errc::wrong_version for another version.
expected<std::vector<table_row>> decode_table_chunk(byte_view bytes);

} // namespace troupe
