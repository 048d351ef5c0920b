#include "actors/transport/doorstep.hpp"

#include "storage/base/coding.hpp"

#include <array>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace troupe {

namespace {

constexpr std::byte tls_handshake_record{0x16};
constexpr std::size_t data_hello_bytes = frame_header_bytes + frame_tag_bytes;

/// How many bytes make the socket readable.
void set_low_water(int fd, int bytes) {
  ::setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

} // namespace

doorstep::doorstep(channel_host& host, unique_fd fd, std::function<void(visitor)> decided)
  : host_(host), fd_(std::move(fd)), decided_(std::move(decided)) {
  host_.loop.watch(fd_.get(), EPOLLIN | EPOLLRDHUP, [this](std::uint32_t e) { look(e); });
  timer_ = host_.loop.call_after_ms(host_.options.handshake_timeout_ms, [this] { decide({}); });
}

doorstep::~doorstep() {
  if (fd_)
    host_.loop.unwatch(fd_.get());
  host_.loop.cancel(timer_);
}

std::string doorstep::host() const {
  return fd_ ? peer_host(fd_.get()) : "?";
}

void doorstep::decide(visitor who) {
  auto decided = std::exchange(decided_, nullptr);
  decided(std::move(who)); // may destroy this
}

void doorstep::look(std::uint32_t events) {
  std::array<std::byte, data_hello_bytes> first{};
  auto n = ::recv(fd_.get(), first.data(), first.size(), MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  visitor who;
  if (n > 0 && first[0] == tls_handshake_record) {
    who.what = visitor::wish::control;
  } else if (n >= 4 && load_le<std::uint32_t>(first.data()) == frame_magic) {
    // Who has said his last word in the middle would be readable for ever.
    bool all = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (static_cast<std::size_t>(n) < first.size() && !all)
      return set_low_water(fd_.get(), static_cast<int>(first.size()));
    auto header = decode_frame_header(first.data(), {.body_bytes_max = 0, .bulk_bytes_max = 0});
    if (static_cast<std::size_t>(n) == first.size() && header
        && header->kind == frame_kind::data_hello) {
      who.what = visitor::wish::data;
      who.token = {header->request, header->target};
      set_low_water(fd_.get(), 1);
    }
  }
  host_.loop.unwatch(fd_.get());
  host_.loop.cancel(timer_);
  who.fd = std::move(fd_);
  decide(std::move(who));
}

} // namespace troupe
