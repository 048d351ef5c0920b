#pragma once

#include "actors/transport/handshake.hpp"
#include "storage/base/wire.hpp"
#include "tests/actors/transport/transport_fixture.hpp"

#include <openssl/ssl.h>

#include <thread>

namespace troupe::test {

/// A member with a good certificate that then does what it likes: frames by hand, over real TLS.
/// Blocks by turning the reactor of the other side.
class rogue_peer {
public:
  /// @param between  shown with its own certificate: who signed that.
  rogue_peer(reactor& loop, const credentials& own, const std::string& address,
             X509* between = nullptr)
    : loop_(loop), context_(std::move(*tls_context::make(own))) {
    if (between)
      REQUIRE(::SSL_CTX_add1_chain_cert(context_.get(), between) == 1);
    auto fd = start_connect(address);
    REQUIRE(fd);
    fd_ = std::move(*fd);
    tls_ = std::make_unique<tls_stream>(context_, fd_.get(), tls_stream::side::dialler);
  }
  bool handshake() {
    auto what = tls_stream::state::want_read;
    run_until(loop_, [&] {
      what = tls_->handshake();
      return what != tls_stream::state::want_read && what != tls_stream::state::want_write;
    });
    return what == tls_stream::state::done;
  }
  /// `damage` flips a bit of the payload after its checksum was made.
  bool send(frame_header header, byte_vector body, bool damage = false) {
    header.body_bytes = static_cast<std::uint32_t>(body.size());
    header.sequence = next_++;
    header.payload_crc = payload_crc(body, {});
    if (damage)
      body[0] ^= std::byte{1};
    byte_vector out(frame_header_bytes);
    encode_frame_header(header, out.data());
    out.insert(out.end(), body.begin(), body.end());
    std::size_t at = 0;
    return run_until(loop_,
                     [&] {
                       while (at < out.size()) {
                         auto [what, n] = tls_->write(byte_view{out}.subspan(at));
                         if (what == tls_stream::state::closed || what == tls_stream::state::failed)
                           return true;
                         if (what != tls_stream::state::done)
                           return false;
                         at += n;
                       }
                       return true;
                     })
           && at == out.size();
  }
  bool say_hello(const own_identity& me) {
    frame_header header;
    header.kind = frame_kind::hello;
    return send(header, wire_encode(make_hello(me, {})).body);
  }
  /// The next frame that is not a heartbeat echo; nothing if the other side closed.
  std::optional<std::pair<frame_header, byte_vector>> receive() {
    std::optional<std::pair<frame_header, byte_vector>> out;
    bool ended = false;
    run_until(loop_, [&] {
      std::array<std::byte, 4096> chunk;
      auto [what, n] = tls_->read(chunk);
      if (what == tls_stream::state::done)
        in_.insert(in_.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(n));
      ended = what == tls_stream::state::closed || what == tls_stream::state::failed;
      if (in_.size() >= frame_header_bytes) {
        auto header = decode_frame_header(in_.data(), {});
        REQUIRE(header);
        auto bytes = frame_header_bytes + header->payload_bytes();
        if (in_.size() >= bytes) {
          auto end = in_.begin() + static_cast<std::ptrdiff_t>(bytes);
          out.emplace(*header, byte_vector{in_.begin() + frame_header_bytes, end});
          in_.erase(in_.begin(), end);
        }
      }
      return ended || out.has_value();
    });
    return out;
  }
  tls_stream& tls() { return *tls_; }

private:
  reactor& loop_;
  tls_context context_;
  unique_fd fd_;
  std::unique_ptr<tls_stream> tls_;
  std::uint64_t next_ = 0;
  byte_vector in_;
};

} // namespace troupe::test
