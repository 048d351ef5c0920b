#pragma once

#include "messages/drive.hpp"
#include "messages/units.hpp"

#include <cstddef>
#include <span>
#include <variant>
#include <vector>

/// What lies in the block file of one drive. All numbers little-endian.
///
///     0        8 KiB       log_offset   shadow_offset  bitmap_offset  table_offset  data_offset
///     ┌──────────┬────────────┬──────────────┬──────────────┬─────────────┬──────────────┐
///     │superblock│ allocation │ shadow slots │ bitmap pages │ table pages │ data blocks  │
///     │ twice    │ log, ring  │ (torn pages) │ 1 bit/block  │ 24 B/block  │ 8 KiB each   │
///     └──────────┴────────────┴──────────────┴──────────────┴─────────────┴──────────────┘
///
/// One bitmap page covers a *group* of 32256 blocks, which are described by exactly 192 table
/// pages; a run never leaves its group. Source of truth: table and bitmap pages as they are in
/// place, then the records of the log behind each page's LSN.
namespace troupe::block_format {

/// The one version that this program writes and reads.
inline constexpr std::uint32_t version = 1;
/// The unit of everything that is not data; every region starts and ends on it.
inline constexpr std::uint32_t page_bytes = 4096;
inline constexpr std::uint32_t page_header_bytes = 64;
inline constexpr std::uint32_t page_body_bytes = page_bytes - page_header_bytes;
/// Birth, owner, CRC32C, blocks of the run, index in the run.
inline constexpr std::uint32_t descriptor_bytes = 24;
inline constexpr std::uint32_t table_page_blocks = page_body_bytes / descriptor_bytes;
inline constexpr std::uint32_t group_blocks = page_body_bytes * 8;
inline constexpr std::uint32_t group_table_pages = group_blocks / table_page_blocks;
static_assert(table_page_blocks == 168);
static_assert(group_blocks == group_table_pages * table_page_blocks);

/// Both copies of the superblock.
inline constexpr std::uint32_t superblock_bytes = 2 * page_bytes;
/// Page images of one checkpoint step.
inline constexpr std::uint32_t shadow_slots = 64;
inline constexpr std::uint32_t run_blocks_max = 256;
inline constexpr std::uint32_t batch_header_bytes = 64;
/// Larger batches do not exist: a length beyond it is garbage.
inline constexpr std::uint32_t batch_bytes_max = 1024 * 1024;
/// The birth of a block whose descriptor was lost with its table page: in use, by nobody known.
inline constexpr birth lost_birth{UINT64_MAX};

/// Numbers are stored: never change or reuse one.
enum class media_class : std::uint8_t { unknown = 0, disk = 1, flash = 2 };
/// Self-encryption class of the drive. Numbers are stored: never change or reuse one.
enum class sed_class : std::uint8_t { none = 0, non_fips = 1, fips = 2 };

/// Where the regions of a block file are. Offsets and sizes in bytes unless named otherwise.
struct block_geometry {
  std::uint64_t file_bytes = 0;
  std::uint64_t block_count = 0; ///< Data blocks.
  std::uint64_t log_offset = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t shadow_offset = 0;
  std::uint64_t bitmap_offset = 0;
  std::uint64_t table_offset = 0;
  std::uint64_t data_offset = 0;

