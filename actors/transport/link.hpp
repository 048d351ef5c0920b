#pragma once

#include "actors/transport/connection.hpp"
#include "actors/transport/transport_core.hpp"

#include <deque>
#include <set>

namespace troupe {

/// How one request is to be sent.
struct request_options {
  std::uint32_t timeout_ms = 10'000; ///< Always finite.
  std::uint32_t answer_bytes = 0;    ///< To set aside for the answer; 0: the catalogue's figure.
  trace_context trace = current_trace();
};

/// The coded answer to a request, or why there is none. Body and bulk as in `received_frame`.
using coded_answer = std::function<void(const received_frame* answer, const error& why)>;

/// This process's way to one node: dials, says hello, sends requests and matches the answers,
/// dials again with backoff. What it promises:
///
/// - Every request is answered exactly once: by the peer, or by errc::timeout after its timeout,
///   by errc::may_have_happened at the moment the connection is lost, by errc::unavailable if it
///   was never sent, by errc::busy if the queue is full. Never inside `request`.
/// - Requests in flight and the answers set aside for them stay below the window that the peer
///   granted; beyond it they wait in a bounded queue, in order.
/// - While the first dial after a loss is under way requests wait; after it failed they are
///   refused at once until a dial works.
/// - `renew` replaces the connection without losing a request: what is in flight is waited for,
///   what is new waits, then the link dials again.
/// - A peer that is silent for `dead_peer_ms` is given up, whether its process stopped, its machine
///   died or the wire broke.
class link : public connection_owner, public std::enable_shared_from_this<link> {
public:
  link(transport_core& core, node_id peer, std::string address);
  /// Fails what is pending.
  virtual ~link();
  link(const link&) = delete;
  link& operator=(const link&) = delete;

  /// Begins to dial.
  void start();
  /// Closes, fails what is pending, and never dials again.
  void stop();
  /// Dials again as soon as nothing is in flight, at the latest after `renew_wait_ms`: this
  /// process, or the peer, has another certificate now.
  void renew();
  /// Where the peer listens now; a connection to the old address stays.
  void set_address(std::string address) { address_ = std::move(address); }

  void request(std::uint16_t message, std::uint64_t target, wire_message body,
               const request_options& options, coded_answer done);
  /// One-way: errc::unavailable or errc::busy if it cannot be sent now; it is not queued.
  expected<void> send(std::uint16_t message, std::uint64_t target, wire_message body);

  bool up() const { return state_ == state::up; }
  incarnation peer_process() const { return peer_process_; }
  const certificate_info& certificate() const { return trusted_.info; }
  const error& last_error() const { return last_error_; }
  link_report report() const;
  std::size_t pending_count() const { return pending_.size(); }
  std::uint64_t in_flight_bytes() const { return in_flight_bytes_; }

private:
  enum class state : std::uint8_t { stopped, dialling, greeting, up, waiting };
  struct pending_request {
    frame_header header; ///< Of a queued one, with its body and bulk.
    wire_message message;
    bool sent = false;
    std::uint64_t cost = 0;
    coded_answer done; ///< Empty after the timeout; the peer still has the work.
    trace_context trace;
    boot_time due;
  };

  void dial();
  void renew_if_idle();
  void dial_failed(const error& why);
  void hello_answered(const received_frame& frame);
  void answered(received_frame& frame);
  void transmit(std::uint64_t id, pending_request& p);
  void pump();
  void fail_all(const error& why);
  void fail_unsent(const error& why);
  void refuse(coded_answer done, error why);
  void deliver(pending_request& p, const received_frame* frame, const error& why);
  void arm_timeout();
  void expire();
  void heartbeat();
  void count_damage();
  std::string name() const;

  // connection_owner
  void connection_opened(trusted_peer peer) override;
  void connection_received(received_frame& frame) override;
  void connection_damaged(const frame_header& header) override;
  void connection_has_data() override {}
  void connection_closed(const error& why) override;

  transport_core& core_;
  node_id peer_;
  std::string address_;
  certified_identity peer_identity_;
  trusted_peer trusted_;
  bool draining_ = false;      ///< Nothing new is sent until the connection was renewed.
  bool renew_when_up_ = false; ///< The dial under way began with the old certificate.
  bool renewing_ = false;      ///< The new connection is on its way; nobody was told of the loss.
  std::uint64_t draining_since_beat_ = 0;
  wall_time renewed_at_;
  state state_ = state::stopped;
  std::shared_ptr<connection> connection_;
  error last_error_;
  std::uint32_t backoff_ms_ = 0;
  incarnation peer_process_;
  bool encrypt_data_ = false;

  std::map<std::uint64_t, pending_request> pending_; // ids grow: oldest first
  std::deque<std::uint64_t> queue_;                  // unsent ones
  std::set<std::pair<boot_time, std::uint64_t>> due_;
  std::uint64_t next_request_ = 1;
  std::uint64_t in_flight_bytes_ = 0;
  std::uint32_t in_flight_count_ = 0;
  std::uint64_t queued_bytes_ = 0;
  std::uint64_t window_bytes_ = 0;
  std::uint64_t one_way_window_bytes_ = 0;
  std::uint64_t one_way_sent_ = 0;
  std::uint64_t one_way_credited_ = 0;

  timer_id timer_{};         // dial timeout, reconnect or heartbeat, by state
  timer_id timeout_timer_{}; // earliest due request
  boot_time timeout_armed_;
  std::uint64_t heartbeat_count_ = 0;
  boot_time heartbeat_sent_;
  std::uint64_t heard_bytes_ = 0; // from the peer, as of the last heartbeat
  std::uint32_t quiet_beats_ = 0; // heartbeats since the last of them
  std::uint64_t round_trip_ns_ = 0;
  std::uint64_t sent_before_ = 0; // by earlier connections
  std::uint64_t received_before_ = 0;
};

} // namespace troupe
