#include "actors/transport/socket.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace troupe {

namespace {

constexpr int backlog = 1024;

struct socket_address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

expected<socket_address> parse_address(const std::string& text) {
  error wrong{errc::invalid_argument, "not an address with a port: \"" + text + "\""};
  auto colon = text.rfind(':');
  if (colon == std::string::npos)
    return wrong;
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  auto [at, status] = std::from_chars(text.data() + colon + 1, end, port);
  if (status != std::errc{} || at != end)
    return wrong;
  auto host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  socket_address x;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&x.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&x.storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    x.length = sizeof(sockaddr_in);
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    x.length = sizeof(sockaddr_in6);
  } else {
    return wrong;
  }
  return x;
}

unique_fd new_socket(const socket_address& address) {
  return unique_fd{
    ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
}

/// Requests are small and wait for answers: no delay to fill a packet. We batch ourselves.
void set_no_delay(int fd) {
  int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

} // namespace

unique_fd::~unique_fd() {
  if (fd_ >= 0)
    ::close(fd_);
}

expected<unique_fd> listen_on(const std::string& address) {
  auto parsed = parse_address(address);
  if (!parsed)
    return parsed.error();
  auto fd = new_socket(*parsed);
  int one = 1;
  if (!fd)
    return error{errc::io_error, std::string{"socket: "} + std::strerror(errno)};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (::bind(fd.get(), parsed->get(), parsed->length) != 0 || ::listen(fd.get(), backlog) != 0) {
    if (errno == EADDRINUSE)
      return error{errc::already_exists, address, trp::port_in_use};
    return error{errc::io_error, "listen on " + address + ": " + std::strerror(errno),
                 errno == EACCES ? trp::no_permission : error_id{}};
  }
  return fd;
}

expected<std::string> local_address(int fd) {
  socket_address x;
  x.length = sizeof(x.storage);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&x.storage), &x.length) != 0)
    return error{errc::io_error, std::string{"getsockname: "} + std::strerror(errno)};
  char text[INET6_ADDRSTRLEN] = "";
  if (x.storage.ss_family == AF_INET) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&x.storage);
    ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    return std::string{text} + ":" + std::to_string(ntohs(v4->sin_port));
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&x.storage);
  ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
  return "[" + std::string{text} + "]:" + std::to_string(ntohs(v6->sin6_port));
}

expected<unique_fd> start_connect(const std::string& address) {
  auto parsed = parse_address(address);
  if (!parsed)
    return parsed.error();
  auto fd = new_socket(*parsed);
  if (!fd)
    return error{errc::unavailable, std::string{"socket: "} + std::strerror(errno)};
  set_no_delay(fd.get());
  if (::connect(fd.get(), parsed->get(), parsed->length) != 0 && errno != EINPROGRESS)
    return error{errc::unavailable, "connect to " + address + ": " + std::strerror(errno)};
  return fd;
}

expected<void> connect_outcome(int fd, const std::string& address) {
  int number = 0;
  socklen_t length = sizeof(number);
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &length) != 0)
    number = errno;
  if (number != 0)
    return error{errc::unavailable, "connect to " + address + ": " + std::strerror(number)};
  return {};
}

unique_fd accept_one(int listener, bool& no_descriptors) {
  unique_fd fd{::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (fd)
    set_no_delay(fd.get());
  else
    no_descriptors = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
  return fd;
}

std::string peer_host(int fd) {
  socket_address x;
  x.length = sizeof(x.storage);
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&x.storage), &x.length) != 0)
    return "?";
  char text[INET6_ADDRSTRLEN] = "?";
  if (x.storage.ss_family == AF_INET)
    ::inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&x.storage)->sin_addr, text, sizeof(text));
  else if (x.storage.ss_family == AF_INET6)
    ::inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(&x.storage)->sin6_addr, text,
                sizeof(text));
  return text;
}

bool is_local_connection(int fd) {
  socket_address here;
  socket_address there;
  here.length = there.length = sizeof(here.storage);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&here.storage), &here.length) != 0
      || ::getpeername(fd, reinterpret_cast<sockaddr*>(&there.storage), &there.length) != 0
      || here.storage.ss_family != there.storage.ss_family)
    return false;
  if (here.storage.ss_family == AF_INET)
    return reinterpret_cast<sockaddr_in*>(&here.storage)->sin_addr.s_addr
           == reinterpret_cast<sockaddr_in*>(&there.storage)->sin_addr.s_addr;
  return std::memcmp(&reinterpret_cast<sockaddr_in6*>(&here.storage)->sin6_addr,
                     &reinterpret_cast<sockaddr_in6*>(&there.storage)->sin6_addr, sizeof(in6_addr))
         == 0;
}

} // namespace troupe
