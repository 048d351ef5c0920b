#pragma once

#include "actors/transport/channel_host.hpp"
#include "actors/transport/socket.hpp"

#include <memory>
#include <optional>

namespace troupe {

/// What a channel tells the connection it belongs to. After `channel_failed` the channel is not
/// used any more; the connection may close it inside any of these calls.
class channel_events {
public:
  /// Keeps the channel's owner, and so the channel, alive during a callback of the reactor.
  virtual std::shared_ptr<void> keep_alive() = 0;
  virtual void channel_opened() = 0;
  virtual void channel_received(received_frame& frame) = 0;
  /// A frame whose payload does not have its checksum. It is skipped.
  virtual void channel_bad_payload(const frame_header& header) = 0;
  virtual void channel_failed(const error& why) = 0;
  /// There is more to read, but it was enough for one turn.
  virtual void channel_stopped_at_budget() = 0;

protected:
  ~channel_events() = default;
};

/// Frames over TLS on a non-blocking socket. Small frames of a turn leave together.
class control_channel {
public:
  /// `connecting`: the socket's connect is still under way.
  control_channel(channel_host& host, unique_fd fd, tls_stream::side which, bool connecting,
                  std::string address, channel_events& events);
  ~control_channel();
  control_channel(const control_channel&) = delete;
  control_channel& operator=(const control_channel&) = delete;

  bool open() const { return state_ == state::open; }
  /// Closes the socket, silently.
  void shut();
  const tls_stream& tls() const { return tls_; }
  bool local() const { return fd_ && is_local_connection(fd_.get()); }
  /// Queues a frame; sequence number and checksums are filled in.
  void send(frame_header header, byte_view body, std::span<const shared_bytes> bulk);
  /// Writes what is queued, as far as the socket takes it.
  void flush();
  /// Reads until the socket is empty or the budget is used. @returns true if the budget ended it.
  bool read();
  /// Frames above this are refused; small until the peer has said hello.
  void limit(const frame_limits& limits) { limits_ = limits; }
  std::size_t unsent_bytes() const { return out_.size() - out_at_; }
  std::uint64_t sent_bytes() const { return sent_bytes_; }
  std::uint64_t received_bytes() const { return received_bytes_; }

private:
  enum class state : std::uint8_t { connecting, handshake, open, failed };
  void on_event(std::uint32_t events);
  void handshake();
  bool parse();
  void take(const frame_header& header, const std::byte* payload);
  void want(tls_stream::state what);
  void give_back_room();
  void fail(const error& why);

  channel_host& host_;
  unique_fd fd_;
  tls_stream tls_;
  std::string address_;
  channel_events& events_;
  state state_;
  frame_limits limits_{.body_bytes_max = 4096, .bulk_bytes_max = 0};

  byte_vector in_;
  std::size_t in_begin_ = 0;
  std::size_t in_end_ = 0;
  std::optional<frame_header> current_;
  byte_vector out_;
  std::size_t out_at_ = 0;
  bool read_wants_write_ = false; ///< TLS must write before it can read on.
  bool write_blocked_ = false;    ///< The socket was full.
  std::uint64_t next_sent_ = 0;
  std::uint64_t next_received_ = 0;
  std::uint64_t sent_bytes_ = 0;
  std::uint64_t received_bytes_ = 0;
};

} // namespace troupe
