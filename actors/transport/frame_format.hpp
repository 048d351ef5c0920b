#pragma once

#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <cstdint>

namespace troupe {

// A frame, on the control connection (inside TLS) and on the data connection:
//
//   offset  bytes  field
//        0      4  magic "TRPF"
//        4      1  format version, 1
//        5      1  kind
//        6      2  message number (messages/catalogue.hpp), 0 if the kind has none
//        8      4  flags
//       12      4  0
//       16      8  request id; of a response: that of its request
//       24      8  target: whom in the receiving process, as the message type defines it
//       32      8  trace id
//       40      8  parent span
//       48      8  highest snapshot epoch that the sender has seen
//       56      4  body bytes
//       60      4  bulk bytes
//       64      4  answer bytes: what the requester has set aside for the answer
//       68      4  milliseconds until the requester gives up
//       72      8  sequence number of the frame on its connection and direction, from 0
//       80      4  CRC32C over body and bulk
//       84      4  CRC32C over the header up to here
//       88         data connection: 16 bytes authentication tag (AES-256-GCM)
//                  then the body, then the bulk
//
// All numbers little-endian. Never change an offset: a new layout is a new format version.

inline constexpr std::uint32_t frame_magic = 0x46505254; // "TRPF"
inline constexpr std::uint8_t frame_version = 1;
inline constexpr std::size_t frame_header_bytes = 88;
inline constexpr std::size_t frame_tag_bytes = 16;

/// Numbers are sent; append only.
enum class frame_kind : std::uint8_t {
  none = 0,
  hello = 1,          ///< Dialler: who I am, what I speak.
  hello_answer = 2,   ///< Acceptor: welcome, or why not.
  request = 3,        ///< Answered by one response.
  response = 4,       ///< Body is the answer, or an `error` if `frame_failed` is set.
  one_way = 5,        ///< Not answered; may be lost.
  credit = 6,         ///< Acceptor: one-way bytes consumed since the connection began, in `target`.
  heartbeat = 7,      ///< Dialler, twice a second; `request id` counts them.
  heartbeat_echo = 8, ///< The same number back.
  data_hello = 9,     ///< First frame of a data connection; request and target: session token.
  data_welcome = 10,  ///< First frame back.
};

/// Flag of a response: the body is an `error`.
inline constexpr std::uint32_t frame_failed = 1;

struct frame_header {
  frame_kind kind = frame_kind::none;
  std::uint16_t message = 0;
  std::uint32_t flags = 0;
  std::uint64_t request = 0;
  std::uint64_t target = 0;
  std::uint64_t trace = 0;
  std::uint64_t span = 0;
  std::uint64_t epoch = 0;
  std::uint32_t body_bytes = 0;
  std::uint32_t bulk_bytes = 0;
  std::uint32_t answer_bytes = 0;
  std::uint32_t timeout_ms = 0;
  std::uint64_t sequence = 0;
  std::uint32_t payload_crc = 0;

  std::size_t payload_bytes() const { return std::size_t{body_bytes} + bulk_bytes; }
  bool operator==(const frame_header&) const = default;
};

/// What a receiver accepts.
struct frame_limits {
  std::uint32_t body_bytes_max = 8 * 1024 * 1024;
  std::uint32_t bulk_bytes_max = 8 * 1024 * 1024;
};

/// Writes `frame_header_bytes` bytes, their CRC included.
void encode_frame_header(const frame_header& header, std::byte* at);
/// @returns errc::corrupt (magic, CRC, unknown kind), errc::wrong_version, or errc::too_large.
/// After any of them the place of the next frame is not known.
expected<frame_header> decode_frame_header(const std::byte* at, const frame_limits& limits);

/// CRC32C over body and bulk, as `payload_crc` holds it.
std::uint32_t payload_crc(byte_view body, byte_view bulk);

/// A frame that arrived. Body and bulk are good for the call they are given to; the bulk may be
/// kept as long as its owner is wanted.
struct received_frame {
  frame_header header;
  byte_view body;
  shared_bytes bulk;
};

} // namespace troupe
