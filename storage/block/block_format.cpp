#include "storage/block/block_format.hpp"

#include "storage/base/assert.hpp"
#include "storage/base/coding.hpp"
#include "storage/base/crc32c.hpp"

#include <algorithm>

namespace troupe::block_format {

namespace {

/// Eight letters as the little-endian number that puts them on disk in reading order.
constexpr std::uint64_t magic_of(const char (&text)[9]) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i)
    value = value << 8 | static_cast<std::uint8_t>(text[i]);
  return value;
}

constexpr auto superblock_magic = magic_of("TRPBLOCK");
constexpr auto batch_magic = magic_of("TRPALLOC");
constexpr auto bitmap_magic = magic_of("TRPBITMP");
constexpr auto table_magic = magic_of("TRPTABLE");

constexpr std::size_t superblock_crc_at = page_bytes - 4;
constexpr std::size_t crc_at = 60; // in batch and page headers
constexpr std::uint64_t data_alignment = 64 * kib;

constexpr std::uint64_t log_bytes_min = 1 * mib;
constexpr std::uint64_t log_bytes_max = 16 * mib;
constexpr std::uint64_t log_share = 256;

/// Numbers in a record's first byte. Stored: never change or reuse one.
enum class record_type : std::uint8_t { stored = 1, freed = 2, abandoned = 3 };
constexpr std::size_t stored_record_bytes = 56;
constexpr std::size_t freed_record_bytes = 24;
constexpr std::size_t abandoned_record_bytes = 32;

constexpr std::uint64_t ceil_div(std::uint64_t a, std::uint64_t b) {
  return (a + b - 1) / b;
}
constexpr std::uint64_t round_up(std::uint64_t a, std::uint64_t unit) {
  return ceil_div(a, unit) * unit;
}

/// The regions for so many data blocks; `file_bytes` is what they need.
block_geometry lay_out(std::uint64_t blocks, std::uint64_t log_bytes) {
  block_geometry g;
  g.block_count = blocks;
  g.log_offset = superblock_bytes;
  g.log_bytes = log_bytes;
  g.shadow_offset = g.log_offset + log_bytes;
  g.bitmap_offset = g.shadow_offset + shadow_slots * page_bytes;
  g.table_offset = g.bitmap_offset + g.group_count() * page_bytes;
  g.data_offset = round_up(g.table_offset + g.table_page_count() * page_bytes, data_alignment);
  g.file_bytes = g.data_offset + blocks * block_bytes;
  return g;
}

void put_key(byte_writer& out, const write_key& key) {
  out.put(key.client.value).put(key.client_incarnation.value).put(key.id.value);
}
write_key get_key(byte_reader& in) {
  write_key key;
  key.client.value = in.get<std::uint64_t>();
  key.client_incarnation.value = in.get<std::uint64_t>();
  key.id.value = in.get<std::uint64_t>();
  return key;
}

/// Type, zero, count, zero: the first 8 bytes of every record.
void put_head(byte_writer& out, record_type type, std::size_t count) {
  out.put(static_cast<std::uint8_t>(type)).put(std::uint8_t{0});
  out.put(static_cast<std::uint16_t>(count)).put(std::uint32_t{0});
}

std::uint32_t page_crc(byte_view page) {
  return crc32c(page.subspan(page_header_bytes), crc32c(page.first(crc_at)));
}

std::uint64_t magic_for(page_kind kind) {
  return kind == page_kind::bitmap ? bitmap_magic : table_magic;
}

} // namespace

std::uint64_t block_geometry::group_count() const {
  return ceil_div(block_count, group_blocks);
}

std::uint64_t block_geometry::table_page_count() const {
  return ceil_div(block_count, table_page_blocks);
}

expected<block_geometry> plan_geometry(std::uint64_t file_bytes, std::uint64_t log_bytes) {
  if (log_bytes == 0)
    log_bytes =
      std::clamp(round_up(file_bytes / log_share, page_bytes), log_bytes_min, log_bytes_max);
  if (log_bytes % page_bytes != 0)
    return error{errc::invalid_argument, "the allocation log must be whole pages of 4096 bytes"};
  if (log_bytes > file_bytes)
    return error{errc::invalid_argument, "no room for the allocation log in a block file of "
                                           + std::to_string(file_bytes) + " bytes"};
  // The largest number of blocks whose regions fit: the size grows with every block.
  std::uint64_t low = 0;
  std::uint64_t high = file_bytes / block_bytes + 1;
  while (high - low > 1) {
    auto middle = low + (high - low) / 2;
    (lay_out(middle, log_bytes).file_bytes <= file_bytes ? low : high) = middle;
  }
  if (low == 0)
    return error{errc::invalid_argument,
                 "no room for data in a block file of " + std::to_string(file_bytes) + " bytes"};
  auto geometry = lay_out(low, log_bytes);
  geometry.file_bytes = file_bytes;
  return geometry;
}

