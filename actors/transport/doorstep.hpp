#pragma once

#include "actors/transport/channel_host.hpp"
#include "actors/transport/data_channel.hpp"

#include <functional>

namespace troupe {

/// An accepted socket that has not said what it is. Waits for the first bytes without taking them:
/// TLS begins a control connection, a data_hello frame begins the data connection of a session,
/// and anything else is shown out.
class doorstep {
public:
  struct visitor {
    enum class wish : std::uint8_t { control, data, none } what = wish::none;
    unique_fd fd;
    session_token token; ///< Of a data connection.
  };
  /// `decided` is called once, also when the timeout ran out or the peer went.
  doorstep(channel_host& host, unique_fd fd, std::function<void(visitor)> decided);
  ~doorstep();
  doorstep(const doorstep&) = delete;
  doorstep& operator=(const doorstep&) = delete;

  /// Where it comes from, while it has not decided.
  std::string host() const;

private:
  void look(std::uint32_t events);
  void decide(visitor who);

  channel_host& host_;
  unique_fd fd_;
  std::function<void(visitor)> decided_;
  timer_id timer_{};
};

} // namespace troupe
