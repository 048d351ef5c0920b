#pragma once

#include "actors/transport/data_channel.hpp"

namespace troupe {

/// What a connection tells its owner: a link (that dialled) or a session (that was dialled).
class connection_owner {
public:
  /// TLS is done; this is the certificate that the peer showed.
  virtual void connection_opened(trusted_peer peer) = 0;
  virtual void connection_received(received_frame& frame) = 0;
  /// A frame arrived whose payload was damaged on the way; its header is right.
  virtual void connection_damaged(const frame_header& header) = 0;
  /// Frames with bulk go over their own connection from now on.
  virtual void connection_has_data() = 0;
  /// Nothing is sent or received any more. The last call.
  virtual void connection_closed(const error& why) = 0;

protected:
  ~connection_owner() = default;
};

/// The control connection to a peer and, once opened, its data connection. Either of them lost
/// loses both: sequence numbers start again with new keys.
class connection : public channel_events, public std::enable_shared_from_this<connection> {
public:
  static expected<std::shared_ptr<connection>> dial(channel_host& host, const std::string& address,
                                                    connection_owner& owner);
  static std::shared_ptr<connection> accept(channel_host& host, unique_fd fd,
                                            connection_owner& owner);
  virtual ~connection() = default;
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// Queues a frame for the end of the turn. Frames with much bulk take the data connection; the
  /// two have no mutual order. Does nothing after it is closed.
  void send(const frame_header& header, byte_vector body, std::vector<shared_bytes> bulk);
  /// Dialler: opens the data connection.
  expected<void> open_data(const std::string& address, bool encrypt);
  /// Acceptor: `fd` begins with a data_hello for this session.
  expected<void> adopt_data(unique_fd fd, bool encrypt);
  /// Keys of the data connection; only after `connection_opened`.
  expected<data_keys> keys() const { return derive_data_keys(control_->tls()); }
  /// Both ends have the same address.
  bool local() const { return control_->local(); }
  /// The peer has said hello: frames may be large from now on.
  void authenticated() { control_->limit(host_.options.limits); }

  /// Closes both and tells the owner.
  void close(const error& why);
  /// Closes both; the owner is going away and hears nothing.
  void abandon();
  bool closed() const { return closed_; }

  bool has_data() const { return data_ && data_->open(); }
  std::size_t unsent_bytes() const;
  std::uint64_t sent_bytes() const;
  std::uint64_t received_bytes() const;

private:
  friend class channel_host;
  connection(channel_host& host, connection_owner& owner) : host_(host), owner_(&owner) {}

  void flush();
  void read_on();

  // channel_events; `control_` tells the two channels apart only where it matters
  std::shared_ptr<void> keep_alive() override { return shared_from_this(); }
  void channel_opened() override;
  void channel_received(received_frame& frame) override;
  void channel_bad_payload(const frame_header& header) override;
  void channel_failed(const error& why) override { close(why); }
  void channel_stopped_at_budget() override;

  channel_host& host_;
  connection_owner* owner_;
  std::unique_ptr<control_channel> control_;
  std::unique_ptr<data_channel> data_;
  bool told_open_ = false;
  bool flush_queued_ = false;
  bool read_queued_ = false;
  bool closed_ = false;
};

} // namespace troupe
