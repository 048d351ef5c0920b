#pragma once

#include "actors/security/ca.hpp"
#include "actors/transport/transport.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>

namespace troupe::test {

/// A cluster's CA in a directory that disappears with it.
class test_cluster {
public:
  explicit test_cluster(std::uint8_t seed = 7, certificate_lifetime lifetime = {})
    : ca_(make(seed, lifetime)) {
    REQUIRE(ca_.save(path("ca.crt"), path("ca.key")));
  }
  ~test_cluster() { std::filesystem::remove_all(directory_); }
  test_cluster(const test_cluster&) = delete;
  test_cluster& operator=(const test_cluster&) = delete;

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  /// Files of a member, issued at first use.
  credential_files files(peer_role role, std::uint64_t id) {
    auto name = std::string{to_string(role)} + std::to_string(id);
    credential_files f{path(name + ".crt"), path(name + ".key"), path("ca.crt")};
    if (!std::filesystem::exists(f.key))
      REQUIRE(ca_.issue(role, id, f.certificate, f.key));
    return f;
  }
  credentials member(peer_role role, std::uint64_t id) {
    auto c = load_credentials(files(role, id));
    REQUIRE(c);
    return std::move(*c);
  }
  const certificate_authority& ca() const { return ca_; }

private:
  static std::string make_directory() {
    std::string d = "/tmp/troupe_transport_XXXXXX";
    REQUIRE(::mkdtemp(d.data()) != nullptr);
    return d;
  }
  static certificate_authority make(std::uint8_t seed, certificate_lifetime lifetime) {
    cluster_uuid cluster;
    cluster.bytes.fill(seed);
    auto ca = certificate_authority::create(cluster, lifetime);
    REQUIRE(ca);
    return std::move(*ca);
  }

  std::string directory_ = make_directory();
  certificate_authority ca_;
};

/// Tiny timeouts, so that tests see them run out.
inline transport_options quick_options() {
  transport_options o;
  o.connect_timeout_ms = 500;
  o.handshake_timeout_ms = 500;
  o.heartbeat_ms = 50;
  o.dead_peer_ms = 400;
  o.reconnect_ms_min = 10;
  o.reconnect_ms_max = 50;
  return o;
}

/// One member on a reactor.
struct member {
  std::unique_ptr<transport> net;
  member(reactor& loop, test_cluster& cluster, peer_role role, std::uint64_t id,
         const transport_options& options = quick_options(), std::uint64_t process = 1) {
    auto made = transport::make(loop, options, cluster.member(role, id), incarnation{process});
    REQUIRE(made);
    net = std::move(*made);
    if (role == peer_role::node)
      REQUIRE(net->listen("127.0.0.1:0"));
  }
  transport* operator->() const { return net.get(); }
};

/// Turns the loop until `done` or `ms` milliseconds.
template <class Predicate>
bool run_until(reactor& loop, Predicate done, std::uint64_t ms = 5000) {
  auto end = system_clock().boot().ns + ms * 1'000'000;
  while (!done() && system_clock().boot().ns < end)
    loop.run_once(10);
  return done();
}

inline byte_vector pattern(std::size_t size, unsigned seed) {
  byte_vector out(size);
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<std::byte>((i * 131 + (i >> 10) * 7 + seed) & 0xff);
  return out;
}

} // namespace troupe::test
