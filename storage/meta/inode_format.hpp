#pragma once

#include "messages/error.hpp"
#include "messages/metadata.hpp"

#include <string>
#include <string_view>

namespace troupe {

// Rows with versions begin alike, so that a version can be chosen without knowing the record:
//
//   0  u8   format of this record
//   1  u64  written: the snapshot epoch of the last logical change
//
// All numbers are little-endian.

inline constexpr std::size_t versioned_header_bytes = 9;
/// The written epoch of a row of a versioned table; 0 if it is too short to have one.
snapshot_epoch written_epoch_of(std::string_view value);

/// Bits of `inode_row::flags`. Stored: never change.
namespace inode_flag {
inline constexpr std::uint8_t detached = 1; ///< Made for an entry elsewhere that may never come.
inline constexpr std::uint8_t removing = 2; ///< An empty directory that takes no new entries.
} // namespace inode_flag

/// Extents that a big truncate cut off and the cleaner has not removed yet: they are not part of
/// the file, whatever lies before `begin` or from `end` on is (hazards F32).
struct trimmed_range {
  std::uint64_t begin = 0; ///< A multiple of 8 KiB.
  std::uint64_t end = 0;   ///< Exclusive; > begin.
  snapshot_epoch cut;      ///< When it was cut: later snapshots do not want these extents.
  bool operator==(const trimmed_range&) const = default;
};

/// An inode as stored. `v1`, at the offset given:
///
///   9   u8   kind            10  u8   flags: inode_flag, 0x80 a trimmed range follows
///   11  u16  mode            13  u32  uid       17  u32  gid      21  u32  link_count
///   25  u64  size            33  u64  physical_blocks             41  u64  device
///   49  i64  access_time     57  i64  modify_time   65  i64  change_time   73  i64  birth_time
///   81  u64  change_count    89  u64  parent    97  u64  entry_count
///   105 u64  trimmed begin   113 u64  end       121 u64  cut      only with flag 0x80
struct inode_row {
  snapshot_epoch written;
  file_kind kind = file_kind::none;
  std::uint8_t flags = 0;
  std::uint16_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t link_count = 0;      ///< Of a directory: 2 + its subdirectories.
  std::uint64_t size = 0;            ///< Of a directory: 0, see `entry_count`.
  std::uint64_t physical_blocks = 0; ///< Of the stripes that the live file refers to.
  std::uint64_t device = 0;
  wall_time access_time;
  wall_time modify_time;
  wall_time change_time;
  wall_time birth_time;
  std::uint64_t change_count = 0;
  lin parent; ///< Of a directory.
  std::uint64_t entry_count = 0;
  std::optional<trimmed_range> trimmed;
  bool operator==(const inode_row&) const = default;

  bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
};
std::string encode(const inode_row& x);
/// errc::corrupt if the bytes are no inode, errc::wrong_version if a newer program wrote them.
/// So for every `decode_` of this folder.
expected<inode_row> decode_inode(std::string_view value);

/// What `stat` shows of it. A directory's size is the number of its entries.
inode_attributes attributes_of(lin id, const inode_row& x);

} // namespace troupe
