#pragma once

#include "messages/bytes.hpp"
#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "storage/journal/journal_record.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <variant>

namespace troupe {

// One file, all numbers little-endian:
//
//   page 0              superblock, written once (and once more when its format is raised)
//   segment 0 .. n-1    of equal length, used in turn, round and round
//
//   segment:  | batch | batch | batch | what earlier rounds left behind
//   batch:    | header 64 bytes | record | record | ... | zeros up to the next page |
//   record:   | bytes u32 | kind u8 | body |
//
// A batch is what one write and one sync make durable, and what one checksum covers: it counts as
// a whole or not at all. It never crosses a segment. Batches are numbered without gaps over the
// life of the journal; each names the checksum of the one before it and the number of the batch
// with which replay starts (the first of the oldest segment in use). The LSN of a record is
// `first_lsn` of its batch plus its position; its incarnation is that of its batch: the number of
// times that a segment was begun. In front of the first record of a segment stands its
// `segment_state`, which has no LSN of its own.

/// 2 has rewritten entries. A journal of format 1 is one of format 2 without any: opening it for
/// writing raises its number, so that a program that does not know them leaves it alone.
inline constexpr std::uint32_t journal_format_version = 2;
inline constexpr std::uint32_t journal_format_version_min = 1;
inline constexpr std::uint32_t journal_page_bytes = 4096;
inline constexpr std::uint32_t batch_header_bytes = 64;
/// Length and kind in front of a record's body.
inline constexpr std::uint32_t record_frame_bytes = 5;
/// "TRPJRNAL" and "TJBH".
inline constexpr std::uint64_t journal_magic = 0x4c414e524a505254;
inline constexpr std::uint32_t batch_magic = 0x48424a54;

/// Page 0.
struct journal_superblock {
  drive_uuid owner;                ///< The drive; its bytes seed every checksum of a batch.
  std::uint64_t segment_bytes = 0; ///< A multiple of the page.
  std::uint32_t segment_count = 0;
  /// 0: plain. Room for the encryption of SED-class drives (hazards F36).
  std::uint32_t cipher = 0;
  std::array<std::uint8_t, 16> key_id{};
  std::uint32_t format = journal_format_version;
};

byte_vector encode_superblock(const journal_superblock& x);
/// @returns errc::corrupt, or errc::wrong_version for a newer format.
expected<journal_superblock> decode_superblock(byte_view page);

/// The first 64 bytes of a batch.
struct batch_header {
  std::uint64_t number = 0;      ///< From 1, without gaps.
  std::uint64_t first_lsn = 0;   ///< Of its first record.
  std::uint64_t incarnation = 0; ///< From 1; grows with every begun segment.
  std::uint64_t replay_from = 0; ///< A batch number: where replay starts once this one is durable.
  std::uint32_t payload_bytes = 0;
  std::uint32_t record_count = 0; ///< Without the segment state.
  std::uint32_t payload_crc = 0;
  std::uint32_t previous_crc = 0; ///< `payload_crc` of the batch before.
  bool begins_segment = false;
};

/// Length of a batch in the file.
constexpr std::uint64_t batch_bytes_on_disk(std::uint64_t payload_bytes) {
  return (batch_header_bytes + payload_bytes + journal_page_bytes - 1) / journal_page_bytes
         * journal_page_bytes;
}

/// Completes a batch: `image` holds 64 free bytes and the records. Fills in length, checksums and
/// header and pads to whole pages. @returns the payload's checksum.
std::uint32_t seal_batch(byte_vector& image, batch_header header, const drive_uuid& owner);
/// The header at the start of `page` if it is one of this journal; its payload is not checked.
std::optional<batch_header> read_batch_header(byte_view page, const drive_uuid& owner);
/// True if `payload` is what the header promises.
bool payload_matches(const batch_header& header, byte_view payload, const drive_uuid& owner);

/// Bytes of a record in a batch, frame included.
std::uint64_t record_bytes(const journal_record& x);
std::uint64_t record_bytes(const segment_state& x);
void encode_record(const journal_record& x, byte_vector& out);
void encode_record(const segment_state& x, byte_vector& out);

/// Takes the records out of a valid payload one by one.
class record_reader {
public:
  explicit record_reader(byte_view payload) : left_(payload) {}
  bool at_end() const { return left_.empty(); }
  /// The next record; payloads are copied. errc::corrupt for an unknown kind or a wrong shape.
  expected<std::variant<journal_record, segment_state>> next();

private:
  byte_view left_;
};

} // namespace troupe
