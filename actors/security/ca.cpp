#include "actors/security/ca.hpp"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace troupe {

namespace {

constexpr std::int64_t day_seconds = 24 * 3600;

struct bio_deleter {
  void operator()(BIO* x) const { ::BIO_free(x); }
};
using bio_ptr = std::unique_ptr<BIO, bio_deleter>;

error openssl_failed(const char* what) {
  char text[160] = "";
  ::ERR_error_string_n(::ERR_get_error(), text, sizeof(text));
  ::ERR_clear_error();
  return {errc::io_error, std::string{what} + ": " + text};
}

bool add_extension(X509& x, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  ::X509V3_set_ctx(&context, issuer, &x, nullptr, nullptr, 0);
  auto* extension = ::X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (!extension)
    return false;
  bool ok = ::X509_add_ext(&x, extension, -1) == 1;
  ::X509_EXTENSION_free(extension);
  return ok;
}

/// 128 random bits: unique without a counter on disk.
bool set_serial(X509& x) {
  unsigned char bytes[16];
  if (::RAND_bytes(bytes, sizeof(bytes)) != 1)
    return false;
  bytes[0] &= 0x7f;
  auto* number = ::BN_bin2bn(bytes, sizeof(bytes), nullptr);
  bool ok = number && ::BN_to_ASN1_INTEGER(number, ::X509_get_serialNumber(&x));
  ::BN_free(number);
  return ok;
}

bool set_common(X509& x, EVP_PKEY& key, const std::string& name, std::int64_t seconds,
                std::int64_t backdate_hours) {
  auto* subject = ::X509_get_subject_name(&x);
  return ::X509_set_version(&x, X509_VERSION_3) == 1 && set_serial(x)
         && ::X509_gmtime_adj(::X509_getm_notBefore(&x), -backdate_hours * 3600)
         && ::X509_gmtime_adj(::X509_getm_notAfter(&x), seconds) && ::X509_set_pubkey(&x, &key) == 1
         && ::X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC,
                                         reinterpret_cast<const unsigned char*>("troupe"), -1, -1,
                                         0)
              == 1
         && ::X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                         reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                                         -1, 0)
              == 1;
}

/// Creates the file, which must not exist, with its mode from the first moment.
expected<void> write_new_file(const std::string& path, const std::string& text, mode_t mode) {
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0)
    return error{errno == EEXIST ? errc::already_exists : errc::io_error,
                 path + ": " + std::strerror(errno),
                 errno == EACCES ? trp::no_permission : error_id{}};
  std::size_t done = 0;
  while (done < text.size()) {
    auto n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    done += static_cast<std::size_t>(n);
  }
  bool ok = done == text.size() && ::fsync(fd) == 0;
  int number = errno;
  ::close(fd);
  if (!ok) {
    ::unlink(path.c_str());
    return error{errc::io_error, path + ": " + std::strerror(number)};
  }
  return {};
}

expected<std::string> pem_of(const EVP_PKEY& key) {
  bio_ptr secret{::BIO_new(::BIO_s_secmem())};
  if (!secret
      || ::PEM_write_bio_PKCS8PrivateKey(secret.get(), &key, nullptr, nullptr, 0, nullptr, nullptr)
           != 1)
    return openssl_failed("PEM");
  char* at = nullptr;
  auto n = BIO_get_mem_data(secret.get(), &at);
  return std::string{at, static_cast<std::size_t>(n)};
}

expected<void> write_pair(const std::string& certificate, const std::string& key,
                          const std::string& certificate_path, const std::string& key_path) {
  if (auto ok = write_new_file(key_path, key, 0600); !ok)
    return ok;
  return write_new_file(certificate_path, certificate, 0644);
}

} // namespace

expected<certificate_authority> certificate_authority::create(const cluster_uuid& cluster,
                                                              certificate_lifetime lifetime) {
  openssl_ptr<EVP_PKEY> key{EVP_EC_gen("P-256")};
  openssl_ptr<X509> x{::X509_new()};
  if (!key || !x)
    return openssl_failed("key");
  auto name = "troupe cluster " + to_string(cluster);
  // The cluster is named in the CA too, so that the file says whose it is.
  bool ok =
    set_common(*x, *key, name, lifetime.ca_days * day_seconds, lifetime.backdate_hours)
    && ::X509_set_issuer_name(x.get(), ::X509_get_subject_name(x.get())) == 1
    && add_extension(*x, x.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0")
    && add_extension(*x, x.get(), NID_key_usage, "critical,keyCertSign,cRLSign")
    && add_extension(*x, x.get(), NID_subject_key_identifier, "hash")
    && add_extension(*x, x.get(), NID_subject_alt_name, "URI:troupe:cluster/" + to_string(cluster))
    && ::X509_sign(x.get(), key.get(), ::EVP_sha256()) > 0;
  if (!ok)
    return openssl_failed("CA certificate");
  return certificate_authority{cluster, lifetime, std::move(x), std::move(key)};
}

expected<certificate_authority> certificate_authority::load(const std::string& certificate_path,
                                                            const std::string& key_path,
                                                            certificate_lifetime lifetime) {
  auto pair = load_ca(certificate_path, key_path);
  if (!pair)
    return pair.error();
  return certificate_authority{pair->cluster, lifetime, std::move(pair->certificate),
                               std::move(pair->key)};
}

expected<std::string> certificate_authority::key_pem() const {
  return pem_of(*key_);
}

expected<void> certificate_authority::save(const std::string& certificate_path,
                                           const std::string& key_path) const {
  auto key = key_pem();
  if (!key)
    return key.error();
  return write_pair(to_pem(*certificate_), *key, certificate_path, key_path);
}

expected<issued_certificate> certificate_authority::issue(peer_role role, std::uint64_t id) const {
  openssl_ptr<EVP_PKEY> key{EVP_EC_gen("P-256")};
  openssl_ptr<X509> x{::X509_new()};
  if (!key || !x)
    return openssl_failed("key");
  certified_identity who{cluster_, role, id};
  auto name = std::string{"troupe "} + to_string(role) + " " + std::to_string(id);
  // Only nodes listen.
  std::string usage = role == peer_role::node ? "serverAuth,clientAuth" : "clientAuth";
  bool ok = set_common(*x, *key, name, lifetime_.leaf_days * day_seconds + lifetime_.leaf_seconds,
                       lifetime_.backdate_hours)
            && ::X509_set_issuer_name(x.get(), ::X509_get_subject_name(certificate_.get())) == 1
            && add_extension(*x, certificate_.get(), NID_basic_constraints, "critical,CA:FALSE")
            && add_extension(*x, certificate_.get(), NID_key_usage, "critical,digitalSignature")
            && add_extension(*x, certificate_.get(), NID_ext_key_usage, usage)
            && add_extension(*x, certificate_.get(), NID_authority_key_identifier, "keyid")
            && add_extension(*x, certificate_.get(), NID_subject_alt_name, "URI:" + to_uri(who))
            && ::X509_sign(x.get(), key_.get(), ::EVP_sha256()) > 0;
  if (!ok)
    return openssl_failed("certificate");
  auto secret = pem_of(*key);
  if (!secret)
    return secret.error();
  return issued_certificate{to_pem(*x), std::move(*secret), info_of(*x)};
}

expected<void> certificate_authority::issue(peer_role role, std::uint64_t id,
                                            const std::string& certificate_path,
                                            const std::string& key_path) const {
  auto made = issue(role, id);
  if (!made)
    return made.error();
  return write_pair(made->certificate, made->key, certificate_path, key_path);
}

} // namespace troupe
