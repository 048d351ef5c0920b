#include "actors/kit/log.hpp"
#include "actors/security/peer_trust.hpp"
#include "tests/actors/transport/forgery.hpp"
#include "tests/actors/transport/rogue_peer.hpp"

#include <algorithm>
#include <sys/resource.h>
#include <sys/socket.h>

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr std::int64_t hour_ns = std::int64_t{3600} * 1'000'000'000;

/// Nobody is closed because this machine is busy.
transport_options patient_options() {
  auto o = quick_options();
  o.handshake_timeout_ms = 5000;
  o.dead_peer_ms = 60'000;
  return o;
}

/// Node 2, which counts what it handles, and the events of this process.
struct watched_node {
  reactor loop;
  test_cluster cluster;
  std::vector<event_record> events;
  event_listener listen{[this](const event_record& e) { events.push_back(e); }};
  member node;
  int handled = 0;

  explicit watched_node(const transport_options& options = patient_options())
    : node{loop, cluster, peer_role::node, 2, options} {
    node->messages().on_request<free_runs>(
      [this](const request_context&, free_runs&&, responder<free_runs> answer) {
        ++handled;
        answer(runs_freed{1});
      });
  }
  std::string uri(peer_role role, std::uint64_t id) const {
    return "URI:" + to_uri({cluster.ca().cluster(), role, id});
  }
  own_identity identity(peer_role role, std::uint64_t id, std::uint64_t process = 1) const {
    return {{cluster.ca().cluster(), role, id}, incarnation{process}};
  }
  std::size_t told(const std::string& name) const {
    return static_cast<std::size_t>(std::count_if(
      events.begin(), events.end(), [&](const event_record& e) { return e.name == name; }));
  }
  /// What `load_credentials` would refuse, believing the cluster's CA.
  credentials with(forged made) {
    credentials c;
    c.authorities = std::move(*load_authorities(cluster.path("ca.crt")));
    c.identity = {cluster.ca().cluster(), peer_role::node, 3};
    c.certificate = std::move(made.certificate);
    c.key = std::move(made.key);
    return c;
  }
  forged by_ca(const forgery& what) {
    auto key = key_in(cluster.path("ca.key"));
    return forge(what, &cluster.ca().certificate(), key.get());
  }
  /// A client's session, greeted.
  std::unique_ptr<rogue_peer> greeted(peer_role role, std::uint64_t id, std::uint64_t process = 1) {
    auto peer = std::make_unique<rogue_peer>(loop, cluster.member(role, id), node->address());
    REQUIRE(peer->handshake());
    REQUIRE(peer->say_hello(identity(role, id, process)));
    auto answer = peer->receive();
    REQUIRE(answer);
    auto verdict = wire_decode<hello_answer>(answer->second);
    REQUIRE(verdict);
    return verdict->refused ? nullptr : std::move(peer);
  }
};

frame_header a_request(std::uint16_t message, std::uint64_t number) {
  frame_header header;
  header.kind = frame_kind::request;
  header.message = message;
  header.request = number;
  header.timeout_ms = 1000;
  return header;
}

} // namespace

// -- certificates -------------------------------------------------------------------------------