byte_vector encode_superblock(const superblock& x) {
  byte_vector page;
  byte_writer out{page};
  const auto& g = x.geometry;
  out.put(superblock_magic).put(version).put(page_bytes);
  out.put_raw(std::as_bytes(std::span{x.cluster.bytes}));
  out.put_raw(std::as_bytes(std::span{x.drive.bytes}));
  out.put(x.node.value).put(block_bytes).put(g.file_bytes).put(g.block_count);
  out.put(g.log_offset).put(g.log_bytes).put(g.shadow_offset).put(g.bitmap_offset);
  out.put(g.table_offset).put(g.data_offset).put_i64(x.formatted.ns);
  out.put(static_cast<std::uint8_t>(x.media)).put(static_cast<std::uint8_t>(x.sed));
  TROUPE_ASSERT(out.size() == 130);
  page.resize(superblock_crc_at);
  auto crc = crc32c(page);
  byte_writer{page}.put(crc);
  TROUPE_ASSERT(page.size() == page_bytes);
  return page;
}

namespace {

/// One copy. errc::corrupt, or errc::wrong_version if it says so.
expected<superblock> decode_copy(byte_view page) {
  if (page.size() < page_bytes || load_le<std::uint64_t>(page.data()) != superblock_magic)
    return error{errc::corrupt, "no superblock", trp::drive_damaged};
  auto found = load_le<std::uint32_t>(page.data() + 8);
  if (found > version)
    return error{errc::wrong_version,
                 "block file of format " + std::to_string(found) + ", this program reads "
                   + std::to_string(version),
                 trp::newer_format};
  if (load_le<std::uint32_t>(page.data() + superblock_crc_at)
      != crc32c(page.first(superblock_crc_at)))
    return error{errc::corrupt, "superblock with a wrong checksum", trp::drive_damaged};
  byte_reader in{page.first(page_bytes).subspan(12)};
  superblock x;
  auto& g = x.geometry;
  auto stored_page_bytes = in.get<std::uint32_t>();
  for (uuid* id : {static_cast<uuid*>(&x.cluster), static_cast<uuid*>(&x.drive)}) {
    auto raw = in.get_raw(id->bytes.size());
    std::transform(raw.begin(), raw.end(), id->bytes.begin(),
                   [](std::byte b) { return static_cast<std::uint8_t>(b); });
  }
  x.node.value = in.get<std::uint32_t>();
  auto stored_block_bytes = in.get<std::uint32_t>();
  for (auto* field : {&g.file_bytes, &g.block_count, &g.log_offset, &g.log_bytes, &g.shadow_offset,
                      &g.bitmap_offset, &g.table_offset, &g.data_offset})
    *field = in.get<std::uint64_t>();
  x.formatted.ns = in.get_i64();
  x.media = static_cast<media_class>(in.get<std::uint8_t>());
  x.sed = static_cast<sed_class>(in.get<std::uint8_t>());
  // A right checksum over an impossible geometry is no accident of the disk, but a bug of the
  // writer must not become a wild read here.
  auto bounded = g.log_bytes <= g.file_bytes && g.block_count <= g.file_bytes / block_bytes;
  auto again = bounded ? lay_out(g.block_count, g.log_bytes) : block_geometry{};
  auto needed = again.file_bytes;
  again.file_bytes = g.file_bytes;
  if (stored_page_bytes != page_bytes || stored_block_bytes != block_bytes || again != g
      || needed > g.file_bytes || g.block_count == 0 || g.log_bytes % page_bytes != 0
      || g.log_bytes == 0)
    return error{errc::corrupt, "superblock with an impossible geometry", trp::drive_damaged};
  if (load_le<std::uint32_t>(page.data() + 132) != 0)
    return error{errc::not_supported, "encrypted drives", trp::not_available_yet};
  return x;
}

} // namespace

