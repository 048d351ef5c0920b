#include "storage/meta/name_format.hpp"

#include "storage/meta/row_coding.hpp"

namespace troupe {

namespace {
constexpr std::uint8_t entry_format = 1;
constexpr std::uint8_t parent_format = 1;
constexpr auto last_kind = static_cast<std::uint8_t>(file_kind::block_device);
} // namespace

std::string encode(const entry_row& x) {
  row_writer out{entry_format, x.written};
  out.put(x.child.value).put(static_cast<std::uint8_t>(x.kind)).put(x.disambiguator);
  return out.take();
}

expected<entry_row> decode_entry(std::string_view value) {
  row_reader in{"entry", value, entry_format};
  entry_row x;
  x.written = in.get_epoch();
  x.child = lin{in.get<std::uint64_t>()};
  auto kind = in.get<std::uint8_t>();
  if (kind == 0 || kind > last_kind)
    in.fail();
  x.kind = static_cast<file_kind>(kind);
  x.disambiguator = in.get<std::uint8_t>();
  return in.finish(x);
}

std::string encode(const parent_row& x) {
  return row_writer{parent_format, x.written}.take();
}

expected<parent_row> decode_parent(std::string_view value) {
  row_reader in{"parent link", value, parent_format};
  parent_row x{in.get_epoch()};
  return in.finish(x);
}

} // namespace troupe
