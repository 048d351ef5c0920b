#pragma once

#include "actors/transport/connection.hpp"
#include "actors/transport/transport_core.hpp"

namespace troupe {

class session;

/// What a session tells the transport that accepted it.
class session_owner {
public:
  /// The peer said hello. @returns an error to refuse it (wrong role, no room).
  virtual expected<void> session_greeted(session& who) = 0;
  /// It holds more than `held_bytes_passed_over`. May stop it, or another one.
  virtual void session_holds_much() = 0;
  /// Nothing more comes from it; drop it, but not inside this call.
  virtual void session_ended(session& who) = 0;

protected:
  ~session_owner() = default;
};

/// A peer that dialled us: its requests go to the dispatcher, the answers go back. It holds at most
/// what the window that we grant allows: a peer that sends beyond it, or does not read its
/// answers, is dropped.
class session : public connection_owner, public std::enable_shared_from_this<session> {
public:
  session(transport_core& core, session_owner& owner, std::uint64_t number);
  virtual ~session();
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  /// Begins TLS on an accepted socket.
  void start(unique_fd fd);
  void stop(const error& why);
  /// A data connection that began with this session's token.
  void adopt_data(unique_fd fd);

  std::uint64_t number() const { return number_; }
  bool greeted() const { return greeted_; }
  const certified_identity& peer() const { return trusted_.info.who; }
  const certificate_info& certificate() const { return trusted_.info; }
  const certificate_serial& serial() const { return trusted_.info.serial; }
  session_token token() const { return token_; }
  /// "client/1", "somebody at 10.0.0.7".
  std::string name() const;
  link_report report() const;
  /// Unanswered requests with the answers set aside for them.
  std::uint64_t in_flight_bytes() const { return in_flight_bytes_; }
  /// Memory that it takes here: requests in work, answers that it does not read.
  std::uint64_t held_bytes() const;

private:
  /// Of one request in its session's window.
  struct request_cost {
    std::uint64_t arrived = 0;
    std::uint64_t answer = 0; ///< Set aside for it.
  };
  void take_hello(const received_frame& frame);
  void take_request(received_frame& frame);
  void take_one_way(received_frame& frame);
  void answered(const request_cost& cost);
  void answer(std::uint64_t request, trace_context trace, std::uint16_t message,
              expected<wire_message> what);
  void look_at_held();
  request_context context_of(const received_frame& frame) const;
  void check_alive();
  void count_damage();

  // connection_owner
  void connection_opened(trusted_peer peer) override;
  void connection_received(received_frame& frame) override;
  void connection_damaged(const frame_header& header) override;
  void connection_has_data() override {}
  void connection_closed(const error& why) override;

  transport_core& core_;
  session_owner& owner_;
  std::uint64_t number_;
  std::shared_ptr<connection> connection_;
  trusted_peer trusted_;
  incarnation peer_process_;
  std::string host_;       ///< Where it comes from.
  health_subject subject_; ///< Against whom its damage counts; known with the hello.
  session_token token_;
  bool greeted_ = false;
  bool refused_ = false; ///< It was told why.
  bool encrypt_data_ = false;
  timer_id timer_{}; // handshake timeout, then the watch for silence
  std::uint64_t heard_bytes_ = 0;
  std::uint32_t quiet_beats_ = 0;
  std::uint64_t in_flight_bytes_ = 0;
  std::uint64_t in_work_bytes_ = 0; ///< Of those, what arrived.
  std::uint32_t in_flight_count_ = 0;
  std::uint64_t one_way_taken_ = 0;
  std::uint64_t one_way_credited_ = 0;
};

} // namespace troupe
