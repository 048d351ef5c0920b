#include "actors/transport/connection.hpp"

#include "storage/base/assert.hpp"

namespace troupe {

expected<std::shared_ptr<connection>>
connection::dial(channel_host& host, const std::string& address, connection_owner& owner) {
  auto fd = start_connect(address);
  if (!fd)
    return fd.error();
  std::shared_ptr<connection> self{new connection(host, owner)};
  self->control_ = std::make_unique<control_channel>(
    host, std::move(*fd), tls_stream::side::dialler, true, address, *self);
  return self;
}

std::shared_ptr<connection> connection::accept(channel_host& host, unique_fd fd,
                                               connection_owner& owner) {
  std::shared_ptr<connection> self{new connection(host, owner)};
  self->control_ = std::make_unique<control_channel>(host, std::move(fd),
                                                     tls_stream::side::acceptor, false, "", *self);
  return self;
}

void connection::send(const frame_header& header, byte_vector body,
                      std::vector<shared_bytes> bulk) {
  if (closed_)
    return;
  std::size_t bulk_bytes = 0;
  for (const auto& b : bulk)
    bulk_bytes += b.size();
  if (bulk_bytes >= host_.options.bulk_on_data_min && has_data())
    data_->send(header, std::move(body), std::move(bulk));
  else
    control_->send(header, body, bulk);
  if (!flush_queued_) {
    flush_queued_ = true;
    host_.flush_later(weak_from_this());
  }
}

expected<void> connection::open_data(const std::string& address, bool encrypt) {
  TROUPE_ASSERT(!data_);
  auto derived = keys();
  if (!derived)
    return derived.error();
  auto fd = start_connect(address);
  if (!fd)
    return fd.error();
  data_ = std::make_unique<data_channel>(host_, std::move(*fd), tls_stream::side::dialler, true,
                                         *derived, encrypt, address, *this);
  return {};
}

expected<void> connection::adopt_data(unique_fd fd, bool encrypt) {
  if (data_ || closed_)
    return error{errc::already_exists, "the session has a data connection"};
  auto derived = keys();
  if (!derived)
    return derived.error();
  data_ = std::make_unique<data_channel>(host_, std::move(fd), tls_stream::side::acceptor, false,
                                         *derived, encrypt, "", *this);
  return {};
}

void connection::close(const error& why) {
  if (closed_)
    return;
  auto keep = shared_from_this();
  auto copy = why;
  auto* owner = owner_;
  abandon();
  owner->connection_closed(copy);
}

void connection::abandon() {
  if (closed_)
    return;
  closed_ = true;
  control_->shut();
  if (data_)
    data_->shut();
}

void connection::flush() {
  flush_queued_ = false;
  if (!closed_)
    control_->flush();
  if (!closed_ && data_)
    data_->flush();
}

void connection::read_on() {
  auto keep = shared_from_this();
  read_queued_ = false;
  bool more = false;
  if (!closed_ && control_->open())
    more |= control_->read();
  if (!closed_ && data_)
    more |= data_->read();
  if (more)
    channel_stopped_at_budget();
}

void connection::channel_stopped_at_budget() {
  if (read_queued_ || closed_)
    return;
  read_queued_ = true;
  host_.read_later(weak_from_this());
}

void connection::channel_opened() {
  if (told_open_)
    return owner_->connection_has_data();
  told_open_ = true;
  auto peer = control_->tls().peer();
  if (!peer)
    return close(peer.error());
  owner_->connection_opened(std::move(*peer));
}

void connection::channel_received(received_frame& frame) {
  owner_->connection_received(frame);
}

void connection::channel_bad_payload(const frame_header& header) {
  owner_->connection_damaged(header);
}

std::size_t connection::unsent_bytes() const {
  return control_->unsent_bytes() + (data_ ? data_->unsent_bytes() : 0);
}

std::uint64_t connection::sent_bytes() const {
  return control_->sent_bytes() + (data_ ? data_->sent_bytes() : 0);
}

std::uint64_t connection::received_bytes() const {
  return control_->received_bytes() + (data_ ? data_->received_bytes() : 0);
}

} // namespace troupe
