#include "storage/block/allocation_log.hpp"

#include <algorithm>
#include <map>

namespace troupe {

using namespace block_format;

namespace {

struct found_batch {
  batch_header header;
  std::uint64_t position = 0; ///< In the region.
};

/// The ring in memory.
class log_region {
public:
  log_region(byte_vector bytes, std::uint64_t tag) : bytes_(std::move(bytes)), tag_(tag) {}

  /// The batch that begins at `position`, whole and in its place; nothing otherwise.
  bool batch_at(std::uint64_t position, batch_header& header) const {
    return header_at(position, header) && batch_is_whole(batch_bytes(position, header), header);
  }
  bool header_at(std::uint64_t position, batch_header& header) const {
    return decode_batch_header(byte_view{bytes_}.subspan(position, batch_header_bytes), tag_,
                               header)
           && header.lsn % bytes_.size() == position && header.padded_bytes() <= bytes_.size();
  }
  /// Header and payload in one piece, also if they run over the end of the ring.
  byte_vector batch_bytes(std::uint64_t position, const batch_header& header) const {
    auto whole = std::uint64_t{batch_header_bytes} + header.payload_bytes;
    auto before_end = std::min<std::uint64_t>(whole, bytes_.size() - position);
    auto from = byte_view{bytes_}.subspan(position, before_end);
    byte_vector out{from.begin(), from.end()};
    auto rest = byte_view{bytes_}.first(whole - before_end);
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
  }
  std::uint64_t size() const { return bytes_.size(); }

private:
  byte_vector bytes_;
  std::uint64_t tag_;
};

expected<log_region> read_region(file& blocks, const superblock& drive) {
  byte_vector bytes(drive.geometry.log_bytes);
  auto got = blocks.read_at(drive.geometry.log_offset, bytes);
  if (!got)
    return got.error();
  if (*got != bytes.size())
    return error{errc::io_error, "the allocation log cannot be read", trp::drive_failed};
  return log_region{std::move(bytes), drive_tag(drive.drive)};
}

error quarantined(const superblock& drive, std::uint64_t lsn, const char* why) {
  return {errc::quarantined,
          "drive " + to_string(drive.drive) + " allocation log at LSN " + std::to_string(lsn) + ": "
            + why,
          trp::drive_damaged};
}

} // namespace

expected<log_contents> read_allocation_log(file& blocks, const superblock& drive) {
  auto region = read_region(blocks, drive);
  if (!region)
    return region.error();
  std::map<std::uint64_t, found_batch> batches; // by LSN
  for (std::uint64_t position = 0; position < region->size(); position += page_bytes) {
    batch_header header;
    if (region->batch_at(position, header))
      batches.insert_or_assign(header.lsn, found_batch{header, position});
  }
  if (batches.empty())
    return quarantined(drive, 0, "no batch has its checksum");

  log_contents out;
  out.newest = batches.rbegin()->second.header;
  out.end = out.newest.lsn + out.newest.padded_bytes();
  incarnation mount;
  for (auto lsn = out.newest.log_start; lsn < out.end;) {
    auto it = batches.find(lsn);
    if (it == batches.end())
      return quarantined(drive, lsn, "a batch is missing or damaged before the newest one");
    const auto& [header, position] = it->second;
    if (header.mount < mount)
      return quarantined(drive, lsn, "a batch of an older mount behind one of a newer");
    mount = header.mount;
    auto bytes = region->batch_bytes(position, header);
    auto records =
      decode_records(byte_view{bytes}.subspan(batch_header_bytes), header.record_count);
    if (!records)
      return quarantined(drive, lsn, "a batch with a right checksum makes no sense");
    for (auto& record : *records) {
      out.records.push_back(std::move(record));
      out.record_lsns.push_back(lsn);
    }
    ++out.batch_count;
    lsn += header.padded_bytes();
  }
  batch_header torn;
  out.tail_cut = region->header_at(out.end % region->size(), torn) && torn.lsn == out.end;
  return out;
}

} // namespace troupe
