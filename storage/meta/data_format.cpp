#include "storage/meta/data_format.hpp"

#include "storage/base/assert.hpp"
#include "storage/meta/row_coding.hpp"

namespace troupe {

namespace {
constexpr std::uint8_t inline_format = 1;
constexpr std::uint8_t extent_format = 1;
constexpr std::uint8_t stripe_format = 1;
constexpr std::uint8_t at_risk_format = 1;
constexpr std::uint8_t stripe_at_risk = 1;
} // namespace

std::string encode(const inline_row& x) {
  row_writer out{inline_format, x.written};
  out.put_raw(as_bytes(x.bytes));
  return out.take();
}

expected<inline_row> decode_inline(std::string_view value) {
  row_reader in{"inline data", value, inline_format};
  inline_row x;
  x.written = in.get_epoch();
  x.bytes = as_text(in.get_raw(in.left()));
  return in.finish(std::move(x));
}

std::string encode(const extent_row& x) {
  row_writer out{extent_format, x.written};
  out.put(x.bytes).put(x.stripe.value).put(x.stripe_offset);
  return out.take();
}

expected<extent_row> decode_extent(std::string_view value) {
  row_reader in{"extent", value, extent_format};
  extent_row x;
  x.written = in.get_epoch();
  x.bytes = in.get<std::uint64_t>();
  x.stripe = stripe_id{in.get<std::uint64_t>()};
  x.stripe_offset = in.get<std::uint64_t>();
  return in.finish(x);
}

std::string encode(const stripe_row& x) {
  row_writer out{stripe_format};
  out.put(x.owner.value).put(x.cas_version).put(x.references).put(x.live_references);
  const auto& layout = x.layout;
  out.put(layout.shape.data_units).put(layout.shape.parity_units).put(layout.shape.per_node);
  out.put(layout.requested_level);
  out.put(static_cast<std::uint8_t>(layout.at_risk ? stripe_at_risk : 0));
  out.put(layout.unit_blocks).put(static_cast<std::uint16_t>(layout.units.size()));
  for (const auto& unit : layout.units) {
    TROUPE_ASSERT(unit.run.block_count == layout.unit_blocks);
    out.put_uuid(unit.run.drive);
    out.put(unit.run.start_block).put(unit.run.born.value).put(unit.checksum);
  }
  return out.take();
}

expected<stripe_row> decode_stripe(std::string_view value) {
  row_reader in{"stripe", value, stripe_format};
  stripe_row x;
  x.owner = lin{in.get<std::uint64_t>()};
  x.cas_version = in.get<std::uint64_t>();
  x.references = in.get<std::uint32_t>();
  x.live_references = in.get<std::uint32_t>();
  auto& layout = x.layout;
  layout.shape.data_units = in.get<std::uint8_t>();
  layout.shape.parity_units = in.get<std::uint8_t>();
  layout.shape.per_node = in.get<std::uint8_t>();
  layout.requested_level = in.get<std::uint8_t>();
  layout.at_risk = (in.get<std::uint8_t>() & stripe_at_risk) != 0;
  layout.unit_blocks = in.get<std::uint32_t>();
  auto count = in.get<std::uint16_t>();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    auto& unit = layout.units.emplace_back();
    in.get_uuid(unit.run.drive);
    unit.run.start_block = in.get<std::uint64_t>();
    unit.run.block_count = layout.unit_blocks;
    unit.run.born = birth{in.get<std::uint64_t>()};
    unit.checksum = in.get<std::uint32_t>();
  }
  return in.finish(std::move(x));
}

std::uint64_t physical_blocks_of(const stripe_layout& layout) {
  return std::uint64_t{layout.unit_blocks} * layout.units.size();
}

std::string encode(const at_risk_row& x) {
  row_writer out{at_risk_format};
  out.put(x.owner.value).put(x.requested_level);
  return out.take();
}

expected<at_risk_row> decode_at_risk(std::string_view value) {
  row_reader in{"at-risk", value, at_risk_format};
  at_risk_row x;
  x.owner = lin{in.get<std::uint64_t>()};
  x.requested_level = in.get<std::uint8_t>();
  return in.finish(x);
}

} // namespace troupe
