#include "actors/transport/tls_stream.hpp"

#include "storage/base/assert.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

namespace troupe {

namespace {

constexpr int chain_depth_max = 1; // the CA signs leaves, nothing between

/// OpenSSL writes to sockets without MSG_NOSIGNAL.
void ignore_sigpipe() {
  static const bool once = [] {
    struct sigaction old {};
    if (::sigaction(SIGPIPE, nullptr, &old) == 0 && old.sa_handler == SIG_DFL)
      std::signal(SIGPIPE, SIG_IGN);
    return true;
  }();
  static_cast<void>(once);
}

error from_openssl(unsigned long code) {
  char text[200] = "";
  ::ERR_error_string_n(code, text, sizeof(text));
  if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
    switch (ERR_GET_REASON(code)) {
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return {errc::wrong_cluster, "the peer does not know our CA", trp::foreign_certificate};
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return {errc::permission_denied, "the peer says that our certificate has expired",
              trp::bad_certificate};
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
      return {errc::permission_denied, "the peer refused our certificate", trp::bad_certificate};
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
    case SSL_R_SSLV3_ALERT_BAD_RECORD_MAC: return {errc::corrupt, text};
    default: break;
    }
  }
  return {errc::unavailable, text};
}

error from_verification(long code) {
  auto text = std::string{"the peer's certificate: "} + ::X509_verify_cert_error_string(code);
  switch (code) {
  case X509_V_ERR_CERT_HAS_EXPIRED:
  case X509_V_ERR_CERT_NOT_YET_VALID: return {errc::permission_denied, text, trp::bad_certificate};
  default: return {errc::wrong_cluster, text, trp::foreign_certificate};
  }
}

} // namespace

expected<tls_context> tls_context::make(const credentials& own) {
  ignore_sigpipe();
  tls_context x;
  x.own_ = info_of(*own.certificate);
  auto authorities = std::make_shared<authority_list>();
  x.context_.reset(::SSL_CTX_new(::TLS_method()));
  auto* c = x.context_.get();
  if (!c)
    return error{errc::invalid_argument, "TLS is not available"};
  auto* store = ::SSL_CTX_get_cert_store(c);
  bool ok = ::SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) == 1
            && ::SSL_CTX_set_ciphersuites(c, "TLS_AES_256_GCM_SHA384") == 1
            && ::SSL_CTX_use_certificate(c, own.certificate.get()) == 1
            && ::SSL_CTX_use_PrivateKey(c, own.key.get()) == 1
            && ::SSL_CTX_set_num_tickets(c, 0) == 1;
  for (const auto& ca : own.authorities) {
    ok = ok && ::X509_STORE_add_cert(store, ca.get()) == 1 && ::X509_up_ref(ca.get()) == 1;
    if (ok)
      authorities->emplace_back(ca.get());
  }
  x.authorities_ = std::move(authorities);
  if (!ok)
    return error{errc::invalid_argument, "OpenSSL refuses the certificate", trp::bad_certificate};
  ::SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  ::SSL_CTX_set_verify_depth(c, chain_depth_max);
  ::SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  ::SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  ::SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                          | SSL_MODE_RELEASE_BUFFERS);
  // Reads a socket buffer of several records at once.
  ::SSL_CTX_set_read_ahead(c, 1);
  ::SSL_CTX_set_default_read_buffer_len(c, 64 * 1024);
  return x;
}

tls_stream::tls_stream(const tls_context& context, int fd, side which)
  : ssl_(::SSL_new(context.get())), side_(which) {
  TROUPE_ASSERT(ssl_ != nullptr);
  TROUPE_ASSERT(::SSL_set_fd(ssl_.get(), fd) == 1);
  if (which == side::dialler)
    ::SSL_set_connect_state(ssl_.get());
  else
    ::SSL_set_accept_state(ssl_.get());
}

tls_stream::state tls_stream::classify(int rc) {
  int number = errno;
  switch (::SSL_get_error(ssl_.get(), rc)) {
  case SSL_ERROR_WANT_READ: return state::want_read;
  case SSL_ERROR_WANT_WRITE: return state::want_write;
  case SSL_ERROR_ZERO_RETURN: return state::closed;
  default: break;
  }
  auto verified = ::SSL_get_verify_result(ssl_.get());
  auto code = ::ERR_get_error();
  ::ERR_clear_error();
  if (verified != X509_V_OK)
    failure_ = from_verification(verified);
  else if (code == 0 && (number == 0 || number == ECONNRESET || number == EPIPE))
    return state::closed;
  else if (code == 0)
    failure_ = {errc::unavailable, std::strerror(number)};
  else if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
    return state::closed;
  else
    failure_ = from_openssl(code);
  return state::failed;
}

tls_stream::state tls_stream::handshake() {
  ::ERR_clear_error();
  errno = 0;
  int rc = ::SSL_do_handshake(ssl_.get());
  return rc == 1 ? state::done : classify(rc);
}

tls_stream::result tls_stream::read(std::span<std::byte> into) {
  ::ERR_clear_error();
  errno = 0;
  std::size_t n = 0;
  int rc = ::SSL_read_ex(ssl_.get(), into.data(), into.size(), &n);
  if (rc == 1)
    return {state::done, n};
  return {classify(rc), 0};
}

bool tls_stream::holds_more() const {
  return ::SSL_has_pending(ssl_.get()) == 1;
}

tls_stream::result tls_stream::write(byte_view from) {
  ::ERR_clear_error();
  errno = 0;
  std::size_t n = 0;
  int rc = ::SSL_write_ex(ssl_.get(), from.data(), from.size(), &n);
  if (rc == 1)
    return {state::done, n};
  return {classify(rc), 0};
}

expected<trusted_peer> tls_stream::peer() const {
  openssl_ptr<X509> certificate{::SSL_get1_peer_certificate(ssl_.get())};
  if (!certificate)
    return error{errc::permission_denied, "the peer showed no certificate",
                 trp::foreign_certificate};
  auto who = identity_of(*certificate);
  if (!who)
    return who.error();
  trusted_peer out;
  out.info = info_of(*certificate);
  out.certificate = std::move(certificate);
  return out;
}

bool tls_stream::export_key(const char* label, std::span<std::byte> out) const {
  return ::SSL_export_keying_material(ssl_.get(), reinterpret_cast<unsigned char*>(out.data()),
                                      out.size(), label, std::strlen(label), nullptr, 0, 0)
         == 1;
}

} // namespace troupe
