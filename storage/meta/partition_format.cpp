#include "storage/meta/partition_format.hpp"

#include "storage/meta/row_coding.hpp"

namespace troupe {

namespace {
constexpr std::uint8_t slot_format = 1;
constexpr std::uint8_t orphan_format = 1;
constexpr std::uint8_t trim_format = 1;
constexpr std::uint8_t pending_free_format = 1;
constexpr std::uint8_t drive_frees_format = 1;
constexpr std::uint8_t floor_format = 1;
} // namespace

std::string encode(const slot_row& x) {
  row_writer out{slot_format};
  out.put(x.next_lin_sequence).put(x.next_stripe_sequence);
  out.put(x.inode_count).put(x.directory_count).put(x.physical_blocks);
  return out.take();
}

expected<slot_row> decode_slot(std::string_view value) {
  row_reader in{"slot", value, slot_format};
  slot_row x;
  x.next_lin_sequence = in.get<std::uint64_t>();
  x.next_stripe_sequence = in.get<std::uint64_t>();
  x.inode_count = in.get<std::uint64_t>();
  x.directory_count = in.get<std::uint64_t>();
  x.physical_blocks = in.get<std::uint64_t>();
  return in.finish(x);
}

std::string encode(const orphan_row& x) {
  row_writer out{orphan_format};
  out.put(x.holder.value).put(x.holder_incarnation.value).put(x.cut.value).put_i64(x.since.ns);
  return out.take();
}

expected<orphan_row> decode_orphan(std::string_view value) {
  row_reader in{"orphan", value, orphan_format};
  orphan_row x;
  x.holder = client_id{in.get<std::uint64_t>()};
  x.holder_incarnation = incarnation{in.get<std::uint64_t>()};
  x.cut = in.get_epoch();
  x.since = in.get_time();
  return in.finish(x);
}

std::string encode(const trim_row&) {
  return row_writer{trim_format}.take();
}

expected<trim_row> decode_trim(std::string_view value) {
  return row_reader{"trim", value, trim_format}.finish(trim_row{});
}

std::string encode(const pending_free_row& x) {
  row_writer out{pending_free_format};
  out.put(static_cast<std::uint32_t>(x.runs.size()));
  for (const auto& run : x.runs)
    out.put(run.start_block).put(run.block_count).put(run.born.value);
  return out.take();
}

expected<pending_free_row> decode_pending_free(std::string_view value) {
  row_reader in{"pending free", value, pending_free_format};
  pending_free_row x;
  auto count = in.get<std::uint32_t>();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    auto& run = x.runs.emplace_back();
    run.start_block = in.get<std::uint64_t>();
    run.block_count = in.get<std::uint32_t>();
    run.born = birth{in.get<std::uint64_t>()};
  }
  return in.finish(std::move(x));
}

std::string encode(const drive_frees_row& x) {
  row_writer out{drive_frees_format};
  out.put(x.pending_runs).put(x.next_batch);
  out.put(static_cast<std::uint8_t>(x.needs_collect ? 1 : 0));
  return out.take();
}

expected<drive_frees_row> decode_drive_frees(std::string_view value) {
  row_reader in{"drive frees", value, drive_frees_format};
  drive_frees_row x;
  x.pending_runs = in.get<std::uint64_t>();
  x.next_batch = in.get<std::uint64_t>();
  x.needs_collect = in.get<std::uint8_t>() != 0;
  return in.finish(x);
}

std::string encode(const floor_row& x) {
  row_writer out{floor_format};
  out.put(x.value);
  return out.take();
}

expected<floor_row> decode_floor(std::string_view value) {
  row_reader in{"floor", value, floor_format};
  floor_row x{in.get<std::uint64_t>()};
  return in.finish(x);
}

} // namespace troupe
