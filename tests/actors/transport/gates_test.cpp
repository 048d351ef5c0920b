#include "actors/kit/log.hpp"
#include "tests/actors/transport/rogue_peer.hpp"

#include <algorithm>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Node 2 with a listener for nodes and one for clients, and the events of this process.
struct node_with_gates {
  reactor loop;
  test_cluster cluster;
  std::unique_ptr<transport> net;
  std::vector<event_record> events;
  event_listener listen{[this](const event_record& e) { events.push_back(e); }};

  explicit node_with_gates(const transport_options& options = quick_options()) {
    auto made = transport::make(loop, options, cluster.member(peer_role::node, 2), incarnation{1});
    REQUIRE(made);
    net = std::move(*made);
    REQUIRE(net->listen("127.0.0.1:0", only_nodes));
    REQUIRE(net->listen("127.0.0.1:0", all_but_nodes));
    net->messages().on_request<free_runs>(
      [](const request_context&, free_runs&&, responder<free_runs> answer) {
        answer(runs_freed{1});
      });
  }
  const std::string& nodes() const { return net->gates()[0]->address(); }
  const std::string& clients() const { return net->gates()[1]->address(); }
  std::size_t told(const std::string& name) const {
    return static_cast<std::size_t>(std::count_if(
      events.begin(), events.end(), [&](const event_record& e) { return e.name == name; }));
  }
  /// Whether a link of this role gets in at this address; the error if not.
  expected<void> enter(peer_role role, const std::string& address) {
    member m{loop, cluster, role, role == peer_role::node ? 3u : 1u};
    m->open_link(node_id{2}, address);
    auto* l = m->find_link(node_id{2});
    REQUIRE(run_until(loop, [&] { return l->up() || l->last_error().code != errc::none; }));
    return l->up() ? expected<void>{} : l->last_error();
  }
};

unique_fd connected(reactor& loop, const std::string& address) {
  auto fd = start_connect(address);
  REQUIRE(fd);
  loop.run_once(0);
  return std::move(*fd);
}

} // namespace

TEST_CASE_METHOD(node_with_gates, "gate: each listener lets in its own roles only",
                 "[actor][transport]") {
  CHECK(enter(peer_role::node, nodes()));
  CHECK(enter(peer_role::client, clients()));
  CHECK(enter(peer_role::admin, clients()));
  CHECK(told("peer_refused") == 0);
  CHECK(enter(peer_role::client, nodes()).error().id == trp::role_not_allowed);
  CHECK(enter(peer_role::admin, nodes()).error().id == trp::role_not_allowed);
  CHECK(enter(peer_role::node, clients()).error().id == trp::role_not_allowed);
  CHECK(told("peer_refused") == 3);
}

TEST_CASE("gate: a crowd at the listener for clients takes no place from nodes",
          "[actor][transport]") {
  // Goal: strangers and clients cannot keep nodes from each other.
  // Method: fill the clients' doorstep and their sessions to the brim, then connect a node.
  auto options = quick_options();
  options.unauthenticated_max = 8;
  options.connections_max = 4;
  options.connections_per_certificate_max = 4;
  options.handshake_timeout_ms = 60'000; // nobody leaves by himself
  node_with_gates n{options};
  std::vector<unique_fd> strangers;
  for (int i = 0; i < 100; ++i)
    strangers.push_back(connected(n.loop, n.clients()));
  REQUIRE(run_until(n.loop, [&] { return n.told("stranger_refused") > 0; }));
  CHECK(n.net->gates()[1]->unauthenticated_count() <= 8);
  CHECK(n.net->gates()[0]->unauthenticated_count() == 0);
  std::vector<std::unique_ptr<rogue_peer>> clients;
  own_identity me{{n.cluster.ca().cluster(), peer_role::client, 1}, incarnation{1}};
  std::optional<error> refused;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(
      std::make_unique<rogue_peer>(n.loop, n.cluster.member(peer_role::client, 1), n.clients()));
    REQUIRE(clients.back()->handshake());
    REQUIRE(clients.back()->say_hello(me));
    auto answer = clients.back()->receive();
    REQUIRE(answer);
    refused = wire_decode<hello_answer>(answer->second)->refused;
    CHECK(refused.has_value() == (i == 4));
  }
  CHECK(refused->code == errc::busy);
  CHECK(n.enter(peer_role::node, n.nodes()));
  // The crowd is an event or two, not a thousand.
  CHECK(n.told("stranger_refused") <= 25);
}

