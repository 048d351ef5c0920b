#pragma once

#include "actors/transport/control_channel.hpp"
#include "actors/transport/frame_cipher.hpp"

#include <array>
#include <deque>

namespace troupe {

/// Names a session in the first frame of its data connection. Not a secret.
using session_token = std::pair<std::uint64_t, std::uint64_t>;

/// What both ends of a session derive for its one data connection.
struct data_keys {
  session_token token;
  frame_key to_acceptor{};
  frame_key to_dialler{};
};
/// From the TLS session of the control connection.
expected<data_keys> derive_data_keys(const tls_stream& tls);

/// Frames with bulk on a plain TCP connection, each with a sequence number and an authentication
/// tag under the session's key. Sends by scatter/gather from where the bytes are; receives into
/// pooled buffers whose windows are handed on, so that a stripe unit is copied only by the kernel.
class data_channel {
public:
  data_channel(channel_host& host, unique_fd fd, tls_stream::side which, bool connecting,
               const data_keys& keys, bool encrypt, std::string address, channel_events& events);
  ~data_channel();
  data_channel(const data_channel&) = delete;
  data_channel& operator=(const data_channel&) = delete;

  /// Both ends have authenticated each other.
  bool open() const { return state_ == state::open; }
  void shut();
  /// Queues a frame; the bytes of `bulk` must not change until it is sent.
  void send(frame_header header, byte_vector body, std::vector<shared_bytes> bulk);
  void flush();
  bool read();
  std::size_t unsent_bytes() const { return unsent_bytes_; }
  std::uint64_t sent_bytes() const { return sent_bytes_; }
  std::uint64_t received_bytes() const { return received_bytes_; }

private:
  enum class state : std::uint8_t { connecting, greeting, open, failed };
  static constexpr std::size_t head_bytes = frame_header_bytes + frame_tag_bytes;

  struct out_frame {
    std::array<std::byte, head_bytes> head{};
    byte_vector body;
    std::vector<shared_bytes> bulk;
    std::size_t bytes = 0;
  };

  void on_event(std::uint32_t events);
  void greet();
  void fail(const error& why);
  bool take_staged();
  bool begin_frame();
  bool finish_frame();
  std::size_t missing() const;
  std::size_t fill(byte_view bytes);

  channel_host& host_;
  unique_fd fd_;
  tls_stream::side side_;
  std::string address_;
  session_token token_;
  channel_events& events_;
  state state_;
  frame_cipher sealer_;
  frame_cipher opener_;

  std::deque<out_frame> out_;
  std::size_t out_at_ = 0; ///< Bytes of the first frame that are sent.
  std::size_t unsent_bytes_ = 0;
  std::uint64_t next_sent_ = 0;
  std::uint64_t sent_bytes_ = 0;

  std::array<std::byte, 1024> staged_; ///< Heads and what came with them.
  std::size_t staged_begin_ = 0;
  std::size_t staged_end_ = 0;
  std::optional<frame_header> current_;
  std::array<std::byte, head_bytes> current_head_{};
  pooled_buffer payload_; ///< Bulk first, so that it is aligned; the body behind it.
  std::size_t filled_ = 0;
  std::uint64_t next_received_ = 0;
  std::uint64_t received_bytes_ = 0;
};

} // namespace troupe