TEST_CASE_METHOD(watched_node, "intruder: certificates that the CA did not sign itself are refused",
                 "[actor][transport]") {
  openssl_ptr<X509> between;
  credentials own;
  SECTION("signed with a client's key, its certificate shown along") {
    auto files = cluster.files(peer_role::client, 1);
    auto client = cluster.member(peer_role::client, 1);
    auto key = key_in(files.key);
    own = with(forge({.names = uri(peer_role::node, 3)}, client.certificate.get(), key.get()));
    between = std::move(client.certificate);
  }
  SECTION("signed by an intermediate of the CA") {
    auto middle = by_ca({.names = uri(peer_role::node, 3), .constraints = "critical,CA:TRUE"});
    own =
      with(forge({.names = uri(peer_role::node, 3)}, middle.certificate.get(), middle.key.get()));
    between = std::move(middle.certificate);
  }
  SECTION("signed by itself") {
    own = with(forge({.names = uri(peer_role::node, 3)}, nullptr, nullptr));
  }
  SECTION("not valid yet") {
    own = with(by_ca({.names = uri(peer_role::node, 3), .from_s = 3600, .until_s = 7200}));
  }
  SECTION("for listening only") {
    own = with(by_ca({.names = uri(peer_role::node, 3), .usage = "serverAuth"}));
  }
  rogue_peer rogue{loop, own, node->address(), between.get()};
  rogue.handshake(); // in TLS 1.3 the dialler is done before the acceptor has judged
  rogue.say_hello(identity(peer_role::node, 3));
  CHECK_FALSE(rogue.receive());
  CHECK(node->session_count() == 0);
  CHECK(told("session_refused") == 1);
}

TEST_CASE_METHOD(watched_node, "intruder: a certificate names one member of this cluster",
                 "[actor][transport]") {
  cluster_uuid other;
  other.bytes.fill(9);
  auto foreign = "URI:" + to_uri({other, peer_role::node, 3});
  std::string names;
  SECTION("of another cluster, signed by our CA") {
    names = foreign;
  }
  SECTION("two members") {
    names = uri(peer_role::client, 1) + "," + uri(peer_role::node, 3);
  }
  SECTION("nobody") {
    names = "URI:https://example.org";
  }
  SECTION("a member by name of a host") {
    names = "DNS:" + to_uri({cluster.ca().cluster(), peer_role::node, 3});
  }
  SECTION("something behind a good name") {
    names = uri(peer_role::node, 3) + "/x";
  }
  SECTION("a role that is none") {
    names = "URI:troupe:cluster/" + to_string(cluster.ca().cluster()) + "/none/3";
  }
  rogue_peer rogue{loop, with(by_ca({.names = names})), node->address()};
  rogue.handshake();
  rogue.say_hello(identity(peer_role::node, 3));
  if (auto frame = rogue.receive()) // the hello was answered: with a refusal
    CHECK(wire_decode<hello_answer>(frame->second)->refused);
  CHECK_FALSE(rogue.receive());
  CHECK(node->session_count() == 0);
}

TEST_CASE_METHOD(watched_node, "intruder: who has a client's certificate cannot listen as a node",
                 "[actor][transport]") {
  member imposter{loop, cluster, peer_role::client, 1};
  REQUIRE(imposter->listen("127.0.0.1:0"));
  node->open_link(node_id{1}, imposter->address());
  auto* l = node->find_link(node_id{1});
  REQUIRE(run_until(loop, [&] { return l->last_error().code != errc::none; }));
  CHECK(l->last_error().id == trp::foreign_certificate);
  CHECK_FALSE(l->up());
}

TEST_CASE("peer_trust: a clock that jumps refuses or lets in by what it shows, and forgets nothing",
          "[unit][peer_trust]") {
  test_cluster cluster;
  auto own = cluster.member(peer_role::client, 1);
  trusted_peer peer;
  peer.info = info_of(*own.certificate);
  peer.certificate = std::move(own.certificate);
  peer_trust trust;
  trust.set_authorities(std::make_shared<const authority_list>(std::move(own.authorities)));
  auto begin = peer.info.not_before.ns;
  auto end = peer.info.not_after.ns;
  CHECK(trust.check(peer, {begin + hour_ns}));
  CHECK(peer.valid_until.ns == end);
  CHECK(trust.check(peer, {end + hour_ns}).error().id == trp::bad_certificate);
  // Back again: as good as before. What was revoked stays out whatever the clock says.
  CHECK(trust.check(peer, {begin + hour_ns}));
  CHECK(trust.set_revoked({peer.info.serial}));
  for (auto at : {begin - hour_ns, begin + hour_ns, end + hour_ns})
    CHECK(trust.check(peer, {at}).error().id == trp::certificate_revoked);
  // A new connection before its time is refused.
  trust.set_revoked({});
  peer.checked = 0;
  CHECK(trust.check(peer, {begin - hour_ns}).error().id == trp::bad_certificate);
}

