#pragma once

#include "messages/certificates.hpp"
#include "messages/error.hpp"

#include <openssl/types.h>

#include <memory>
#include <string>
#include <vector>

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

/// Certificates of the authorities that a process believes: one, or while the CA is being
/// rotated the old and the new.
using authority_list = std::vector<openssl_ptr<X509>>;

/// Where a process finds what proves who it is. PEM files.
struct credential_files {
  std::string certificate;
  std::string
    key;          ///< Must belong to this user, and neither it nor its directory be open to others.
  std::string ca; ///< The cluster's CA certificates, one behind the other.
};

/// Loaded and checked: the key belongs to the certificate, a CA of the bundle signed it, it is
/// valid now, and it names one identity.
struct credentials {
  openssl_ptr<X509> certificate;
  openssl_ptr<EVP_PKEY> key;
  authority_list authorities; ///< At least one; all of this cluster.
  certified_identity identity;
};

/// Reads and checks the three files before anything uses them. Errors name the file:
/// trp::bad_certificate (missing, unreadable, malformed, expired, not yet valid, wrong key),
/// trp::open_to_others (key or its directory) or trp::foreign_certificate (another CA, or another
/// cluster than `cluster`, if that is not the null uuid).
expected<credentials> load_credentials(const credential_files& files,
                                       const cluster_uuid& cluster = {});

/// trp::open_to_others if somebody else than this user (and root) may look into the directory.
expected<void> check_private_directory(const std::string& path);

/// Reads all certificates of a PEM file, at least one and at most 16. trp::bad_certificate.
expected<authority_list> load_authorities(const std::string& path);

/// A CA certificate with its key.
struct ca_pair {
  openssl_ptr<X509> certificate;
  openssl_ptr<EVP_PKEY> key;
  cluster_uuid cluster;
};
/// Reads and checks both files; of several CA certificates the one that belongs to the key. Errors
/// as above.
expected<ca_pair> load_ca(const std::string& certificate_path, const std::string& key_path);

/// Whom a certificate names. errc::permission_denied (trp::foreign_certificate) if it names
/// nobody of a Troupe cluster, or more than one.
expected<certified_identity> identity_of(const X509& certificate);

/// What a person wants to know of it. Role none for a CA, and for what names nobody.
certificate_info info_of(const X509& certificate);
/// Key identifier of a CA, as `authority` names it in what it signed.
std::string authority_id(const X509& ca);
/// Whether one of `authorities` signed it and both are valid at `now`. @returns until when they
/// are. trp::foreign_certificate, trp::bad_certificate.
expected<wall_time> check_certificate(const X509& certificate, const authority_list& authorities,
                                      wall_time now);
/// The certificate as PEM text.
std::string to_pem(const X509& certificate);

/// Days that the certificate is still valid; negative if it expired.
int days_left(const X509& certificate);

} // namespace troupe
