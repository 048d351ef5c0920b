#include "storage/meta/partition_entry_format.hpp"

#include "storage/base/coding.hpp"
#include "storage/base/crc32c.hpp"
#include "storage/meta/meta_keys.hpp"
#include "storage/meta/partition_format.hpp"

namespace troupe {

namespace {
constexpr std::uint32_t magic = 0x45505254; // "TRPE"
constexpr std::uint8_t format = 1;
constexpr std::size_t checked_from = 12;
// Stored: never change.
constexpr std::uint8_t record_put = 1;
constexpr std::uint8_t record_delete = 2;
constexpr std::uint8_t record_adopt_config = 3;
constexpr std::uint8_t record_adopt_epoch = 4;
/// More than the encoding takes for one change beside key and value.
constexpr std::uint64_t change_overhead_bytes = 16;
} // namespace

byte_vector encode(const partition_entry& entry) {
  byte_vector bytes;
  byte_writer out{bytes};
  out.put(magic).put(format).put(std::uint8_t{0}).put(std::uint16_t{0}).put(std::uint32_t{0});
  auto count =
    entry.changes.size() + (entry.adopted_config ? 1 : 0) + (entry.adopted_epoch ? 1 : 0);
  out.put(static_cast<std::uint32_t>(count));
  for (const auto& change : entry.changes) {
    out.put(change.value ? record_put : record_delete).put_text(change.key);
    if (change.value)
      out.put_text(*change.value);
  }
  if (entry.adopted_config)
    out.put(record_adopt_config).put(entry.adopted_config.value);
  if (entry.adopted_epoch)
    out.put(record_adopt_epoch).put(entry.adopted_epoch.value);
  store_le(bytes.data() + 8, crc32c(byte_view{bytes}.subspan(checked_from)));
  return bytes;
}

expected<partition_entry> decode_partition_entry(byte_view bytes) {
  byte_reader in{bytes};
  bool ours = in.get<std::uint32_t>() == magic;
  auto written_format = in.get<std::uint8_t>();
  (void)in.get<std::uint8_t>();
  (void)in.get<std::uint16_t>();
  auto checksum = in.get<std::uint32_t>();
  error bad{errc::corrupt, "partition entry of " + std::to_string(bytes.size()) + " bytes"};
  if (!in.ok() || !ours || written_format == 0 || crc32c(bytes.subspan(checked_from)) != checksum)
    return bad;
  if (written_format > format)
    return error{errc::wrong_version,
                 "partition entry of format " + std::to_string(written_format)};
  partition_entry entry;
  auto count = in.get<std::uint32_t>();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    switch (in.get<std::uint8_t>()) {
    case record_put: {
      auto key = in.get_text();
      entry.changes.push_back({std::move(key), in.get_text()});
      break;
    }
    case record_delete: entry.changes.push_back({in.get_text(), {}}); break;
    case record_adopt_config: entry.adopted_config = config_version{in.get<std::uint64_t>()}; break;
    case record_adopt_epoch: entry.adopted_epoch = snapshot_epoch{in.get<std::uint64_t>()}; break;
    default: in.fail();
    }
  }
  if (!in.done())
    return bad;
  return entry;
}

std::uint64_t entry_bytes(const table_batch& changes) {
  std::uint64_t bytes = 0;
  for (const auto& row : changes)
    bytes += change_overhead_bytes + row.key.size() + (row.value ? row.value->size() : 0);
  return bytes;
}

table_batch to_batch(const partition_entry& entry) {
  auto batch = entry.changes;
  if (entry.adopted_config)
    batch.push_back({floor_config_key(), encode(floor_row{entry.adopted_config.value})});
  if (entry.adopted_epoch)
    batch.push_back({floor_epoch_key(), encode(floor_row{entry.adopted_epoch.value})});
  return batch;
}

} // namespace troupe
