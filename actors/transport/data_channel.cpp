#include "actors/transport/data_channel.hpp"

#include "storage/base/coding.hpp"
#include "storage/base/crc32c.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace troupe {

namespace {

constexpr std::size_t pieces_per_write_max = 64;

} // namespace

expected<data_keys> derive_data_keys(const tls_stream& tls) {
  std::array<std::byte, 16 + 32 + 32> bytes;
  if (!tls.export_key("EXPORTER-troupe-data-v1", bytes))
    return error{errc::unavailable, "TLS exports no key"};
  data_keys keys;
  keys.token = {load_le<std::uint64_t>(bytes.data()), load_le<std::uint64_t>(bytes.data() + 8)};
  std::copy_n(bytes.begin() + 16, 32, keys.to_acceptor.begin());
  std::copy_n(bytes.begin() + 48, 32, keys.to_dialler.begin());
  return keys;
}

data_channel::data_channel(channel_host& host, unique_fd fd, tls_stream::side which,
                           bool connecting, const data_keys& keys, bool encrypt,
                           std::string address, channel_events& events)
  : host_(host), fd_(std::move(fd)), side_(which), address_(std::move(address)), token_(keys.token),
    events_(events), state_(connecting ? state::connecting : state::greeting),
    sealer_(frame_cipher::direction::seal,
            which == tls_stream::side::dialler ? keys.to_acceptor : keys.to_dialler, encrypt),
    opener_(frame_cipher::direction::open,
            which == tls_stream::side::dialler ? keys.to_dialler : keys.to_acceptor, encrypt) {
  host_.loop.watch(fd_.get(), connecting ? EPOLLOUT : EPOLLIN,
                   [this](std::uint32_t e) { on_event(e); });
  if (!connecting && side_ == tls_stream::side::dialler)
    greet();
}

data_channel::~data_channel() {
  shut();
}

void data_channel::shut() {
  state_ = state::failed;
  if (!fd_)
    return;
  host_.loop.unwatch(fd_.get());
  fd_.reset();
}

void data_channel::fail(const error& why) {
  if (state_ == state::failed)
    return;
  auto copy = why;
  shut();
  events_.channel_failed(copy);
}

void data_channel::greet() {
  frame_header hello;
  hello.kind =
    side_ == tls_stream::side::dialler ? frame_kind::data_hello : frame_kind::data_welcome;
  hello.request = token_.first;
  hello.target = token_.second;
  send(hello, {}, {});
  flush();
}

void data_channel::on_event(std::uint32_t) {
  auto keep = events_.keep_alive();
  if (state_ == state::connecting) {
    auto ok = connect_outcome(fd_.get(), address_);
    if (!ok)
      return fail(ok.error());
    state_ = state::greeting;
    host_.loop.change(fd_.get(), EPOLLIN);
    greet();
  } else if (unsent_bytes_ > 0) {
    flush();
  }
  if (state_ != state::failed && read())
    events_.channel_stopped_at_budget();
}

void data_channel::send(frame_header header, byte_vector body, std::vector<shared_bytes> bulk) {
  auto& f = out_.emplace_back();
  f.body = std::move(body);
  f.bulk = std::move(bulk);
  header.payload_crc = crc32c(f.body);
  std::vector<byte_view> parts{f.body};
  std::size_t bulk_bytes = 0;
  for (const auto& b : f.bulk) {
    header.payload_crc = crc32c(b.view(), header.payload_crc);
    parts.push_back(b.view());
    bulk_bytes += b.size();
  }
  header.body_bytes = static_cast<std::uint32_t>(f.body.size());
  header.bulk_bytes = static_cast<std::uint32_t>(bulk_bytes);
  header.sequence = next_sent_++;
  encode_frame_header(header, f.head.data());
  byte_view head{f.head.data(), frame_header_bytes};
  frame_tag tag;
  if (sealer_.encrypts()) {
    auto sealed = host_.buffers.allocate(header.payload_bytes());
    tag = sealer_.seal(header.sequence, head, parts, sealed.bytes);
    f.body.clear();
    f.bulk = {sealed.window(0, header.payload_bytes())};
  } else {
    tag = sealer_.sign(header.sequence, head, parts);
  }
  std::copy(tag.begin(), tag.end(), f.head.begin() + frame_header_bytes);
  f.bytes = head_bytes + header.payload_bytes();
  unsent_bytes_ += f.bytes;
}

void data_channel::flush() {
  while (unsent_bytes_ > 0 && (state_ == state::open || state_ == state::greeting)) {
    std::array<iovec, pieces_per_write_max> pieces;
    std::size_t count = 0;
    auto skip = out_at_;
    auto add = [&](byte_view piece) {
      auto left_out = std::min(skip, piece.size());
      skip -= left_out;
      piece = piece.subspan(left_out);
      if (!piece.empty() && count < pieces.size())
        pieces[count++] = {const_cast<std::byte*>(piece.data()), piece.size()};
    };
    for (auto it = out_.begin(); it != out_.end() && count < pieces.size(); ++it) {
      add(it->head);
      add(it->body);
      for (const auto& b : it->bulk)
        add(b.view());
    }
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    auto n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno == EAGAIN) {
      host_.loop.change(fd_.get(), EPOLLIN | EPOLLOUT);
      return;
    }
    if (n < 0)
      return fail({errc::unavailable, std::string{"data connection: "} + std::strerror(errno)});
    auto sent = static_cast<std::size_t>(n);
    sent_bytes_ += sent;
    unsent_bytes_ -= sent;
    out_at_ += sent;
    while (!out_.empty() && out_at_ >= out_.front().bytes) {
      out_at_ -= out_.front().bytes;
      out_.pop_front();
    }
  }
  if (state_ == state::open || state_ == state::greeting)
    host_.loop.change(fd_.get(), EPOLLIN);
}

