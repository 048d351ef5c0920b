#include "actors/security/ca.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

using namespace troupe;

namespace {

/// A directory of its own that disappears with the test.
struct temporary_directory {
  std::string path = "/tmp/troupe_ca_XXXXXX";
  temporary_directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~temporary_directory() { std::filesystem::remove_all(path); }
  std::string at(const std::string& name) const { return path + "/" + name; }
  credential_files files(const std::string& name) const {
    return {at(name + ".crt"), at(name + ".key"), at("ca.crt")};
  }
};

cluster_uuid some_cluster(std::uint8_t seed) {
  cluster_uuid x;
  x.bytes.fill(seed);
  return x;
}

void overwrite(const std::string& path, const std::string& text) {
  std::ofstream{path, std::ios::trunc} << text;
}

/// A directory with a CA and a certificate of node 3.
struct with_ca : temporary_directory {
  cluster_uuid cluster = some_cluster(7);
  expected<certificate_authority> ca = certificate_authority::create(cluster);
  with_ca() {
    REQUIRE(ca);
    REQUIRE(ca->save(at("ca.crt"), at("ca.key")));
    REQUIRE(ca->issue(peer_role::node, 3, at("n.crt"), at("n.key")));
  }
  error load_error(const credential_files& f) {
    auto x = load_credentials(f, cluster);
    REQUIRE_FALSE(x);
    return x.error();
  }
};

} // namespace

TEST_CASE("roles: an identity reads back from its URI and nothing else does", "[unit][roles]") {
  certified_identity x{some_cluster(1), peer_role::node, 3};
  auto uri = to_uri(x);
  CHECK(uri == "troupe:cluster/01010101-0101-0101-0101-010101010101/node/3");
  certified_identity y;
  CHECK(parse_identity(uri, y));
  CHECK(x == y);
  for (const char* wrong :
       {"", "troupe:cluster/", "troupe:cluster/01010101-0101-0101-0101-010101010101",
        "troupe:cluster/01010101-0101-0101-0101-010101010101/node/",
        "troupe:cluster/01010101-0101-0101-0101-010101010101/node/3x",
        "troupe:cluster/01010101-0101-0101-0101-010101010101/node/03",
        "troupe:cluster/01010101-0101-0101-0101-010101010101/node/-3",
        "troupe:cluster/01010101-0101-0101-0101-010101010101/none/3",
        "troupe:cluster/01010101-0101-0101-0101-010101010101/node/99999999999999999999",
        "http:cluster/01010101-0101-0101-0101-010101010101/node/3"})
    CHECK_FALSE(parse_identity(wrong, y));
  CHECK(y == x);
}

TEST_CASE_METHOD(with_ca, "ca: what it issues loads, with the identity it was issued for",
                 "[unit][ca]") {
  auto node = load_credentials(files("n"), cluster);
  REQUIRE(node);
  CHECK(node->identity == certified_identity{cluster, peer_role::node, 3});
  CHECK(days_left(*node->certificate) >= 1823);
  struct stat st {};
  REQUIRE(::stat(at("n.key").c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
  REQUIRE(::stat(at("ca.key").c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
  // Loaded again it goes on issuing for the same cluster.
  auto again = certificate_authority::load(at("ca.crt"), at("ca.key"));
  REQUIRE(again);
  CHECK(again->cluster() == cluster);
  REQUIRE(again->issue(peer_role::admin, 0, at("a.crt"), at("a.key")));
  CHECK(load_credentials(files("a"), cluster)->identity.role == peer_role::admin);
  CHECK(again->issue(peer_role::admin, 0, at("a.crt"), at("a.key")).error().code
        == errc::already_exists);
}

TEST_CASE_METHOD(with_ca, "ca: files that cannot be used are refused by name", "[unit][ca]") {
  auto f = files("n");
  SECTION("missing") {
    f.certificate = at("none.crt");
    auto e = load_error(f);
    CHECK(e.id == trp::bad_certificate);
    CHECK(e.context == at("none.crt") + ": No such file or directory");
  }
  SECTION("malformed certificate") {
    overwrite(f.certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    CHECK(load_error(f).context == f.certificate + ": is not a PEM certificate");
  }
  SECTION("malformed key") {
    overwrite(f.key, "no key");
    CHECK(load_error(f).context == f.key + ": is not a PEM key without passphrase");
  }
  SECTION("key that others may read") {
    REQUIRE(::chmod(f.key.c_str(), 0640) == 0);
    CHECK(load_error(f).id == trp::open_to_others);
  }
  SECTION("key in a directory that others may look into") {
    REQUIRE(::chmod(path.c_str(), 0750) == 0);
    auto e = load_error(f);
    CHECK(e.id == trp::open_to_others);
    CHECK(e.context == path + ": others may look into this directory; chmod 700 it");
  }
  SECTION("key of another certificate") {
    REQUIRE(ca->issue(peer_role::node, 4, at("m.crt"), at("m.key")));
    f.key = at("m.key");
    CHECK(load_error(f).context == f.key + ": does not belong to " + f.certificate);
  }
}

TEST_CASE_METHOD(with_ca, "ca: expired certificates are refused", "[unit][ca]") {
  auto old = certificate_authority::load(at("ca.crt"), at("ca.key"),
                                         {.leaf_days = -1, .backdate_hours = 48});
  REQUIRE(old);
  REQUIRE(old->issue(peer_role::node, 5, at("x.crt"), at("x.key")));
  auto e = load_error(files("x"));
  CHECK(e.id == trp::bad_certificate);
  CHECK(e.context == at("x.crt") + ": has expired");
  auto early = certificate_authority::load(at("ca.crt"), at("ca.key"), {.backdate_hours = -5});
  REQUIRE(early->issue(peer_role::node, 5, at("y.crt"), at("y.key")));
  CHECK(load_error(files("y")).context == at("y.crt") + ": is not valid yet (is the clock right?)");
}

TEST_CASE_METHOD(with_ca, "ca: another cluster's certificates are foreign", "[unit][ca]") {
  auto other = certificate_authority::create(some_cluster(9));
  REQUIRE(other->save(at("other.crt"), at("other.key")));
  REQUIRE(other->issue(peer_role::node, 3, at("o.crt"), at("o.key")));
  auto f = files("o"); // checked against our CA
  CHECK(load_error(f).id == trp::foreign_certificate);
  f.ca = at("other.crt"); // consistent in itself, but not this cluster
  CHECK(load_error(f).id == trp::foreign_certificate);
  // A leaf certificate cannot act as a CA.
  CHECK(certificate_authority::load(at("n.crt"), at("n.key")).error().id
        == trp::foreign_certificate);
}
