#include "storage/meta/table_chunk_format.hpp"

#include "storage/base/coding.hpp"
#include "storage/base/crc32c.hpp"

namespace troupe {

byte_vector encode_table_chunk(const std::vector<table_row>& rows) {
  byte_vector out;
  byte_writer writer{out};
  writer.put(table_chunk_magic).put(table_chunk_version).put(std::uint16_t{0});
  writer.put(static_cast<std::uint32_t>(rows.size()));
  for (const auto& row : rows) {
    writer.put(static_cast<std::uint32_t>(row.key.size()));
    writer.put(static_cast<std::uint32_t>(row.value.size()));
    writer.put_raw(as_bytes(row.key)).put_raw(as_bytes(row.value));
  }
  writer.put(crc32c(out));
  return out;
}

expected<std::vector<table_row>> decode_table_chunk(byte_view bytes) {
  auto corrupt = [] { return error{errc::corrupt, "chunk of an exported table"}; };
  if (bytes.size() < sizeof(std::uint32_t))
    return corrupt();
  auto covered = bytes.first(bytes.size() - sizeof(std::uint32_t));
  if (crc32c(covered) != load_le<std::uint32_t>(bytes.data() + covered.size()))
    return corrupt();
  byte_reader reader{covered};
  if (reader.get<std::uint32_t>() != table_chunk_magic)
    return corrupt();
  if (reader.get<std::uint16_t>() != table_chunk_version)
    return error{errc::wrong_version, "chunk of an exported table"};
  reader.get<std::uint16_t>();
  auto count = reader.get<std::uint32_t>();
  std::vector<table_row> rows;
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
    auto key_bytes = reader.get<std::uint32_t>();
    auto value_bytes = reader.get<std::uint32_t>();
    std::string key{as_text(reader.get_raw(key_bytes))};
    rows.push_back({std::move(key), std::string{as_text(reader.get_raw(value_bytes))}});
  }
  if (!reader.done())
    return corrupt();
  return rows;
}

} // namespace troupe