// -- what clients may bring about ---------------------------------------------------------------

TEST_CASE_METHOD(watched_node, "intruder: a request that comes as one-way is not worked on",
                 "[actor][transport]") {
  // Outside the window of requests its sender could fill the memory.
  auto rogue = greeted(peer_role::client, 1);
  auto header = a_request(message_number<free_runs>, 1);
  header.kind = frame_kind::one_way;
  REQUIRE(rogue->send(header, wire_encode(free_runs{}).body));
  CHECK(run_until(loop, [&] { return told("message_refused") == 1; }));
  CHECK(handled == 0);
  // And a one-way message that comes as a request is answered.
  int events_heard = 0;
  node->messages().on_one_way<raise_event>(
    [&](const request_context&, raise_event&&) { ++events_heard; });
  REQUIRE(rogue->send(a_request(message_number<raise_event>, 2), wire_encode(raise_event{}).body));
  auto frame = rogue->receive();
  REQUIRE(frame);
  CHECK(frame->first.request == 2);
  CHECK(wire_decode<refusal>(frame->second)->why.code == errc::not_supported);
  CHECK(events_heard == 0);
}

TEST_CASE_METHOD(watched_node, "intruder: a client does not raise the snapshot epoch of nodes",
                 "[actor][transport]") {
  auto header = a_request(message_number<free_runs>, 1);
  header.epoch = ~std::uint64_t{0};
  for (auto role : {peer_role::client, peer_role::admin}) {
    auto rogue = greeted(role, 1);
    REQUIRE(rogue->send(header, wire_encode(free_runs{}).body));
    auto frame = rogue->receive();
    REQUIRE(frame);
    CHECK(frame->first.epoch == 0);
    CHECK(node->epoch() == snapshot_epoch{0});
  }
  auto neighbour = greeted(peer_role::node, 3);
  header.epoch = 5;
  REQUIRE(neighbour->send(header, wire_encode(free_runs{}).body));
  REQUIRE(neighbour->receive());
  CHECK(node->epoch() == snapshot_epoch{5});
}

TEST_CASE_METHOD(watched_node,
                 "intruder: one broken client is isolated, not all of its certificate",
                 "[actor][transport]") {
  auto broken = greeted(peer_role::client, 1, 100);
  auto other = greeted(peer_role::client, 1, 200); // another mount of the same machine
  auto header = a_request(message_number<free_runs>, 1);
  for (std::uint32_t i = 0; i <= transport_options{}.checksum_errors_max; ++i)
    REQUIRE(broken->send(header, wire_encode(free_runs{}).body, true));
  CHECK(run_until(loop, [&] { return node->session_count() == 1; }));
  CHECK(told("peer_isolated") == 1);
  CHECK_FALSE(greeted(peer_role::client, 1, 100));
  CHECK(greeted(peer_role::client, 1, 300));
  REQUIRE(other->send(header, wire_encode(free_runs{}).body));
  CHECK(other->receive());
  CHECK(handled == 1);
}

TEST_CASE_METHOD(watched_node, "intruder: damage before the hello counts against nobody",
                 "[actor][transport]") {
  // Else a revoked certificate of node 3 would still isolate the real node 3.
  frame_header hello_header;
  hello_header.kind = frame_kind::hello;
  auto body = wire_encode(make_hello(identity(peer_role::node, 3), {})).body;
  for (std::uint32_t i = 0; i <= 2 * transport_options{}.checksum_errors_max; ++i) {
    rogue_peer rogue{loop, cluster.member(peer_role::node, 3), node->address()};
    REQUIRE(rogue.handshake());
    REQUIRE(rogue.send(hello_header, body, true));
    CHECK_FALSE(rogue.receive());
  }
  CHECK(told("peer_isolated") == 0);
  CHECK(greeted(peer_role::node, 3));
}

