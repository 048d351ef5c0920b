#pragma once

#include "actors/security/certificates.hpp"

#include <catch2/catch.hpp>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string>
#include <utility>
#include <vector>

namespace troupe::test {

/// A certificate that no `certificate_authority` would issue.
struct forged {
  openssl_ptr<X509> certificate;
  openssl_ptr<EVP_PKEY> key;
};

inline openssl_ptr<EVP_PKEY> key_in(const std::string& path) {
  std::FILE* f = std::fopen(path.c_str(), "r");
  REQUIRE(f != nullptr);
  openssl_ptr<EVP_PKEY> key{::PEM_read_PrivateKey(f, nullptr, nullptr, nullptr)};
  std::fclose(f);
  REQUIRE(key);
  return key;
}

struct forgery {
  std::string names; ///< Subject alternative names, "URI:troupe:…,URI:…".
  std::string constraints = "critical,CA:FALSE";
  std::string usage = "serverAuth,clientAuth"; ///< Empty: none.
  long from_s = -3600;
  long until_s = 3600;
};

/// Signed with that key, whosever it is; without an issuer by itself.
inline forged forge(const forgery& what, const X509* issuer, EVP_PKEY* issuer_key) {
  forged out{openssl_ptr<X509>{::X509_new()}, openssl_ptr<EVP_PKEY>{EVP_EC_gen("P-256")}};
  auto* x = out.certificate.get();
  static long serial = 1000;
  auto add = [&](int nid, const std::string& value) {
    auto* e = ::X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    REQUIRE(e != nullptr);
    REQUIRE(::X509_add_ext(x, e, -1) == 1);
    ::X509_EXTENSION_free(e);
  };
  auto* name = ::X509_get_subject_name(x);
  auto text = "forged " + std::to_string(serial);
  REQUIRE(::X509_set_version(x, X509_VERSION_3) == 1);
  REQUIRE(::ASN1_INTEGER_set(::X509_get_serialNumber(x), serial++) == 1);
  ::X509_gmtime_adj(::X509_getm_notBefore(x), what.from_s);
  ::X509_gmtime_adj(::X509_getm_notAfter(x), what.until_s);
  REQUIRE(::X509_set_pubkey(x, out.key.get()) == 1);
  REQUIRE(::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                       reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1,
                                       0)
          == 1);
  REQUIRE(::X509_set_issuer_name(x, issuer ? ::X509_get_subject_name(issuer) : name) == 1);
  add(NID_basic_constraints, what.constraints);
  if (!what.usage.empty())
    add(NID_ext_key_usage, what.usage);
  add(NID_subject_alt_name, what.names);
  REQUIRE(::X509_sign(x, issuer ? issuer_key : out.key.get(), ::EVP_sha256()) > 0);
  return out;
}

} // namespace troupe::test
