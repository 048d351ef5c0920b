#pragma once

#include "messages/error.hpp"

#include <string>
#include <utility>

namespace troupe {

/// A descriptor that is closed with its owner.
class unique_fd {
public:
  unique_fd() = default;
  explicit unique_fd(int fd) : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~unique_fd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset() { *this = unique_fd{}; }

private:
  int fd_ = -1;
};

/// A listening socket on "127.0.0.1:7400" or "[::1]:7400"; numbers only, because names would
/// block. Port 0 takes a free one. errc::already_exists (trp::port_in_use) if somebody listens.
expected<unique_fd> listen_on(const std::string& address);
/// The address of a socket of ours, as `listen_on` takes it.
expected<std::string> local_address(int fd);
/// A socket whose connect is under way: writable when it is decided, see `connect_outcome`.
expected<unique_fd> start_connect(const std::string& address);
/// Whether the connect worked. errc::unavailable with the reason if not.
expected<void> connect_outcome(int fd, const std::string& address);
/// Takes one waiting connection; an empty one if none waits. `no_descriptors` is set if one waits
/// for which the process or the machine has no descriptor.
unique_fd accept_one(int listener, bool& no_descriptors);
/// Where the other end of a connected socket is, without its port: "10.0.0.7", "::1"; "?" if that
/// is not known any more.
std::string peer_host(int fd);
/// True if both ends of a connected socket have the same address: the peer is on this machine, or
/// something on this machine forwards.
bool is_local_connection(int fd);

} // namespace troupe
