#include "storage/meta/inode_format.hpp"

#include "storage/meta/row_coding.hpp"

namespace troupe {

namespace {
constexpr std::uint8_t format = 1;
constexpr std::uint8_t has_trimmed = 0x80;
constexpr auto last_kind = static_cast<std::uint8_t>(file_kind::block_device);
} // namespace

snapshot_epoch written_epoch_of(std::string_view value) {
  if (value.size() < versioned_header_bytes)
    return {};
  return snapshot_epoch{load_le<std::uint64_t>(as_bytes(value).data() + 1)};
}

std::string encode(const inode_row& x) {
  row_writer out{format, x.written};
  auto flags = static_cast<std::uint8_t>(x.flags | (x.trimmed ? has_trimmed : 0));
  out.put(static_cast<std::uint8_t>(x.kind)).put(flags).put(x.mode);
  out.put(x.uid).put(x.gid).put(x.link_count);
  out.put(x.size).put(x.physical_blocks).put(x.device);
  out.put_i64(x.access_time.ns).put_i64(x.modify_time.ns);
  out.put_i64(x.change_time.ns).put_i64(x.birth_time.ns);
  out.put(x.change_count).put(x.parent.value).put(x.entry_count);
  if (x.trimmed)
    out.put(x.trimmed->begin).put(x.trimmed->end).put(x.trimmed->cut.value);
  return out.take();
}

expected<inode_row> decode_inode(std::string_view value) {
  row_reader in{"inode", value, format};
  inode_row x;
  x.written = in.get_epoch();
  auto kind = in.get<std::uint8_t>();
  if (kind == 0 || kind > last_kind)
    in.fail();
  x.kind = static_cast<file_kind>(kind);
  auto flags = in.get<std::uint8_t>();
  x.flags = static_cast<std::uint8_t>(flags & ~has_trimmed);
  x.mode = in.get<std::uint16_t>();
  x.uid = in.get<std::uint32_t>();
  x.gid = in.get<std::uint32_t>();
  x.link_count = in.get<std::uint32_t>();
  x.size = in.get<std::uint64_t>();
  x.physical_blocks = in.get<std::uint64_t>();
  x.device = in.get<std::uint64_t>();
  x.access_time = in.get_time();
  x.modify_time = in.get_time();
  x.change_time = in.get_time();
  x.birth_time = in.get_time();
  x.change_count = in.get<std::uint64_t>();
  x.parent = lin{in.get<std::uint64_t>()};
  x.entry_count = in.get<std::uint64_t>();
  if ((flags & has_trimmed) != 0) {
    auto& trimmed = x.trimmed.emplace();
    trimmed.begin = in.get<std::uint64_t>();
    trimmed.end = in.get<std::uint64_t>();
    trimmed.cut = in.get_epoch();
  }
  return in.finish(std::move(x));
}

inode_attributes attributes_of(lin id, const inode_row& x) {
  inode_attributes a;
  a.id = id;
  a.kind = x.kind;
  a.mode = x.mode;
  a.uid = x.uid;
  a.gid = x.gid;
  a.link_count = x.link_count;
  a.size = x.kind == file_kind::directory ? x.entry_count : x.size;
  a.physical_blocks = x.physical_blocks;
  a.device = x.device;
  a.access_time = x.access_time;
  a.modify_time = x.modify_time;
  a.change_time = x.change_time;
  a.birth_time = x.birth_time;
  a.change_count = x.change_count;
  a.parent = x.parent;
  return a;
}

} // namespace troupe
