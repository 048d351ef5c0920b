#include "actors/security/certificates.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sys/stat.h>
#include <vector>

namespace troupe {

void openssl_deleter::operator()(X509* x) const {
  ::X509_free(x);
}
void openssl_deleter::operator()(EVP_PKEY* x) const {
  ::EVP_PKEY_free(x);
}
void openssl_deleter::operator()(SSL_CTX* x) const {
  ::SSL_CTX_free(x);
}
void openssl_deleter::operator()(SSL* x) const {
  ::SSL_free(x);
}
void openssl_deleter::operator()(EVP_CIPHER_CTX* x) const {
  ::EVP_CIPHER_CTX_free(x);
}

namespace {

error bad(const std::string& path, const std::string& what) {
  return {errc::invalid_argument, path + ": " + what, trp::bad_certificate};
}

struct file_closer {
  void operator()(std::FILE* f) const { std::fclose(f); }
};
using file_ptr = std::unique_ptr<std::FILE, file_closer>;

expected<file_ptr> open_pem(const std::string& path) {
  file_ptr f{std::fopen(path.c_str(), "re")};
  if (!f)
    return bad(path, std::strerror(errno));
  return f;
}

/// Never asks a terminal for a passphrase.
int no_passphrase(char*, int, int, void*) {
  return 0;
}

expected<openssl_ptr<X509>> read_certificate(const std::string& path) {
  auto f = open_pem(path);
  if (!f)
    return f.error();
  openssl_ptr<X509> x{::PEM_read_X509(f->get(), nullptr, no_passphrase, nullptr)};
  if (!x)
    return bad(path, "is not a PEM certificate");
  return x;
}

expected<openssl_ptr<EVP_PKEY>> read_key(const std::string& path) {
  auto f = open_pem(path);
  if (!f)
    return f.error();
  struct stat st {};
  if (::fstat(::fileno(f->get()), &st) != 0)
    return bad(path, std::strerror(errno));
  if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return bad(path, "others may read this key; chmod 600 it");
  openssl_ptr<EVP_PKEY> key{::PEM_read_PrivateKey(f->get(), nullptr, no_passphrase, nullptr)};
  if (!key)
    return bad(path, "is not a PEM key without passphrase");
  return key;
}

expected<void> check_dates(const std::string& path, const X509& x) {
  if (::X509_cmp_current_time(::X509_get0_notBefore(&x)) > 0)
    return bad(path, "is not valid yet (is the clock right?)");
  if (::X509_cmp_current_time(::X509_get0_notAfter(&x)) < 0)
    return bad(path, "has expired");
  return {};
}

std::vector<std::string> uris_of(const X509& certificate) {
  std::vector<std::string> uris;
  auto* names = static_cast<GENERAL_NAMES*>(
    ::X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    auto* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI)
      continue;
    auto* text = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(::ASN1_STRING_get0_data(text)),
                      static_cast<std::size_t>(::ASN1_STRING_length(text)));
  }
  ::GENERAL_NAMES_free(names);
  return uris;
}

} // namespace

expected<certified_identity> identity_of(const X509& certificate) {
  certified_identity found;
  int matches = 0;
  for (const auto& uri : uris_of(certificate))
    matches += parse_identity(uri, found);
  if (matches != 1)
    return error{errc::permission_denied, "certificate names no member of a Troupe cluster",
                 trp::foreign_certificate};
  return found;
}

expected<ca_pair> load_ca(const std::string& certificate_path, const std::string& key_path) {
  auto certificate = read_certificate(certificate_path);
  if (!certificate)
    return certificate.error();
  auto key = read_key(key_path);
  if (!key)
    return key.error();
  if (::X509_check_private_key(certificate->get(), key->get()) != 1)
    return bad(key_path, "does not belong to " + certificate_path);
  if (auto ok = check_dates(certificate_path, **certificate); !ok)
    return ok.error();
  constexpr std::string_view prefix = "troupe:cluster/";
  cluster_uuid cluster;
  auto uris = uris_of(**certificate);
  if (uris.size() != 1 || uris[0].compare(0, prefix.size(), prefix) != 0
      || !parse_uuid(uris[0].substr(prefix.size()), cluster))
    return error{errc::wrong_cluster, certificate_path + ": is not the CA of a Troupe cluster",
                 trp::foreign_certificate};
  return ca_pair{std::move(*certificate), std::move(*key), cluster};
}

int days_left(const X509& certificate) {
  int days = 0;
  int seconds = 0;
  ::ASN1_TIME_diff(&days, &seconds, nullptr, ::X509_get0_notAfter(&certificate));
  return seconds < 0 && days == 0 ? -1 : days;
}

expected<credentials> load_credentials(const credential_files& files, const cluster_uuid& cluster) {
  auto certificate = read_certificate(files.certificate);
  if (!certificate)
    return certificate.error();
  auto key = read_key(files.key);
  if (!key)
    return key.error();
  auto ca = read_certificate(files.ca);
  if (!ca)
    return ca.error();
  if (::X509_check_private_key(certificate->get(), key->get()) != 1)
    return bad(files.key, "does not belong to " + files.certificate);
  if (auto ok = check_dates(files.ca, **ca); !ok)
    return ok.error();
  if (auto ok = check_dates(files.certificate, **certificate); !ok)
    return ok.error();
  if (::X509_verify(certificate->get(), ::X509_get0_pubkey(ca->get())) != 1)
    return error{errc::wrong_cluster, files.certificate + ": was not signed by " + files.ca,
                 trp::foreign_certificate};
  auto identity = identity_of(**certificate);
  if (!identity)
    return error{errc::wrong_cluster, files.certificate + ": " + identity.error().context,
                 trp::foreign_certificate};
  if (cluster && identity->cluster != cluster)
    return error{errc::wrong_cluster,
                 files.certificate + ": names cluster " + to_string(identity->cluster) + ", not "
                   + to_string(cluster),
                 trp::foreign_certificate};
  return credentials{std::move(*certificate), std::move(*key), std::move(*ca), *identity};
}

} // namespace troupe