std::size_t data_channel::missing() const {
  return current_ ? current_->payload_bytes() - filled_ : 0;
}

std::size_t data_channel::fill(byte_view bytes) {
  auto taken = std::min(bytes.size(), missing());
  bytes = bytes.first(taken);
  // On the wire the body comes first; in memory the bulk does.
  std::size_t body = current_->body_bytes;
  if (filled_ < body) {
    auto n = std::min(body - filled_, bytes.size());
    std::memcpy(payload_.bytes.data() + current_->bulk_bytes + filled_, bytes.data(), n);
    filled_ += n;
    bytes = bytes.subspan(n);
  }
  if (!bytes.empty()) {
    std::memcpy(payload_.bytes.data() + (filled_ - body), bytes.data(), bytes.size());
    filled_ += bytes.size();
  }
  return taken;
}

bool data_channel::read() {
  std::size_t budget = host_.options.read_bytes_per_turn;
  while (state_ == state::open || state_ == state::greeting) {
    if (!take_staged())
      return false;
    // Straight into the payload; what follows it into the staging area.
    std::array<iovec, 3> pieces;
    int count = 0;
    std::size_t wanted = missing();
    if (wanted > 0) {
      std::size_t body = current_->body_bytes;
      auto* base = payload_.bytes.data();
      if (filled_ < body) {
        pieces[0] = {base + current_->bulk_bytes + filled_, body - filled_};
        pieces[1] = {base, current_->bulk_bytes};
        count = 2;
      } else {
        pieces[0] = {base + (filled_ - body), wanted};
        count = 1;
      }
    }
    auto room = wanted + staged_.size() - staged_end_;
    pieces[static_cast<std::size_t>(count++)] = {staged_.data() + staged_end_,
                                                 staged_.size() - staged_end_};
    auto n = ::readv(fd_.get(), pieces.data(), count);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0 && errno == EAGAIN)
      return false;
    if (n <= 0) {
      fail({errc::unavailable, n == 0 ? "the peer closed the data connection"
                                      : std::string{"data connection: "} + std::strerror(errno)});
      return false;
    }
    auto got = static_cast<std::size_t>(n);
    received_bytes_ += got;
    auto direct = std::min(got, wanted);
    filled_ += direct;
    staged_end_ += got - direct;
    if (got < room) { // the socket is empty now, or epoll says when it is not
      take_staged();
      return false;
    }
    if (got >= budget)
      return take_staged();
    budget -= got;
  }
  return false;
}

bool data_channel::take_staged() {
  while (state_ == state::open || state_ == state::greeting) {
    if (current_) {
      staged_begin_ += fill(byte_view{staged_}.subspan(staged_begin_, staged_end_ - staged_begin_));
      if (missing() > 0)
        break;
      if (!finish_frame())
        return false;
    } else if (staged_end_ - staged_begin_ < head_bytes) {
      break;
    } else if (!begin_frame()) {
      return false;
    }
  }
  if (state_ == state::failed)
    return false;
  std::memmove(staged_.data(), staged_.data() + staged_begin_, staged_end_ - staged_begin_);
  staged_end_ -= staged_begin_;
  staged_begin_ = 0;
  return true;
}

bool data_channel::begin_frame() {
  auto limits = host_.options.limits;
  if (state_ == state::greeting)
    limits = {.body_bytes_max = 0, .bulk_bytes_max = 0};
  std::copy_n(staged_.begin() + static_cast<std::ptrdiff_t>(staged_begin_), head_bytes,
              current_head_.begin());
  staged_begin_ += head_bytes;
  auto header = decode_frame_header(current_head_.data(), limits);
  if (!header) {
    fail(header.error());
    return false;
  }
  current_ = *header;
  filled_ = 0;
  payload_ = host_.buffers.allocate(header->payload_bytes());
  return true;
}

bool data_channel::finish_frame() {
  auto header = *current_;
  current_.reset();
  frame_tag tag;
  std::copy_n(current_head_.begin() + frame_header_bytes, frame_tag_bytes, tag.begin());
  auto bulk = payload_.bytes.first(header.bulk_bytes);
  auto body = payload_.bytes.subspan(header.bulk_bytes, header.body_bytes);
  std::array<std::span<std::byte>, 2> parts{body, bulk};
  bool ok = header.sequence == next_received_
            && opener_.open(next_received_, {current_head_.data(), frame_header_bytes}, parts, tag);
  ++next_received_;
  if (!ok || payload_crc(body, bulk) != header.payload_crc) {
    // Nothing in an unauthentic head can be believed, not even where the next frame begins.
    fail({errc::corrupt, "data frame that is not authentic"});
    return false;
  }
  received_frame frame{header, body, payload_.window(0, header.bulk_bytes)};
  auto keep = std::exchange(payload_, {});
  if (state_ == state::open) {
    events_.channel_received(frame);
    return state_ != state::failed;
  }
  bool dialler = side_ == tls_stream::side::dialler;
  auto expected_kind = dialler ? frame_kind::data_welcome : frame_kind::data_hello;
  if (header.kind != expected_kind || session_token{header.request, header.target} != token_) {
    fail({errc::corrupt, "data connection that does not greet"});
    return false;
  }
  state_ = state::open;
  if (!dialler)
    greet();
  if (state_ == state::open)
    events_.channel_opened();
  return state_ != state::failed;
}

} // namespace troupe
