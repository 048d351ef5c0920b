#include "actors/kit/log.hpp"
#include "tests/actors/transport/rogue_peer.hpp"

#include <openssl/pem.h>

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Node 2, which counts what it handles, and a loop.
struct one_node {
  reactor loop;
  test_cluster cluster;
  member node{loop, cluster, peer_role::node, 2};
  int handled = 0;

  one_node() { serve(node); }
  void serve(member& m) {
    m->messages().on_request<free_runs>(
      [this](const request_context&, free_runs&&, responder<free_runs> answer) {
        ++handled;
        answer(runs_freed{1});
      });
  }
  own_identity identity(peer_role role, std::uint64_t id) const {
    return {{cluster.ca().cluster(), role, id}, incarnation{1}};
  }
  /// A good peer still gets its answer.
  bool serves(std::uint64_t id = 9) {
    member good{loop, cluster, peer_role::node, id};
    good->open_link(node_id{2}, node->address());
    if (!run_until(loop, [&] { return good->find_link(node_id{2})->up(); }))
      return false;
    std::optional<bool> ok;
    good->request(node_id{2}, 0, free_runs{}, {},
                  answer_callback<free_runs>{[&](auto x) { ok = bool{x}; }});
    return run_until(loop, [&] { return ok.has_value(); }) && *ok;
  }
};

unique_fd plain_socket(reactor& loop, const std::string& address) {
  auto fd = start_connect(address);
  REQUIRE(fd);
  loop.run_once(0);
  return std::move(*fd);
}

/// True when the other side has closed, whatever it sent before.
bool hung_up(reactor& loop, int fd) {
  return run_until(loop, [&] {
    std::array<char, 1000> chunk;
    auto n = ::recv(fd, chunk.data(), chunk.size(), MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN);
  });
}

/// What `load_credentials` would refuse.
credentials unchecked(const credential_files& files) {
  auto read = [](const std::string& path, auto how) {
    std::FILE* f = std::fopen(path.c_str(), "r");
    REQUIRE(f != nullptr);
    auto* x = how(f);
    std::fclose(f);
    REQUIRE(x != nullptr);
    return x;
  };
  auto certificate = [](std::FILE* f) { return ::PEM_read_X509(f, nullptr, nullptr, nullptr); };
  auto key = [](std::FILE* f) { return ::PEM_read_PrivateKey(f, nullptr, nullptr, nullptr); };
  credentials c;
  c.certificate.reset(read(files.certificate, certificate));
  c.key.reset(read(files.key, key));
  c.authorities = std::move(*load_authorities(files.ca));
  c.identity = *identity_of(*c.certificate);
  return c;
}

} // namespace

TEST_CASE_METHOD(one_node, "transport: garbage, plain text and torn TLS are shown out",
                 "[actor][transport]") {
  for (const std::string& bytes :
       {std::string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n"}, std::string(5000, '\0'),
        std::string{"\x16\x03\x01\x00\x05hello, this is no TLS record at all"},
        std::string{"TRPF"} + std::string(200, 'x')}) {
    auto fd = plain_socket(loop, node->address());
    REQUIRE(run_until(loop, [&] {
      return ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
    }));
    CHECK(hung_up(loop, fd.get()));
  }
  CHECK(node->session_count() == 0);
  CHECK(handled == 0);
  CHECK(serves());
}

TEST_CASE_METHOD(one_node, "transport: a data connection without a session is shown out",
                 "[actor][transport]") {
  frame_header header;
  header.kind = frame_kind::data_hello;
  header.request = 12345;
  header.target = 67890;
  std::array<std::byte, frame_header_bytes + frame_tag_bytes> bytes{};
  encode_frame_header(header, bytes.data());
  auto fd = plain_socket(loop, node->address());
  // In two pieces: the second decides.
  REQUIRE(run_until(
    loop, [&] { return ::send(fd.get(), bytes.data(), 50, MSG_NOSIGNAL | MSG_DONTWAIT) == 50; }));
  for (int i = 0; i < 5; ++i)
    loop.run_once(10);
  CHECK(node->unauthenticated_count() == 1);
  REQUIRE(::send(fd.get(), bytes.data() + 50, bytes.size() - 50, MSG_NOSIGNAL) > 0);
  CHECK(hung_up(loop, fd.get()));
  CHECK(node->unauthenticated_count() == 0);
}

TEST_CASE_METHOD(one_node, "transport: a thousand half-open connections do not keep a peer out",
                 "[actor][transport]") {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  std::vector<unique_fd> sockets;
  std::size_t most = 0;
  for (int i = 0; i < 1000; ++i) {
    sockets.push_back(plain_socket(loop, node->address()));
    if (i % 2 == 0) // half of them begin TLS and stop
      static_cast<void>(::send(sockets.back().get(), "\x16\x03", 2, MSG_NOSIGNAL | MSG_DONTWAIT));
    loop.run_once(0);
    most = std::max(most, node->unauthenticated_count());
  }
  CHECK(most <= transport_options{}.unauthenticated_max);
  CHECK(serves());
  // And those that are left time out.
  CHECK(run_until(loop, [&] { return node->unauthenticated_count() == 0; }));
}

