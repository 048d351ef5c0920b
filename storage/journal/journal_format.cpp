#include "storage/journal/journal_format.hpp"

#include "storage/base/assert.hpp"
#include "storage/base/coding.hpp"
#include "storage/base/crc32c.hpp"

#include <limits>

namespace troupe {

namespace {

/// On disk: never change a number.
enum class record_kind : std::uint8_t {
  segment_state = 1,
  replica_created = 2,
  replica_removed = 3,
  term_vote = 4,
  entry = 5,
  truncate = 6,
  checkpoint = 7,
  install = 8,
  rewritten_entry = 9, // from format 2 on
};

constexpr std::uint32_t flag_begins_segment = 1;
constexpr std::uint32_t superblock_bytes = 64;
constexpr std::uint64_t member_bytes = 9;
constexpr std::uint64_t checkpoint_bytes = 36; // without the members
constexpr std::uint64_t head_bytes = 36;       // with the id, without the checkpoint

byte_view uuid_bytes(const drive_uuid& x) {
  return std::as_bytes(std::span{x.bytes});
}

std::uint64_t body_bytes(const log_checkpoint& x) {
  return checkpoint_bytes + member_bytes * x.configuration.members.size();
}

void put(byte_writer& out, const log_checkpoint& x) {
  out.put(x.index).put(x.term).put(x.configuration_index).put(x.state_id);
  out.put(static_cast<std::uint32_t>(x.configuration.members.size()));
  for (const auto& member : x.configuration.members)
    out.put(member.replica.value).put(static_cast<std::uint8_t>(member.role));
}

log_checkpoint get_checkpoint(byte_reader& in) {
  log_checkpoint x;
  x.index = in.get<std::uint64_t>();
  x.term = in.get<std::uint64_t>();
  x.configuration_index = in.get<std::uint64_t>();
  x.state_id = in.get<std::uint64_t>();
  auto count = in.get<std::uint32_t>();
  if (count > in.left() / member_bytes) {
    in.fail();
    return x;
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    replica_id replica{in.get<std::uint64_t>()};
    auto role = in.get<std::uint8_t>();
    if (role > static_cast<std::uint8_t>(member_role::joining))
      in.fail();
    x.configuration.members.push_back({replica, static_cast<member_role>(role)});
  }
  return x;
}

record_kind kind_of(const journal_record& x) {
  constexpr record_kind kinds[] = {record_kind::replica_created, record_kind::replica_removed,
                                   record_kind::term_vote,       record_kind::entry,
                                   record_kind::truncate,        record_kind::checkpoint,
                                   record_kind::install,         record_kind::rewritten_entry};
  static_assert(std::size(kinds) == std::variant_size_v<decltype(journal_record::what)>);
  return kinds[x.what.index()];
}

struct body_sizer {
  std::uint64_t operator()(const replica_created& x) const { return 4 + body_bytes(x.checkpoint); }
  std::uint64_t operator()(const replica_removed&) const { return 0; }
  std::uint64_t operator()(const term_vote_record&) const { return 16; }
  std::uint64_t operator()(const journal_entry& x) const { return 17 + x.entry.payload.size(); }
  std::uint64_t operator()(const truncate_record&) const { return 8; }
  std::uint64_t operator()(const checkpoint_record& x) const { return body_bytes(x.checkpoint); }
  std::uint64_t operator()(const install_record& x) const { return body_bytes(x.checkpoint); }
  std::uint64_t operator()(const rewritten_entry& x) const { return 17 + x.entry.payload.size(); }
};

struct body_writer {
  byte_writer& out;
  void operator()(const replica_created& x) const {
    out.put(x.group.value);
    put(out, x.checkpoint);
  }
  void operator()(const replica_removed&) const {}
  void operator()(const term_vote_record& x) const { out.put(x.term).put(x.vote.value); }
  void operator()(const journal_entry& x) const { put_entry(x.index, x.entry); }
  void operator()(const rewritten_entry& x) const { put_entry(x.index, x.entry); }
  void put_entry(std::uint64_t index, const log_entry& entry) const {
    out.put(index).put(entry.term).put(static_cast<std::uint8_t>(entry.kind));
    out.put_raw(entry.payload.view());
  }
  void operator()(const truncate_record& x) const { out.put(x.from); }
  void operator()(const checkpoint_record& x) const { put(out, x.checkpoint); }
  void operator()(const install_record& x) const { put(out, x.checkpoint); }
};

void put_frame(byte_writer& out, std::uint64_t bytes_with_frame, record_kind kind) {
  TROUPE_ASSERT(bytes_with_frame <= std::numeric_limits<std::uint32_t>::max());
  out.put(static_cast<std::uint32_t>(bytes_with_frame - record_frame_bytes));
  out.put(static_cast<std::uint8_t>(kind));
}

segment_state get_segment_state(byte_reader& in) {
  segment_state x;
  x.removed_floor = in.get<std::uint64_t>();
  auto removed_count = in.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < removed_count && in.ok(); ++i)
    x.removed.push_back(replica_id{in.get<std::uint64_t>()});
  auto replica_count = in.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < replica_count && in.ok(); ++i) {
    replica_id replica{in.get<std::uint64_t>()};
    replica_head head;
    head.group = group_id{in.get<std::uint32_t>()};
    head.term = in.get<std::uint64_t>();
    head.vote = replica_id{in.get<std::uint64_t>()};
    head.last_index = in.get<std::uint64_t>();
    head.checkpoint = get_checkpoint(in);
    if (!x.replicas.emplace(replica, std::move(head)).second)
      in.fail();
  }
  return x;
}

