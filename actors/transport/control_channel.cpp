#include "actors/transport/control_channel.hpp"

#include "storage/base/crc32c.hpp"

#include <algorithm>
#include <cstring>
#include <sys/epoll.h>

namespace troupe {

namespace {

constexpr std::size_t read_chunk = 64 * 1024;
constexpr std::size_t write_chunk = 16 * 1024; // one TLS record
constexpr std::size_t out_bytes_kept = 256 * 1024;

} // namespace

control_channel::control_channel(channel_host& host, unique_fd fd, tls_stream::side which,
                                 bool connecting, std::string address, channel_events& events)
  : host_(host), fd_(std::move(fd)), tls_(host.tls, fd_.get(), which), address_(std::move(address)),
    events_(events), state_(connecting ? state::connecting : state::handshake) {
  host_.loop.watch(fd_.get(), connecting ? EPOLLOUT : EPOLLIN,
                   [this](std::uint32_t e) { on_event(e); });
}

control_channel::~control_channel() {
  shut();
}

void control_channel::shut() {
  state_ = state::failed;
  if (!fd_)
    return;
  host_.loop.unwatch(fd_.get());
  fd_.reset();
}

void control_channel::fail(const error& why) {
  if (state_ == state::failed)
    return;
  auto copy = why; // `why` may be a member of what the callback destroys
  shut();
  events_.channel_failed(copy);
}

void control_channel::want(tls_stream::state what) {
  read_wants_write_ = what == tls_stream::state::want_write;
  // What was queued in this turn leaves at its end: the socket is watched only if it is full.
  bool out = read_wants_write_ || write_blocked_;
  host_.loop.change(fd_.get(), out ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void control_channel::on_event(std::uint32_t) {
  auto keep = events_.keep_alive();
  if (state_ == state::connecting) {
    auto ok = connect_outcome(fd_.get(), address_);
    if (!ok)
      return fail(ok.error());
    state_ = state::handshake;
  }
  if (state_ == state::handshake)
    return handshake();
  if (unsent_bytes() > 0)
    flush();
  if (state_ == state::open && read())
    events_.channel_stopped_at_budget();
}

void control_channel::handshake() {
  auto what = tls_.handshake();
  switch (what) {
  case tls_stream::state::done: break;
  case tls_stream::state::want_read: host_.loop.change(fd_.get(), EPOLLIN); return;
  case tls_stream::state::want_write: host_.loop.change(fd_.get(), EPOLLOUT); return;
  case tls_stream::state::closed:
    return fail({errc::unavailable, "connection ended in the TLS handshake"});
  case tls_stream::state::failed: return fail(tls_.failure());
  }
  state_ = state::open;
  host_.loop.change(fd_.get(), EPOLLIN);
  events_.channel_opened();
  // TLS may have read the first frames with the handshake.
  if (state_ == state::open && read())
    events_.channel_stopped_at_budget();
}

void control_channel::send(frame_header header, byte_view body,
                           std::span<const shared_bytes> bulk) {
  std::uint32_t crc = crc32c(body);
  std::size_t bulk_bytes = 0;
  for (const auto& b : bulk) {
    crc = crc32c(b.view(), crc);
    bulk_bytes += b.size();
  }
  header.body_bytes = static_cast<std::uint32_t>(body.size());
  header.bulk_bytes = static_cast<std::uint32_t>(bulk_bytes);
  header.sequence = next_sent_++;
  header.payload_crc = crc;
  auto at = out_.size();
  out_.resize(at + frame_header_bytes);
  out_.insert(out_.end(), body.begin(), body.end());
  for (const auto& b : bulk)
    out_.insert(out_.end(), b.view().begin(), b.view().end());
  encode_frame_header(header, out_.data() + at);
}

void control_channel::flush() {
  while (state_ == state::open && unsent_bytes() > 0) {
    auto chunk = std::min(unsent_bytes(), write_chunk);
    auto [what, n] = tls_.write(byte_view{out_}.subspan(out_at_, chunk));
    if (what == tls_stream::state::done) {
      out_at_ += n;
      sent_bytes_ += n;
      continue;
    }
    if (what == tls_stream::state::want_read || what == tls_stream::state::want_write) {
      write_blocked_ = true;
      host_.loop.change(fd_.get(), EPOLLIN | EPOLLOUT);
      return;
    }
    return fail(what == tls_stream::state::closed
                  ? error{errc::unavailable, "the peer closed the connection"}
                  : tls_.failure());
  }
  if (state_ != state::open)
    return;
  write_blocked_ = false;
  out_.clear();
  out_at_ = 0;
  if (out_.capacity() > out_bytes_kept)
    out_ = {};
  if (!read_wants_write_)
    host_.loop.change(fd_.get(), EPOLLIN);
}

/// After a large frame has gone by.
void control_channel::give_back_room() {
  if (in_begin_ != in_end_ || in_.size() <= 4 * read_chunk)
    return;
  in_ = {};
  in_begin_ = in_end_ = 0;
}

bool control_channel::read() {
  std::size_t budget = host_.options.read_bytes_per_turn;
  while (state_ == state::open) {
    if (in_.size() - in_end_ < read_chunk / 4) {
      std::memmove(in_.data(), in_.data() + in_begin_, in_end_ - in_begin_);
      in_end_ -= in_begin_;
      in_begin_ = 0;
      std::size_t need = current_ ? current_->payload_bytes() : frame_header_bytes;
      in_.resize(std::max(in_end_ + read_chunk, need + read_chunk));
    }
    auto [what, n] = tls_.read(std::span{in_}.subspan(in_end_));
    if (what == tls_stream::state::closed) {
      fail({errc::unavailable, "the peer closed the connection"});
      return false;
    }
    if (what == tls_stream::state::failed) {
      fail(tls_.failure());
      return false;
    }
    if (what != tls_stream::state::done) {
      want(what);
      give_back_room();
      return false;
    }
    in_end_ += n;
    received_bytes_ += n;
    if (!parse())
      return false;
    if (!tls_.holds_more()) { // epoll says when there is more: no call to be told so twice
      want(tls_stream::state::want_read);
      give_back_room();
      return false;
    }
    if (n >= budget)
      return true;
    budget -= n;
  }
  return false;
}

bool control_channel::parse() {
  while (state_ == state::open) {
    auto have = in_end_ - in_begin_;
    if (!current_) {
      if (have < frame_header_bytes)
        return true;
      auto header = decode_frame_header(in_.data() + in_begin_, limits_);
      if (!header) {
        fail(header.error());
        return false;
      }
      if (header->sequence != next_received_++) {
        fail({errc::corrupt, "frame out of sequence"});
        return false;
      }
      in_begin_ += frame_header_bytes;
      current_ = *header;
      continue;
    }
    if (have < current_->payload_bytes())
      return true;
    auto header = *current_;
    current_.reset();
    auto payload = in_.data() + in_begin_;
    in_begin_ += header.payload_bytes();
    take(header, payload);
  }
  return false;
}

void control_channel::take(const frame_header& header, const std::byte* payload) {
  byte_view body{payload, header.body_bytes};
  byte_view bulk{payload + header.body_bytes, header.bulk_bytes};
  if (payload_crc(body, bulk) != header.payload_crc)
    return events_.channel_bad_payload(header);
  received_frame frame{header, body, {}};
  if (!bulk.empty()) { // the input buffer is used again: this little bulk is copied
    auto copy = host_.buffers.allocate(bulk.size());
    std::memcpy(copy.bytes.data(), bulk.data(), bulk.size());
    frame.bulk = copy.window(0, bulk.size());
  }
  events_.channel_received(frame);
}

} // namespace troupe