TEST_CASE_METHOD(one_node, "transport: another cluster's CA is refused on both sides",
                 "[actor][transport]") {
  test_cluster other{8};
  member stranger{loop, other, peer_role::node, 3};
  stranger->open_link(node_id{2}, node->address());
  auto* l = stranger->find_link(node_id{2});
  REQUIRE(run_until(loop, [&] { return l->last_error().code != errc::none; }));
  CHECK(l->last_error().id == trp::foreign_certificate);
  CHECK(node->session_count() == 0);
  // A dialler that trusts us, but whose certificate another CA signed.
  auto own = other.member(peer_role::node, 3);
  own.authorities = std::move(cluster.member(peer_role::node, 3).authorities);
  rogue_peer rogue{loop, own, node->address()};
  rogue.handshake(); // in TLS 1.3 the dialler is done before the acceptor has judged
  CHECK_FALSE(rogue.receive());
  CHECK(rogue.tls().failure().id == trp::foreign_certificate);
  CHECK(node->session_count() == 0);
}

TEST_CASE_METHOD(one_node, "transport: an expired certificate is refused", "[actor][transport]") {
  auto ca = certificate_authority::load(cluster.path("ca.crt"), cluster.path("ca.key"),
                                        {.leaf_days = -1, .backdate_hours = 48});
  REQUIRE(ca);
  credential_files files{cluster.path("old.crt"), cluster.path("old.key"), cluster.path("ca.crt")};
  REQUIRE(ca->issue(peer_role::node, 3, files.certificate, files.key));
  CHECK(load_credentials(files).error().id == trp::bad_certificate);
  rogue_peer rogue{loop, unchecked(files), node->address()};
  rogue.handshake();
  CHECK_FALSE(rogue.receive());
  CHECK(rogue.tls().failure().id == trp::bad_certificate);
  CHECK(node->session_count() == 0);
}

TEST_CASE_METHOD(one_node, "transport: a client cannot pose as a node, a node not as another",
                 "[actor][transport]") {
  // By certificate: we expect node 5 there.
  member a{loop, cluster, peer_role::node, 1};
  a->open_link(node_id{5}, node->address());
  auto* l = a->find_link(node_id{5});
  REQUIRE(run_until(loop, [&] { return l->last_error().code != errc::none; }));
  CHECK(l->last_error().id == trp::foreign_certificate);
  // By hello: the certificate says client.
  rogue_peer rogue{loop, cluster.member(peer_role::client, 0), node->address()};
  REQUIRE(rogue.handshake());
  REQUIRE(rogue.say_hello(identity(peer_role::node, 1)));
  auto frame = rogue.receive();
  REQUIRE(frame);
  auto answer = wire_decode<hello_answer>(frame->second);
  REQUIRE(answer);
  REQUIRE(answer->refused);
  CHECK(answer->refused->id == trp::role_not_allowed);
  CHECK_FALSE(rogue.receive()); // and hung up
  CHECK(node->session_count() == 0);
}

TEST_CASE_METHOD(one_node, "transport: protocol versions that do not overlap are refused",
                 "[actor][transport]") {
  rogue_peer rogue{loop, cluster.member(peer_role::node, 3), node->address()};
  REQUIRE(rogue.handshake());
  auto me = identity(peer_role::node, 3);
  me.protocol_oldest = protocol_newest + 1;
  me.protocol_newest = protocol_newest + 2;
  REQUIRE(rogue.say_hello(me));
  auto answer = wire_decode<hello_answer>(rogue.receive()->second);
  REQUIRE(answer->refused);
  CHECK(answer->refused->id == trp::protocol_version);
}

TEST_CASE("handshake: the newest version that both speak is taken", "[unit][handshake]") {
  certified_identity node{{}, peer_role::node, 1};
  auto judge = [&](std::uint16_t a, std::uint16_t b, std::uint16_t c, std::uint16_t d) {
    own_identity dialler{node, incarnation{1}, a, b};
    own_identity acceptor{node, incarnation{1}, c, d};
    return judge_hello(make_hello(dialler, {}), node, acceptor, {});
  };
  CHECK(judge(4, 5, 5, 6).protocol == 5);
  CHECK(judge(5, 6, 4, 5).protocol == 5);
  CHECK(judge(5, 5, 5, 5).protocol == 5);
  CHECK(judge(3, 4, 5, 6).refused->id == trp::protocol_version);
  CHECK(judge(5, 6, 3, 4).refused->id == trp::protocol_version);
  own_identity self{node, incarnation{1}, 4, 5};
  hello_answer odd;
  odd.protocol = 6;
  CHECK(judge_answer(odd, self).error().id == trp::protocol_version);
}