TEST_CASE_METHOD(node_with_gates, "gate: one certificate does not take all places",
                 "[actor][transport]") {
  auto options = quick_options();
  options.connections_per_certificate_max = 2;
  node_with_gates n{options};
  std::vector<std::unique_ptr<rogue_peer>> peers;
  auto greet = [&](std::uint64_t id) {
    peers.push_back(
      std::make_unique<rogue_peer>(n.loop, n.cluster.member(peer_role::client, id), n.clients()));
    REQUIRE(peers.back()->handshake());
    REQUIRE(
      peers.back()->say_hello({{n.cluster.ca().cluster(), peer_role::client, id}, incarnation{1}}));
    auto answer = peers.back()->receive();
    REQUIRE(answer);
    return !wire_decode<hello_answer>(answer->second)->refused.has_value();
  };
  CHECK(greet(1));
  CHECK(greet(1));
  CHECK_FALSE(greet(1));
  CHECK(greet(2));
  peers.clear(); // places come back with the end of a session
  REQUIRE(run_until(n.loop, [&] { return n.net->session_count() == 0; }));
  CHECK(greet(1));
}

TEST_CASE_METHOD(node_with_gates, "gate: every message from a role that may not send it is refused",
                 "[actor][transport]") {
  int checked = 0;
  for (auto role : {peer_role::node, peer_role::client, peer_role::admin}) {
    auto id = role == peer_role::node ? 3u : 1u;
    rogue_peer rogue{loop, cluster.member(role, id), role == peer_role::node ? nodes() : clients()};
    REQUIRE(rogue.handshake());
    REQUIRE(rogue.say_hello({{cluster.ca().cluster(), role, id}, incarnation{1}}));
    REQUIRE(rogue.receive());
    for (const auto& row : message_catalogue()) {
      if (row.answer[0] == '\0' || row.senders.has(role))
        continue;
      auto before = told("message_refused");
      frame_header header;
      header.message = row.number;
      header.request = row.number;
      header.kind = row.answer[0] == '-' ? frame_kind::one_way : frame_kind::request;
      REQUIRE(rogue.send(header, byte_vector(20))); // the body is not even looked at
      if (header.kind == frame_kind::request) {
        auto frame = rogue.receive();
        REQUIRE(frame);
        CHECK(wire_decode<refusal>(frame->second)->why.id == trp::role_not_allowed);
      }
      INFO(row.name << " from a " << to_string(role));
      CHECK(run_until(loop, [&] { return told("message_refused") == before + 1; }));
      ++checked;
    }
  }
  CHECK(checked >= 5);
}

TEST_CASE("gate: an open session ends when its certificate does", "[actor][transport]") {
  node_with_gates n;
  auto brief = certificate_authority::load(n.cluster.path("ca.crt"), n.cluster.path("ca.key"),
                                           {.leaf_days = 0, .leaf_seconds = 3});
  credential_files files{n.cluster.path("b.crt"), n.cluster.path("b.key"),
                         n.cluster.path("ca.crt")};
  REQUIRE(brief->issue(peer_role::client, 7, files.certificate, files.key));
  auto own = load_credentials(files);
  REQUIRE(own);
  rogue_peer rogue{n.loop, *own, n.clients()};
  REQUIRE(rogue.handshake());
  REQUIRE(rogue.say_hello({{n.cluster.ca().cluster(), peer_role::client, 7}, incarnation{1}}));
  REQUIRE(rogue.receive());
  CHECK(n.net->session_count() == 1);
  frame_header beat;
  beat.kind = frame_kind::heartbeat;
  CHECK(run_until(
    n.loop,
    [&] {
      rogue.send(beat, {}); // it is not closed because it is silent
      n.loop.run_once(20);
      return n.net->session_count() == 0;
    },
    8000));
  REQUIRE(n.told("session_closed") == 1);
  auto at = std::find_if(n.events.begin(), n.events.end(),
                         [](const auto& e) { return e.name == "session_closed"; });
  CHECK(at->fields.at("why").find("has expired") != std::string::npos);
}

TEST_CASE("event_limit: a burst is told, then one per interval, and what was left out is counted",
          "[unit][event_limit]") {
  event_limit_state limit{3, 1000};
  boot_time t{5000};
  CHECK(limit.tell("a", t) == 0u);
  CHECK(limit.tell("a", t) == 0u);
  CHECK(limit.tell("a", t) == 0u);
  for (int i = 0; i < 10; ++i)
    CHECK_FALSE(limit.tell("a", t));
  CHECK(limit.tell("b", t) == 0u); // kinds have their own
  t.ns += 999;
  CHECK_FALSE(limit.tell("a", t));
  t.ns += 1;
  CHECK(limit.tell("a", t) == 11u);
  CHECK_FALSE(limit.tell("a", t));
  t.ns += 100'000;
  for (int i = 0; i < 3; ++i)
    CHECK(limit.tell("a", t));
  CHECK_FALSE(limit.tell("a", t));
}
