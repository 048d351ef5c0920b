#include "actors/transport/channel_host.hpp"

#include "actors/transport/connection.hpp"

namespace troupe {

channel_host::channel_host(reactor& l, const transport_options& o, tls_context t)
  : loop(l), options(o), tls(std::move(t)) {
  hook_ = loop.add_turn_hook([this] { flush_all(); });
  source_ = loop.add_source([this] { return read_all(); });
}

channel_host::~channel_host() {
  loop.remove(hook_);
  loop.remove(source_);
}

void channel_host::flush_later(std::weak_ptr<connection> who) {
  dirty_.push_back(std::move(who));
  loop.request_turn();
}

void channel_host::read_later(std::weak_ptr<connection> who) {
  unread_.push_back(std::move(who));
  loop.request_turn();
}

void channel_host::flush_all() {
  // A flush that fails runs callbacks, and those may send: that is for the next turn.
  auto batch = std::exchange(dirty_, {});
  for (auto& weak : batch)
    if (auto c = weak.lock())
      c->flush();
}

bool channel_host::read_all() {
  auto batch = std::exchange(unread_, {});
  for (auto& weak : batch)
    if (auto c = weak.lock())
      c->read_on();
  return !unread_.empty();
}

} // namespace troupe
