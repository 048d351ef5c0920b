#pragma once

#include "messages/error.hpp"
#include "messages/roles.hpp"

#include <openssl/types.h>

#include <memory>
#include <string>

namespace troupe {

struct openssl_deleter {
  void operator()(X509* x) const;
  void operator()(EVP_PKEY* x) const;
  void operator()(SSL_CTX* x) const;
  void operator()(SSL* x) const;
  void operator()(EVP_CIPHER_CTX* x) const;
};
template <class T>
using openssl_ptr = std::unique_ptr<T, openssl_deleter>;

/// Where a process finds what proves who it is. PEM files.
struct credential_files {
  std::string certificate;
  std::string key; ///< Must not be readable by others.
  std::string ca;  ///< The cluster's CA certificate.
};

/// Loaded and checked: the key belongs to the certificate, the CA signed it, it is valid now, and
/// it names one identity.
struct credentials {
  openssl_ptr<X509> certificate;
  openssl_ptr<EVP_PKEY> key;
  openssl_ptr<X509> ca;
  certified_identity identity;
};

/// Reads and checks the three files before anything uses them. Errors name the file:
/// trp::bad_certificate (missing, unreadable, malformed, expired, not yet valid, wrong key, key
/// readable by others) or trp::foreign_certificate (another CA, or another cluster than
/// `cluster`, if that is not the null uuid).
expected<credentials> load_credentials(const credential_files& files,
                                       const cluster_uuid& cluster = {});

/// A CA certificate with its key.
struct ca_pair {
  openssl_ptr<X509> certificate;
  openssl_ptr<EVP_PKEY> key;
  cluster_uuid cluster;
};
/// Reads and checks both files; errors as above.
expected<ca_pair> load_ca(const std::string& certificate_path, const std::string& key_path);

/// Whom a certificate names. errc::permission_denied (trp::foreign_certificate) if it names
/// nobody of a Troupe cluster, or more than one.
expected<certified_identity> identity_of(const X509& certificate);

/// Days that the certificate is still valid; negative if it expired.
int days_left(const X509& certificate);

} // namespace troupe