/// The rest of a record is an entry with its index.
template <class Record>
Record get_entry(byte_reader& in) {
  Record x;
  x.index = in.get<std::uint64_t>();
  x.entry.term = in.get<std::uint64_t>();
  auto what = in.get<std::uint8_t>();
  if (what < static_cast<std::uint8_t>(entry_kind::command)
      || what > static_cast<std::uint8_t>(entry_kind::configuration))
    in.fail();
  x.entry.kind = static_cast<entry_kind>(what);
  auto payload = in.get_raw(in.left());
  if (!payload.empty())
    x.entry.payload = shared_bytes{byte_vector{payload.begin(), payload.end()}};
  return x;
}

/// The body of a record of one replica, whose id was read already.
void get_body(byte_reader& in, record_kind kind, journal_record& x) {
  switch (kind) {
  case record_kind::replica_created: {
    group_id group{in.get<std::uint32_t>()};
    x.what = replica_created{group, get_checkpoint(in)};
    return;
  }
  case record_kind::replica_removed: x.what = replica_removed{}; return;
  case record_kind::term_vote: {
    auto term = in.get<std::uint64_t>();
    x.what = term_vote_record{term, replica_id{in.get<std::uint64_t>()}};
    return;
  }
  case record_kind::entry: x.what = get_entry<journal_entry>(in); return;
  case record_kind::rewritten_entry: x.what = get_entry<rewritten_entry>(in); return;
  case record_kind::truncate: x.what = truncate_record{in.get<std::uint64_t>()}; return;
  case record_kind::checkpoint: x.what = checkpoint_record{get_checkpoint(in)}; return;
  case record_kind::install: x.what = install_record{get_checkpoint(in)}; return;
  default: in.fail();
  }
}

std::uint32_t header_crc(byte_view header, const drive_uuid& owner) {
  return crc32c(header.subspan(8, batch_header_bytes - 8), crc32c(uuid_bytes(owner)));
}

} // namespace

byte_vector encode_superblock(const journal_superblock& x) {
  byte_vector page;
  byte_writer out{page};
  out.put(journal_magic).put(std::uint32_t{0}).put(x.format);
  out.put_raw(uuid_bytes(x.owner)).put(x.segment_bytes).put(x.segment_count).put(x.cipher);
  out.put_raw(std::as_bytes(std::span{x.key_id}));
  TROUPE_ASSERT(page.size() == superblock_bytes);
  page.resize(journal_page_bytes);
  store_le(page.data() + 8, crc32c(byte_view{page}.subspan(12)));
  return page;
}

expected<journal_superblock> decode_superblock(byte_view page) {
  byte_reader in{page};
  auto magic = in.get<std::uint64_t>();
  auto crc = in.get<std::uint32_t>();
  if (page.size() != journal_page_bytes || magic != journal_magic)
    return error{errc::corrupt, "journal superblock: not one"};
  if (crc != crc32c(page.subspan(12)))
    return error{errc::corrupt, "journal superblock: wrong checksum"};
  auto version = in.get<std::uint32_t>();
  if (version < journal_format_version_min || version > journal_format_version)
    return error{errc::wrong_version, "journal superblock: format " + std::to_string(version),
                 version > journal_format_version ? trp::newer_format : error_id{}};
  journal_superblock x;
  x.format = version;
  for (auto& b : x.owner.bytes)
    b = in.get<std::uint8_t>();
  x.segment_bytes = in.get<std::uint64_t>();
  x.segment_count = in.get<std::uint32_t>();
  x.cipher = in.get<std::uint32_t>();
  for (auto& b : x.key_id)
    b = in.get<std::uint8_t>();
  return x;
}

