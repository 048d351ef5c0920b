#pragma once

#include "actors/transport/frame_format.hpp"
#include "messages/ids.hpp"
#include "messages/roles.hpp"

#include <cstdint>
#include <string>

namespace troupe {

/// When the data connections of two processes are encrypted. They are authenticated always, and
/// the control connection is encrypted always. The stricter of the two sides decides.
enum class backend_encryption : std::uint8_t {
  automatic = 0, ///< Unless both are on one machine.
  always = 1,
  never = 2,
};

/// Every bound and timeout of the transport. Tests run with tiny values.
struct transport_options {
  std::uint32_t connect_timeout_ms = 3000;
  std::uint32_t handshake_timeout_ms = 5000; ///< TLS and hello together.
  std::uint32_t heartbeat_ms = 500;
  std::uint32_t dead_peer_ms = 3000;   ///< Silence after which a peer counts as dead.
  std::uint32_t reconnect_ms_min = 50; ///< Doubles with every failure in a row, up to the next.
  std::uint32_t reconnect_ms_max = 2000;
  std::uint32_t renew_wait_ms = 30'000;        ///< For what is in flight when certificates changed.
  std::uint64_t renew_before_end_ms = 600'000; ///< Dial again when a certificate ends this soon.

  std::uint64_t request_window_bytes = 16 << 20; ///< Requests and answers set aside, per peer.
  std::uint64_t one_way_window_bytes = 8 << 20;  ///< One-way bytes not yet consumed, per peer.
  std::uint32_t requests_max = 4096;             ///< In flight per peer.
  std::uint64_t queue_bytes_max = 32 << 20;      ///< Waiting for the window; then errc::busy.
  std::uint32_t queue_count_max = 16384;

  frame_limits limits;
  std::uint32_t bulk_on_data_min = 4096; ///< Frames with less bulk go over the control connection.
  std::uint32_t read_bytes_per_turn = 1 << 20; ///< Per connection, then others get their turn.
  std::uint64_t unsent_bytes_max = 64 << 20;   ///< A peer that does not read is dropped above it.
  backend_encryption encryption = backend_encryption::automatic;

  std::uint32_t unauthenticated_max = 128; ///< In their handshake, per listener; the oldest yields.
  std::uint32_t connections_max = 1024;    ///< Authenticated ones, per listener.
  std::uint32_t connections_per_certificate_max = 256; ///< Of those, with the same certificate.

  /// What the peers of one listener may hold here together: requests in work, answers that they do
  /// not read. Above it the largest holder's largest session goes.
  std::uint64_t held_bytes_max = 1 << 30;
  std::uint32_t held_bytes_passed_over = 1 << 20; ///< Nobody looks at a session that holds less.

  std::uint32_t checksum_errors_max = 8; ///< Of one peer within the window; more isolate it.
  std::uint32_t checksum_window_ms = 60'000;
  std::uint32_t isolation_ms = 60'000;
  std::uint32_t damaged_clients_max = 1024; ///< Whose damage is remembered.
};

/// Protocol versions that this program speaks: N-1 to N, once there is a released N-1.
/// 2: listeners of their own for clients, revoked certificates in configuration and view.
inline constexpr std::uint16_t protocol_oldest = 2;
inline constexpr std::uint16_t protocol_newest = 2;

} // namespace troupe
