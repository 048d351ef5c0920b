#pragma once

#include "actors/kit/reactor.hpp"
#include "actors/transport/buffer_pool.hpp"
#include "actors/transport/tls_stream.hpp"
#include "actors/transport/transport_options.hpp"

#include <memory>
#include <vector>

namespace troupe {

class connection;

/// What all connections of a process share, and the two moments of a turn in which they work
/// together: reading on where a budget ended, and flushing what the turn produced.
class channel_host {
public:
  channel_host(reactor& loop, const transport_options& options, tls_context tls);
  ~channel_host();
  channel_host(const channel_host&) = delete;
  channel_host& operator=(const channel_host&) = delete;

  /// The connection has something to send: it is flushed once, at the end of the turn.
  void flush_later(std::weak_ptr<connection> who);
  /// The connection stopped reading at its budget: it reads on in the next turn.
  void read_later(std::weak_ptr<connection> who);

  reactor& loop;
  const transport_options options;
  tls_context tls; ///< For new connections; open ones keep theirs.
  buffer_pool buffers;

private:
  void flush_all();
  bool read_all();

  std::vector<std::weak_ptr<connection>> dirty_;
  std::vector<std::weak_ptr<connection>> unread_;
  hook_id hook_{};
  hook_id source_{};
};

} // namespace troupe
