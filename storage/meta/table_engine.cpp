#include "storage/meta/table_engine.hpp"

#include "storage/base/assert.hpp"

namespace troupe {

std::string engine_key(table_id table, std::string_view key) {
  std::string out;
  out.reserve(engine_prefix_bytes + key.size());
  for (int shift = 56; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(table.value >> shift));
  out.append(key);
  return out;
}

std::string engine_end(table_id table) {
  TROUPE_ASSERT(table.value != ~std::uint64_t{0});
  return engine_key(table_id{table.value + 1}, {});
}

table_id engine_table(std::string_view key) {
  TROUPE_ASSERT(key.size() >= engine_prefix_bytes);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < engine_prefix_bytes; ++i)
    value = value << 8 | static_cast<unsigned char>(key[i]);
  return table_id{value};
}

} // namespace troupe