std::uint32_t seal_batch(byte_vector& image, batch_header header, const drive_uuid& owner) {
  TROUPE_ASSERT(image.size() >= batch_header_bytes);
  auto payload = byte_view{image}.subspan(batch_header_bytes);
  header.payload_bytes = static_cast<std::uint32_t>(payload.size());
  header.payload_crc = crc32c(payload, crc32c(uuid_bytes(owner)));
  byte_vector bytes;
  byte_writer out{bytes};
  out.put(batch_magic).put(std::uint32_t{0}).put(header.number).put(header.first_lsn);
  out.put(header.incarnation).put(header.replay_from).put(header.payload_bytes);
  out.put(header.record_count).put(header.payload_crc).put(header.previous_crc);
  out.put(header.begins_segment ? flag_begins_segment : 0).put(std::uint32_t{0});
  TROUPE_ASSERT(bytes.size() == batch_header_bytes);
  store_le(bytes.data() + 4, header_crc(bytes, owner));
  std::copy(bytes.begin(), bytes.end(), image.begin());
  image.resize(batch_bytes_on_disk(header.payload_bytes));
  return header.payload_crc;
}

std::optional<batch_header> read_batch_header(byte_view page, const drive_uuid& owner) {
  if (page.size() < batch_header_bytes)
    return {};
  byte_reader in{page};
  if (in.get<std::uint32_t>() != batch_magic)
    return {};
  if (in.get<std::uint32_t>() != header_crc(page, owner))
    return {};
  batch_header x;
  x.number = in.get<std::uint64_t>();
  x.first_lsn = in.get<std::uint64_t>();
  x.incarnation = in.get<std::uint64_t>();
  x.replay_from = in.get<std::uint64_t>();
  x.payload_bytes = in.get<std::uint32_t>();
  x.record_count = in.get<std::uint32_t>();
  x.payload_crc = in.get<std::uint32_t>();
  x.previous_crc = in.get<std::uint32_t>();
  x.begins_segment = (in.get<std::uint32_t>() & flag_begins_segment) != 0;
  return x;
}

bool payload_matches(const batch_header& header, byte_view payload, const drive_uuid& owner) {
  return payload.size() == header.payload_bytes
         && crc32c(payload, crc32c(uuid_bytes(owner))) == header.payload_crc;
}

std::uint64_t record_bytes(const journal_record& x) {
  return record_frame_bytes + 8 + std::visit(body_sizer{}, x.what);
}

std::uint64_t record_bytes(const segment_state& x) {
  std::uint64_t bytes = record_frame_bytes + 16 + 8 * x.removed.size();
  for (const auto& [replica, head] : x.replicas)
    bytes += head_bytes + body_bytes(head.checkpoint);
  return bytes;
}

void encode_record(const journal_record& x, byte_vector& bytes) {
  auto end = bytes.size() + record_bytes(x);
  byte_writer out{bytes};
  put_frame(out, record_bytes(x), kind_of(x));
  out.put(x.replica.value);
  std::visit(body_writer{out}, x.what);
  TROUPE_ASSERT(bytes.size() == end);
}

void encode_record(const segment_state& x, byte_vector& bytes) {
  auto end = bytes.size() + record_bytes(x);
  byte_writer out{bytes};
  put_frame(out, record_bytes(x), record_kind::segment_state);
  out.put(x.removed_floor).put(static_cast<std::uint32_t>(x.removed.size()));
  for (auto replica : x.removed)
    out.put(replica.value);
  out.put(static_cast<std::uint32_t>(x.replicas.size()));
  for (const auto& [replica, head] : x.replicas) {
    out.put(replica.value).put(head.group.value).put(head.term).put(head.vote.value);
    out.put(head.last_index);
    put(out, head.checkpoint);
  }
  TROUPE_ASSERT(bytes.size() == end);
}

// g++ 12 warns about members of the alternative that a moved variant does not hold.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
expected<std::variant<journal_record, segment_state>> record_reader::next() {
  byte_reader in{left_};
  auto bytes = in.get<std::uint32_t>();
  auto kind = static_cast<record_kind>(in.get<std::uint8_t>());
  auto body = in.get_raw(bytes);
  if (!in.ok())
    return error{errc::corrupt, "journal record: longer than its batch"};
  left_ = left_.subspan(record_frame_bytes + bytes);
  byte_reader fields{body};
  std::variant<journal_record, segment_state> out;
  if (kind == record_kind::segment_state) {
    out = get_segment_state(fields);
  } else {
    journal_record x;
    x.replica = replica_id{fields.get<std::uint64_t>()};
    get_body(fields, kind, x);
    out = std::move(x);
  }
  if (!fields.done())
    return error{errc::corrupt, "journal record of kind "
                                  + std::to_string(static_cast<unsigned>(kind)) + ": wrong shape"};
  return out;
}
#pragma GCC diagnostic pop

} // namespace troupe