expected<superblock> decode_superblock(byte_view bytes) {
  auto first = decode_copy(bytes);
  if (first || bytes.size() < superblock_bytes)
    return first;
  auto second = decode_copy(bytes.subspan(page_bytes));
  if (second)
    return second;
  // What was understood says more than what was not.
  return first.error().code == errc::corrupt ? second : first;
}

std::uint64_t drive_tag(const drive_uuid& drive) {
  return load_le<std::uint64_t>(std::as_bytes(std::span{drive.bytes}).data());
}

std::uint64_t batch_header::padded_bytes() const {
  return round_up(std::uint64_t{batch_header_bytes} + payload_bytes, page_bytes);
}

std::size_t encoded_bytes(const log_record& record) {
  if (const auto* stored = std::get_if<stored_record>(&record))
    return stored_record_bytes + 4 * stored->checksums.size();
  return std::holds_alternative<freed_record>(record) ? freed_record_bytes : abandoned_record_bytes;
}

void encode_record(const log_record& record, byte_vector& payload) {
  auto before = payload.size();
  byte_writer out{payload};
  if (const auto* stored = std::get_if<stored_record>(&record)) {
    TROUPE_ASSERT(!stored->checksums.empty());
    TROUPE_ASSERT(stored->checksums.size() <= run_blocks_max);
    put_head(out, record_type::stored, stored->checksums.size());
    out.put(stored->born.value).put(stored->start_block).put(stored->owner.value);
    put_key(out, stored->key);
    for (auto crc : stored->checksums)
      out.put(crc);
  } else if (const auto* freed = std::get_if<freed_record>(&record)) {
    put_head(out, record_type::freed, freed->block_count);
    out.put(freed->born.value).put(freed->start_block);
  } else {
    put_head(out, record_type::abandoned, 0);
    put_key(out, std::get<abandoned_record>(record).key);
  }
  TROUPE_ASSERT(payload.size() - before == encoded_bytes(record));
}

byte_vector encode_batch(batch_header header, std::uint64_t tag, byte_view payload) {
  TROUPE_ASSERT(payload.size() <= batch_bytes_max - batch_header_bytes);
  header.payload_bytes = static_cast<std::uint32_t>(payload.size());
  byte_vector out;
  out.reserve(header.padded_bytes());
  byte_writer writer{out};
  writer.put(batch_magic).put(tag).put(header.lsn).put(header.mount.value).put(header.log_start);
  writer.put(header.next_birth.value).put(header.payload_bytes).put(header.record_count);
  writer.put(std::uint32_t{0});
  writer.put(crc32c(payload, crc32c(out)));
  TROUPE_ASSERT(out.size() == batch_header_bytes);
  writer.put_raw(payload);
  out.resize(header.padded_bytes());
  return out;
}

bool decode_batch_header(byte_view bytes, std::uint64_t tag, batch_header& out) {
  byte_reader in{bytes};
  auto magic = in.get<std::uint64_t>();
  auto found_tag = in.get<std::uint64_t>();
  out.lsn = in.get<std::uint64_t>();
  out.mount.value = in.get<std::uint64_t>();
  out.log_start = in.get<std::uint64_t>();
  out.next_birth.value = in.get<std::uint64_t>();
  out.payload_bytes = in.get<std::uint32_t>();
  out.record_count = in.get<std::uint32_t>();
  return in.ok() && magic == batch_magic && found_tag == tag && out.lsn % page_bytes == 0
         && out.log_start % page_bytes == 0 && out.log_start <= out.lsn
         && out.payload_bytes <= batch_bytes_max - batch_header_bytes;
}

bool batch_is_whole(byte_view bytes, const batch_header& header) {
  auto whole = std::size_t{batch_header_bytes} + header.payload_bytes;
  if (bytes.size() < whole)
    return false;
  auto crc = crc32c(bytes.first(crc_at));
  crc = crc32c(bytes.first(whole).subspan(batch_header_bytes), crc);
  return crc == load_le<std::uint32_t>(bytes.data() + crc_at);
}

