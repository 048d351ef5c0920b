#pragma once

#include "actors/security/certificates.hpp"

#include <cstdint>

namespace troupe {

/// How long certificates live.
struct certificate_lifetime {
  std::int64_t ca_days = 3650;
  std::int64_t leaf_days = 1825;
  std::int64_t leaf_seconds = 0;    ///< On top of the days.
  std::int64_t backdate_hours = 24; ///< Before now: clocks of new machines are often behind.
};

/// A new certificate with its key, as PEM text.
struct issued_certificate {
  std::string certificate;
  std::string key;
  certificate_info info;
};

/// A cluster's own certificate authority: one EC P-256 key that signs the certificates of its
/// nodes, clients and administrators, and nobody else's. Who holds the key file owns the cluster;
/// running nodes do not need it.
class certificate_authority {
public:
  /// Makes a new key and its self-signed certificate. Nothing is written yet.
  static expected<certificate_authority> create(const cluster_uuid& cluster,
                                                certificate_lifetime lifetime = {});
  /// Reads what `save` wrote. Errors as those of `load_credentials`.
  static expected<certificate_authority> load(const std::string& certificate_path,
                                              const std::string& key_path,
                                              certificate_lifetime lifetime = {});

  /// Writes both files, the key with mode 0600; neither may exist. Durable when it returns.
  expected<void> save(const std::string& certificate_path, const std::string& key_path) const;

  /// Makes a key and a certificate for one member, signed. Nothing is written.
  expected<issued_certificate> issue(peer_role role, std::uint64_t id) const;
  /// Makes a key and a certificate for one member, signed, and writes both files as `save` does.
  expected<void> issue(peer_role role, std::uint64_t id, const std::string& certificate_path,
                       const std::string& key_path) const;

  const cluster_uuid& cluster() const { return cluster_; }
  const X509& certificate() const { return *certificate_; }
  /// The key as PEM text: never log or send it.
  expected<std::string> key_pem() const;

private:
  certificate_authority(cluster_uuid cluster, certificate_lifetime lifetime,
                        openssl_ptr<X509> certificate, openssl_ptr<EVP_PKEY> key)
    : cluster_(cluster), lifetime_(lifetime), certificate_(std::move(certificate)),
      key_(std::move(key)) {}

  cluster_uuid cluster_;
  certificate_lifetime lifetime_;
  openssl_ptr<X509> certificate_;
  openssl_ptr<EVP_PKEY> key_;
};

} // namespace troupe
