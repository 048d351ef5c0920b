#pragma once

#include "actors/security/peer_trust.hpp"
#include "messages/bytes.hpp"

namespace troupe {

/// TLS 1.3 for both ends of a connection between members of one cluster: both show a certificate
/// of the cluster's CA, nothing else is accepted, no session is resumed.
class tls_context {
public:
  /// errc::invalid_argument if OpenSSL refuses the credentials.
  static expected<tls_context> make(const credentials& own);
  SSL_CTX* get() const { return context_.get(); }
  const certified_identity& identity() const { return own_.who; }
  const certificate_info& own() const { return own_; }
  std::shared_ptr<const authority_list> authorities() const { return authorities_; }

private:
  openssl_ptr<SSL_CTX> context_;
  certificate_info own_;
  std::shared_ptr<const authority_list> authorities_;
};

/// TLS on a non-blocking socket. Calls never block and never raise SIGPIPE. Not thread-safe.
class tls_stream {
public:
  enum class side : std::uint8_t { dialler, acceptor };
  enum class state : std::uint8_t {
    done,       ///< Something was done; go on.
    want_read,  ///< Again when the socket is readable.
    want_write, ///< Again when the socket is writable.
    closed,     ///< The peer ended the stream.
    failed,     ///< See `failure`.
  };
  struct result {
    state what = state::failed;
    std::size_t bytes = 0;
  };

  /// `fd` stays the caller's.
  tls_stream(const tls_context& context, int fd, side which);

  /// Until `done`. Afterwards the peer's chain is verified and `peer` says who it is.
  state handshake();
  /// Until `want_read`: what TLS has buffered, the socket does not announce again.
  result read(std::span<std::byte> into);
  /// TLS has bytes, whole records or not, that `read` has not given out.
  bool holds_more() const;
  result write(byte_view from);
  /// The peer's certificate, and whom it names.
  expected<trusted_peer> peer() const;
  /// Bytes that both ends derive from this session alone (RFC 8446, exporters).
  bool export_key(const char* label, std::span<std::byte> out) const;
  /// Why it failed, told apart as far as TLS tells: trp::foreign_certificate,
  /// trp::bad_certificate (expired), errc::corrupt (a record was damaged).
  const error& failure() const { return failure_; }

private:
  state classify(int rc);

  openssl_ptr<SSL> ssl_;
  side side_;
  error failure_;
};

} // namespace troupe
