#include "actors/security/certificates.hpp"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <sys/stat.h>
#include <unistd.h>
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

constexpr std::size_t authorities_max = 16;

error open_to_others(const std::string& path, const char* what) {
  return {errc::permission_denied, path + ": " + what, trp::open_to_others};
}

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
    return open_to_others(path, "others may read this key; chmod 600 it");
  if (st.st_uid != ::geteuid() && st.st_uid != 0)
    return open_to_others(path, "belongs to another user");
  auto slash = path.rfind('/');
  if (auto fine = check_private_directory(slash == std::string::npos ? "." : path.substr(0, slash));
      !fine)
    return fine.error();
  openssl_ptr<EVP_PKEY> key{::PEM_read_PrivateKey(f->get(), nullptr, no_passphrase, nullptr)};
  if (!key)
    return bad(path, "is not a PEM key without passphrase");
  return key;
}

wall_time to_wall(const ASN1_TIME* time) {
  std::tm parts{};
  if (!time || ::ASN1_TIME_to_tm(time, &parts) != 1)
    return {};
  return {static_cast<std::int64_t>(::timegm(&parts)) * 1'000'000'000};
}

expected<void> check_dates_at(const std::string& name, const X509& x, wall_time now) {
  if (to_wall(::X509_get0_notBefore(&x)) > now)
    return bad(name, "is not valid yet (is the clock right?)");
  if (to_wall(::X509_get0_notAfter(&x)) < now)
    return bad(name, "has expired");
  return {};
}

expected<void> check_dates(const std::string& path, const X509& x) {
  return check_dates_at(path, x, {static_cast<std::int64_t>(::time(nullptr)) * 1'000'000'000});
}

std::string hex_of(const ASN1_OCTET_STRING* bytes) {
  constexpr const char* digits = "0123456789abcdef";
  std::string out;
  for (int i = 0; bytes && i < ::ASN1_STRING_length(bytes); ++i) {
    auto byte = ::ASN1_STRING_get0_data(bytes)[i];
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
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

/// The cluster that a CA certificate names, or the null uuid.
cluster_uuid cluster_of_ca(const X509& ca) {
  constexpr std::string_view prefix = "troupe:cluster/";
  cluster_uuid cluster;
  auto uris = uris_of(ca);
  if (uris.size() != 1 || uris[0].compare(0, prefix.size(), prefix) != 0
      || !parse_uuid(uris[0].substr(prefix.size()), cluster))
    return {};
  return cluster;
}

} // namespace

expected<void> check_private_directory(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0)
    return bad(path, std::strerror(errno));
  if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return open_to_others(path, "others may look into this directory; chmod 700 it");
  if (st.st_uid != ::geteuid() && st.st_uid != 0)
    return open_to_others(path, "belongs to another user");
  return {};
}

expected<authority_list> load_authorities(const std::string& path) {
  auto f = open_pem(path);
  if (!f)
    return f.error();
  authority_list out;
  while (auto* x = ::PEM_read_X509(f->get(), nullptr, no_passphrase, nullptr)) {
    out.emplace_back(x);
    if (out.size() > authorities_max)
      return bad(path, "holds more than 16 certificates");
  }
  auto end = ::ERR_peek_last_error(); // "no start line" is the end of the file
  ::ERR_clear_error();
  if (out.empty() || ERR_GET_REASON(end) != PEM_R_NO_START_LINE)
    return bad(path, "is not a PEM certificate");
  return out;
}

std::string authority_id(const X509& ca) {
  return hex_of(::X509_get0_subject_key_id(const_cast<X509*>(&ca)));
}

certificate_info info_of(const X509& certificate) {
  certificate_info out;
  if (auto* number = ::ASN1_INTEGER_to_BN(::X509_get0_serialNumber(&certificate), nullptr)) {
    if (auto* text = ::BN_bn2hex(number)) {
      out.serial.hex = text;
      OPENSSL_free(text);
    }
    ::BN_free(number);
  }
  for (auto& c : out.serial.hex)
    c = static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
  auto who = identity_of(certificate);
  if (who)
    out.who = *who;
  else
    out.who.cluster = cluster_of_ca(certificate);
  out.not_before = to_wall(::X509_get0_notBefore(&certificate));
  out.not_after = to_wall(::X509_get0_notAfter(&certificate));
  auto* issuer = ::X509_get0_authority_key_id(const_cast<X509*>(&certificate));
  out.authority = issuer ? hex_of(issuer) : authority_id(certificate);
  return out;
}

expected<wall_time> check_certificate(const X509& certificate, const authority_list& authorities,
                                      wall_time now) {
  if (auto fine = check_dates_at("certificate", certificate, now); !fine)
    return fine.error();
  for (const auto& ca : authorities) {
    if (::X509_verify(const_cast<X509*>(&certificate), ::X509_get0_pubkey(ca.get())) != 1)
      continue;
    if (auto fine = check_dates_at("its CA", *ca, now); !fine)
      return fine.error();
    ::ERR_clear_error();
    return std::min(to_wall(::X509_get0_notAfter(&certificate)),
                    to_wall(::X509_get0_notAfter(ca.get())));
  }
  ::ERR_clear_error();
  return error{errc::wrong_cluster, "certificate of an authority that is not trusted",
               trp::foreign_certificate};
}

std::string to_pem(const X509& certificate) {
  std::unique_ptr<BIO, int (*)(BIO*)> out{::BIO_new(::BIO_s_mem()), ::BIO_free};
  if (!out || ::PEM_write_bio_X509(out.get(), &certificate) != 1)
    return {};
  char* at = nullptr;
  auto n = BIO_get_mem_data(out.get(), &at);
  return {at, static_cast<std::size_t>(n)};
}

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
  auto bundle = load_authorities(certificate_path);
  if (!bundle)
    return bundle.error();
  auto key = read_key(key_path);
  if (!key)
    return key.error();
  openssl_ptr<X509> certificate;
  for (auto& ca : *bundle)
    if (!certificate && ::X509_check_private_key(ca.get(), key->get()) == 1)
      certificate = std::move(ca);
  ::ERR_clear_error();
  if (!certificate)
    return bad(key_path, "does not belong to " + certificate_path);
  if (auto ok = check_dates(certificate_path, *certificate); !ok)
    return ok.error();
  auto cluster = cluster_of_ca(*certificate);
  if (!cluster)
    return error{errc::wrong_cluster, certificate_path + ": is not the CA of a Troupe cluster",
                 trp::foreign_certificate};
  return ca_pair{std::move(certificate), std::move(*key), cluster};
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
  auto bundle = load_authorities(files.ca);
  if (!bundle)
    return bundle.error();
  if (::X509_check_private_key(certificate->get(), key->get()) != 1)
    return bad(files.key, "does not belong to " + files.certificate);
  const X509* signer = nullptr;
  for (const auto& ca : *bundle)
    if (!signer && ::X509_verify(certificate->get(), ::X509_get0_pubkey(ca.get())) == 1)
      signer = ca.get();
  ::ERR_clear_error();
  if (!signer)
    return error{errc::wrong_cluster, files.certificate + ": was not signed by " + files.ca,
                 trp::foreign_certificate};
  if (auto ok = check_dates(files.ca, *signer); !ok)
    return ok.error();
  if (auto ok = check_dates(files.certificate, **certificate); !ok)
    return ok.error();
  auto identity = identity_of(**certificate);
  if (!identity)
    return error{errc::wrong_cluster, files.certificate + ": " + identity.error().context,
                 trp::foreign_certificate};
  if (cluster && identity->cluster != cluster)
    return error{errc::wrong_cluster,
                 files.certificate + ": names cluster " + to_string(identity->cluster) + ", not "
                   + to_string(cluster),
                 trp::foreign_certificate};
  for (const auto& ca : *bundle)
    if (cluster_of_ca(*ca) != identity->cluster)
      return error{errc::wrong_cluster, files.ca + ": holds the CA of another cluster",
                   trp::foreign_certificate};
  return credentials{std::move(*certificate), std::move(*key), std::move(*bundle), *identity};
}

} // namespace troupe
