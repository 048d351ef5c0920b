#include "actors/transport/frame_format.hpp"

#include "storage/base/coding.hpp"
#include "storage/base/crc32c.hpp"

namespace troupe {

namespace {

constexpr std::size_t header_crc_at = 84;

} // namespace

void encode_frame_header(const frame_header& header, std::byte* at) {
  store_le(at, frame_magic);
  store_le(at + 4, frame_version);
  store_le(at + 5, static_cast<std::uint8_t>(header.kind));
  store_le(at + 6, header.message);
  store_le(at + 8, header.flags);
  store_le(at + 12, std::uint32_t{0});
  store_le(at + 16, header.request);
  store_le(at + 24, header.target);
  store_le(at + 32, header.trace);
  store_le(at + 40, header.span);
  store_le(at + 48, header.epoch);
  store_le(at + 56, header.body_bytes);
  store_le(at + 60, header.bulk_bytes);
  store_le(at + 64, header.answer_bytes);
  store_le(at + 68, header.timeout_ms);
  store_le(at + 72, header.sequence);
  store_le(at + 80, header.payload_crc);
  store_le(at + header_crc_at, crc32c({at, header_crc_at}));
}

expected<frame_header> decode_frame_header(const std::byte* at, const frame_limits& limits) {
  if (load_le<std::uint32_t>(at) != frame_magic)
    return error{errc::corrupt, "frame without magic"};
  if (load_le<std::uint32_t>(at + header_crc_at) != crc32c({at, header_crc_at}))
    return error{errc::corrupt, "frame header with a bad checksum"};
  if (load_le<std::uint8_t>(at + 4) != frame_version)
    return error{errc::wrong_version,
                 "frame of format " + std::to_string(load_le<std::uint8_t>(at + 4))};
  frame_header x;
  auto kind = load_le<std::uint8_t>(at + 5);
  if (kind == 0 || kind > static_cast<std::uint8_t>(frame_kind::data_welcome))
    return error{errc::corrupt, "frame of unknown kind " + std::to_string(kind)};
  x.kind = static_cast<frame_kind>(kind);
  x.message = load_le<std::uint16_t>(at + 6);
  x.flags = load_le<std::uint32_t>(at + 8);
  x.request = load_le<std::uint64_t>(at + 16);
  x.target = load_le<std::uint64_t>(at + 24);
  x.trace = load_le<std::uint64_t>(at + 32);
  x.span = load_le<std::uint64_t>(at + 40);
  x.epoch = load_le<std::uint64_t>(at + 48);
  x.body_bytes = load_le<std::uint32_t>(at + 56);
  x.bulk_bytes = load_le<std::uint32_t>(at + 60);
  x.answer_bytes = load_le<std::uint32_t>(at + 64);
  x.timeout_ms = load_le<std::uint32_t>(at + 68);
  x.sequence = load_le<std::uint64_t>(at + 72);
  x.payload_crc = load_le<std::uint32_t>(at + 80);
  if (x.body_bytes > limits.body_bytes_max || x.bulk_bytes > limits.bulk_bytes_max)
    return error{errc::too_large, "frame of " + std::to_string(x.body_bytes) + " + "
                                    + std::to_string(x.bulk_bytes) + " bytes"};
  return x;
}

std::uint32_t payload_crc(byte_view body, byte_view bulk) {
  return crc32c(bulk, crc32c(body));
}

} // namespace troupe