TEST_CASE("intruder: who does not read his answers goes before others do", "[actor][transport]") {
  // Goal: many sessions, each below its own bound, do not take the memory.
  // Method: eight of one certificate ask for much and do not read; another client works on.
  auto options = patient_options();
  options.held_bytes_max = 8 << 20;
  options.held_bytes_passed_over = 256 << 10;
  watched_node n{options};
  shared_bytes big{pattern(2 << 20, 1)};
  n.node->messages().on_request<read_run>(
    [&](const request_context&, read_run&&, responder<read_run> answer) {
      answer(run_data{{}, big});
    });
  auto good = n.greeted(peer_role::client, 2);
  std::vector<std::unique_ptr<rogue_peer>> hogs;
  for (std::uint64_t i = 0; i < 8; ++i) {
    hogs.push_back(n.greeted(peer_role::client, 1, i + 1));
    for (std::uint64_t k = 0; k < 6; ++k)
      hogs.back()->send(a_request(message_number<read_run>, k), wire_encode(read_run{}).body);
  }
  CHECK(run_until(n.loop, [&] { return n.told("held_too_much") > 0; }));
  CHECK(n.node->session_count() < 9);
  for (std::uint64_t i = 0; i < 5; ++i) {
    REQUIRE(good->send(a_request(message_number<free_runs>, i), wire_encode(free_runs{}).body));
    REQUIRE(good->receive());
  }
  CHECK(n.handled == 5);
}

// -- strangers ----------------------------------------------------------------------------------

TEST_CASE("intruder: half a greeting and then the end takes no place and no time",
          "[actor][transport]") {
  auto options = patient_options();
  options.handshake_timeout_ms = 60'000; // that is not what ends it
  watched_node n{options};
  frame_header header;
  header.kind = frame_kind::data_hello;
  std::array<std::byte, frame_header_bytes + frame_tag_bytes> bytes{};
  encode_frame_header(header, bytes.data());
  auto fd = start_connect(n.node->address());
  REQUIRE(fd);
  REQUIRE(run_until(n.loop, [&] {
    return ::send(fd->get(), bytes.data(), 50, MSG_NOSIGNAL | MSG_DONTWAIT) == 50;
  }));
  REQUIRE(run_until(n.loop, [&] { return n.node->unauthenticated_count() == 1; }));
  REQUIRE(::shutdown(fd->get(), SHUT_WR) == 0);
  CHECK(run_until(
    n.loop, [&] { return n.node->unauthenticated_count() == 0; }, 2000));
  CHECK(n.told("stranger_refused") == 1);
  CHECK(n.events.back().fields.at("peer") == "somebody at 127.0.0.1");
}

TEST_CASE_METHOD(watched_node, "intruder: without a descriptor left the node rests, then serves",
                 "[actor][transport]") {
  auto session = greeted(peer_role::client, 1);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  std::vector<unique_fd> crowd;
  for (int i = 0; i < 20; ++i)
    crowd.push_back(std::move(*start_connect(node->address())));
  // The next accept has none: the lowest free descriptor is beyond the limit.
  int lowest = ::dup(0);
  ::close(lowest);
  auto low = before;
  low.rlim_cur = static_cast<rlim_t>(lowest);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  bool rested = run_until(loop, [&] { return told("descriptors_used_up") > 0; });
  int turns = 0;
  auto until = system_clock().boot().ns + 80'000'000;
  while (system_clock().boot().ns < until) {
    loop.run_once(10);
    ++turns;
  }
  // Who is in works on.
  bool sent = session->send(a_request(message_number<free_runs>, 1), wire_encode(free_runs{}).body);
  bool answered = session->receive().has_value();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(rested);
  CHECK(turns < 60); // it does not spin
  CHECK(sent);
  CHECK(answered);
  CHECK(handled == 1);
  crowd.clear();
  CHECK(greeted(peer_role::client, 2));
}