  std::uint64_t group_count() const;
  std::uint64_t table_page_count() const;
  auto operator<=>(const block_geometry&) const = default;
};

/// Divides a file. @param log_bytes 0 for the default: 1/256 of the file, 1 MiB to 16 MiB.
/// @returns errc::invalid_argument if no data block would fit, or the log is not whole pages.
expected<block_geometry> plan_geometry(std::uint64_t file_bytes, std::uint64_t log_bytes = 0);

/// Who a drive is. Written once, when the drive is formatted, and never again.
///
///     0 magic "TRPBLOCK"   8 version u32   12 page bytes u32   16 cluster uuid   32 drive uuid
///     48 node u32   52 block bytes u32   56 file bytes   64 block count   72 log offset
///     80 log bytes   88 shadow offset   96 bitmap offset   104 table offset   112 data offset
///     120 formatted at, wall ns i64   128 media class u8   129 SED class u8   130 zero u16
///     132 encryption u32 (0: none)   136 drive key id, 16 bytes (zero: none)   152 zero
///     4092 CRC32C of bytes 0..4091
///
/// Magic and version keep their places in every later format.
struct superblock {
  cluster_uuid cluster;
  drive_uuid drive;
  node_id node; ///< That formatted it.
  block_geometry geometry;
  wall_time formatted;
  media_class media = media_class::unknown;
  sed_class sed = sed_class::none;
};
/// One copy, 4096 bytes.
byte_vector encode_superblock(const superblock& x);
/// Reads the first good of both copies.
/// @param bytes the first 8192 bytes of the file (fewer if it is shorter).
/// @returns errc::wrong_version (trp::newer_format), or errc::corrupt if there is no good copy.
expected<superblock> decode_superblock(byte_view bytes);

/// The first 8 bytes of the drive's uuid: in every page and batch, so that bytes of another drive
/// or of an earlier format are never taken for ours.
std::uint64_t drive_tag(const drive_uuid& drive);

/// Log record: these blocks are a run now. 1, zero u8, count u16, zero u32, birth, start, owner,
/// client, client incarnation, write id, then a CRC32C per block.
struct stored_record {
  birth born;
  std::uint64_t start_block = 0;
  lin owner;
  write_key key;
  std::vector<std::uint32_t> checksums; ///< One per block: its size is the length of the run.
};
/// Log record: these blocks are free now. 2, zero u8, count u16, zero u32, birth, start.
struct freed_record {
  birth born;
  std::uint64_t start_block = 0;
  std::uint32_t block_count = 0;
};
/// Log record: this write is not wanted, whenever it arrives. 3, seven zero bytes, client, client
/// incarnation, write id.
struct abandoned_record {
  write_key key;
};
/// Absolute: applying a record again, or over a later state before the later record, is harmless.
using log_record = std::variant<stored_record, freed_record, abandoned_record>;

/// What each batch of the log says besides its records. LSNs count bytes of the endless log; a
/// batch with LSN n lies at n modulo the region's size and may run over its end. Padded with zeros
/// to whole pages.
///
///     0 magic "TRPALLOC"   8 drive tag   16 LSN   24 incarnation   32 log start   40 next birth
///     48 payload bytes u32   52 record count u32   56 zero u32   60 CRC32C of 0..59 and the
///     payload
struct batch_header {
  std::uint64_t lsn = 0;
  incarnation mount;           ///< Never decreases along the log.
  std::uint64_t log_start = 0; ///< Replay begins at this LSN; never decreases.
  birth next_birth;            ///< Above every birth given out up to here.
  std::uint32_t payload_bytes = 0;
  std::uint32_t record_count = 0;

  /// Whole pages that the batch takes.
  std::uint64_t padded_bytes() const;
};

/// Appends the coded record to a payload.
void encode_record(const log_record& record, byte_vector& payload);
std::size_t encoded_bytes(const log_record& record);
/// The whole batch, padded. `header.payload_bytes` is taken from `payload`.
byte_vector encode_batch(batch_header header, std::uint64_t tag, byte_view payload);
/// Reads a header alone, without its checksum; nothing if magic, tag or lengths are wrong.
/// @param bytes at least `batch_header_bytes`.
bool decode_batch_header(byte_view bytes, std::uint64_t tag, batch_header& out);
/// True if the checksum fits. @param bytes the batch, at least header and payload.
bool batch_is_whole(byte_view bytes, const batch_header& header);
/// The records of a batch whose checksum was right. @returns errc::corrupt for nonsense inside.
expected<std::vector<log_record>> decode_records(byte_view payload, std::uint32_t record_count);

/// What is known of one block. All zero: free.
struct block_descriptor {
  birth born;
  lin owner;
  std::uint32_t checksum = 0;
  std::uint16_t run_blocks = 0;
  std::uint16_t index = 0; ///< Position in the run.
  bool operator==(const block_descriptor&) const = default;
};
/// Places in a table page: entry n is block page * 168 + n.
///     0 birth u64   8 owner u64   16 CRC32C u32   20 run blocks u16   22 index u16
void store_descriptor(std::span<std::byte> page, std::uint32_t entry, const block_descriptor& x);
block_descriptor load_descriptor(byte_view page, std::uint32_t entry);

enum class page_kind : std::uint8_t { bitmap = 1, table = 2 };
/// Names a page of the bitmap or the table.
struct page_id {
  page_kind kind = page_kind::table;
  std::uint64_t number = 0;
  auto operator<=>(const page_id&) const = default;
};

/// The header of a bitmap or table page:
///     0 magic "TRPBITMP" or "TRPTABLE"   8 drive tag   16 page number   24 LSN of the last batch
///     whose records are in it   32 zero   60 CRC32C of the page without this field
/// In a bitmap page bit n (byte n / 8 of the body, bit n % 8) is block group * 32256 + n.
void seal_page(std::span<std::byte> page, page_id id, std::uint64_t tag, std::uint64_t lsn);

/// What a page turned out to be.
enum class page_state : std::uint8_t {
  good,
  empty, ///< All zero: a table page that was never written.
  bad,
};
/// Checks a page read from the place of `id`. `lsn` is set if it is good.
page_state check_page(byte_view page, page_id id, std::uint64_t tag, std::uint64_t& lsn);
/// The page that an image in a shadow slot is of; false if it is none of this drive's.
bool identify_page(byte_view image, std::uint64_t tag, page_id& id, std::uint64_t& lsn);
/// Where a page lies in the file.
std::uint64_t page_offset(const block_geometry& geometry, page_id id);

} // namespace troupe::block_format