expected<std::vector<log_record>> decode_records(byte_view payload, std::uint32_t record_count) {
  error nonsense{errc::corrupt, "allocation log: a batch with a right checksum makes no sense",
                 trp::drive_damaged};
  std::vector<log_record> out;
  byte_reader in{payload};
  for (std::uint32_t i = 0; i < record_count; ++i) {
    auto type = static_cast<record_type>(in.get<std::uint8_t>());
    in.get<std::uint8_t>();
    auto count = in.get<std::uint16_t>();
    in.get<std::uint32_t>();
    if (!in.ok())
      return nonsense;
    if (type == record_type::stored && count >= 1 && count <= run_blocks_max) {
      stored_record r;
      r.born.value = in.get<std::uint64_t>();
      r.start_block = in.get<std::uint64_t>();
      r.owner.value = in.get<std::uint64_t>();
      r.key = get_key(in);
      for (std::uint16_t n = 0; n < count; ++n)
        r.checksums.push_back(in.get<std::uint32_t>());
      out.push_back(std::move(r));
    } else if (type == record_type::freed && count >= 1 && count <= run_blocks_max) {
      freed_record r;
      r.born.value = in.get<std::uint64_t>();
      r.start_block = in.get<std::uint64_t>();
      r.block_count = count;
      out.push_back(r);
    } else if (type == record_type::abandoned) {
      out.push_back(abandoned_record{get_key(in)});
    } else {
      return nonsense;
    }
  }
  if (!in.done())
    return nonsense;
  return out;
}

void store_descriptor(std::span<std::byte> page, std::uint32_t entry, const block_descriptor& x) {
  TROUPE_ASSERT(entry < table_page_blocks);
  auto* at = page.data() + page_header_bytes + std::size_t{entry} * descriptor_bytes;
  store_le(at, x.born.value);
  store_le(at + 8, x.owner.value);
  store_le(at + 16, x.checksum);
  store_le(at + 20, x.run_blocks);
  store_le(at + 22, x.index);
}

block_descriptor load_descriptor(byte_view page, std::uint32_t entry) {
  TROUPE_ASSERT(entry < table_page_blocks);
  const auto* at = page.data() + page_header_bytes + std::size_t{entry} * descriptor_bytes;
  return {birth{load_le<std::uint64_t>(at)}, lin{load_le<std::uint64_t>(at + 8)},
          load_le<std::uint32_t>(at + 16), load_le<std::uint16_t>(at + 20),
          load_le<std::uint16_t>(at + 22)};
}

void seal_page(std::span<std::byte> page, page_id id, std::uint64_t tag, std::uint64_t lsn) {
  TROUPE_ASSERT(page.size() == page_bytes);
  std::fill(page.begin(), page.begin() + page_header_bytes, std::byte{0});
  store_le(page.data(), magic_for(id.kind));
  store_le(page.data() + 8, tag);
  store_le(page.data() + 16, id.number);
  store_le(page.data() + 24, lsn);
  store_le(page.data() + crc_at, page_crc(page));
}

bool identify_page(byte_view image, std::uint64_t tag, page_id& id, std::uint64_t& lsn) {
  if (image.size() != page_bytes || load_le<std::uint64_t>(image.data() + 8) != tag
      || load_le<std::uint32_t>(image.data() + crc_at) != page_crc(image))
    return false;
  auto magic = load_le<std::uint64_t>(image.data());
  if (magic != bitmap_magic && magic != table_magic)
    return false;
  id.kind = magic == bitmap_magic ? page_kind::bitmap : page_kind::table;
  id.number = load_le<std::uint64_t>(image.data() + 16);
  lsn = load_le<std::uint64_t>(image.data() + 24);
  return true;
}

page_state check_page(byte_view page, page_id id, std::uint64_t tag, std::uint64_t& lsn) {
  page_id found;
  std::uint64_t found_lsn = 0;
  if (identify_page(page, tag, found, found_lsn)) {
    if (found != id)
      return page_state::bad; // misplaced
    lsn = found_lsn;
    return page_state::good;
  }
  auto empty = page.size() == page_bytes && std::all_of(page.begin(), page.end(), [](std::byte b) {
                 return b == std::byte{0};
               });
  return empty ? page_state::empty : page_state::bad;
}

std::uint64_t page_offset(const block_geometry& geometry, page_id id) {
  auto base = id.kind == page_kind::bitmap ? geometry.bitmap_offset : geometry.table_offset;
  return base + id.number * page_bytes;
}

} // namespace troupe::block_format