TEST_CASE_METHOD(one_node, "transport: damaged requests are refused and counted, then isolated",
                 "[actor][transport]") {
  rogue_peer rogue{loop, cluster.member(peer_role::node, 3), node->address()};
  REQUIRE(rogue.handshake());
  REQUIRE(rogue.say_hello(identity(peer_role::node, 3)));
  REQUIRE(rogue.receive());
  std::vector<std::string> events;
  event_listener listen{[&](const event_record& e) { events.push_back(e.name); }};
  frame_header header;
  header.kind = frame_kind::request;
  header.message = message_number<free_runs>;
  auto allowed = transport_options{}.checksum_errors_max;
  for (std::uint32_t i = 0; i < allowed; ++i) {
    header.request = i + 1;
    REQUIRE(rogue.send(header, wire_encode(free_runs{}).body, true));
    auto frame = rogue.receive();
    REQUIRE(frame);
    CHECK(frame->first.request == i + 1);
    CHECK((frame->first.flags & frame_failed) != 0);
    CHECK(wire_decode<refusal>(frame->second)->why.code == errc::corrupt);
  }
  CHECK(node->report().back().checksum_errors == allowed);
  CHECK(handled == 0);
  // The stream is intact: an undamaged request goes through.
  header.request = 100;
  REQUIRE(rogue.send(header, wire_encode(free_runs{}).body));
  CHECK((rogue.receive()->first.flags & frame_failed) == 0);
  CHECK(handled == 1);
  // One more, and it is out.
  CHECK(std::count(events.begin(), events.end(), "peer_isolated") == 0);
  header.request = 101;
  rogue.send(header, wire_encode(free_runs{}).body, true);
  CHECK(run_until(loop, [&] { return node->session_count() == 0; }));
  CHECK(std::count(events.begin(), events.end(), "peer_isolated") == 1);
  rogue_peer again{loop, cluster.member(peer_role::node, 3), node->address()};
  REQUIRE(again.handshake());
  REQUIRE(again.say_hello(identity(peer_role::node, 3)));
  CHECK(wire_decode<hello_answer>(again.receive()->second)->refused->code == errc::unavailable);
  CHECK(serves()); // others are not touched
}

TEST_CASE_METHOD(one_node, "transport: frames that break the rules end the connection",
                 "[actor][transport]") {
  rogue_peer rogue{loop, cluster.member(peer_role::node, 3), node->address()};
  REQUIRE(rogue.handshake());
  frame_header header;
  SECTION("a request before the hello") {
    header.kind = frame_kind::request;
    rogue.send(header, wire_encode(free_runs{}).body);
  }
  SECTION("a large frame before the hello") {
    header.kind = frame_kind::hello;
    rogue.send(header, byte_vector(100'000));
  }
  SECTION("an answer from a dialler") {
    REQUIRE(rogue.say_hello(identity(peer_role::node, 3)));
    REQUIRE(rogue.receive());
    header.kind = frame_kind::response;
    rogue.send(header, byte_vector(10));
  }
  SECTION("more than the window") {
    REQUIRE(rogue.say_hello(identity(peer_role::node, 3)));
    REQUIRE(rogue.receive());
    std::vector<responder<read_run>> kept;
    node->messages().on_request<read_run>(
      [&](const request_context&, read_run&&, responder<read_run> a) { kept.push_back(a); });
    header.kind = frame_kind::request;
    header.message = message_number<read_run>;
    header.answer_bytes = 12 << 20;
    for (int i = 0; i < 4; ++i)
      rogue.send(header, wire_encode(read_run{}).body);
    CHECK(run_until(loop, [&] { return node->session_count() == 0; }));
    CHECK(kept.size() <= 3);
  }
  CHECK_FALSE(rogue.receive());
  CHECK(node->session_count() == 0);
  CHECK(handled == 0);
}

TEST_CASE("transport: a peer that does not read its answers is dropped, memory stays bounded",
          "[actor][transport]") {
  reactor loop;
  test_cluster cluster;
  auto options = quick_options();
  options.unsent_bytes_max = 4 << 20;
  options.dead_peer_ms = 60'000;
  member node{loop, cluster, peer_role::node, 2, options};
  shared_bytes big{pattern(1 << 20, 1)};
  int answered = 0;
  node->messages().on_request<read_run>(
    [&](const request_context&, read_run&&, responder<read_run> answer) {
      ++answered;
      answer(run_data{{}, big});
    });
  rogue_peer rogue{loop, cluster.member(peer_role::client, 0), node->address()};
  REQUIRE(rogue.handshake());
  REQUIRE(rogue.say_hello({{cluster.ca().cluster(), peer_role::client, 0}, incarnation{1}}));
  REQUIRE(rogue.receive());
  frame_header header;
  header.kind = frame_kind::request;
  header.message = message_number<read_run>;
  bool ok = true;
  for (int i = 0; i < 200 && ok; ++i) { // and never reads
    header.request = static_cast<std::uint64_t>(i + 1);
    ok = rogue.send(header, wire_encode(read_run{}).body);
  }
  CHECK(run_until(loop, [&] { return node->session_count() == 0; }));
  CHECK(answered < 60); // what sockets and the bound hold
}
