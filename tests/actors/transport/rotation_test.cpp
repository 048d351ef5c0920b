#include "actors/kit/log.hpp"
#include "actors/transport/certificate_keeper.hpp"
#include "tests/actors/transport/rogue_peer.hpp"

#include <algorithm>
#include <fstream>
#include <sys/stat.h>

using namespace troupe;
using namespace troupe::test;

namespace {

void write(const std::string& path, const std::string& text) {
  std::ofstream{path, std::ios::trunc} << text;
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
}

/// Node 2 with a handler, a client with a link to it, and a second CA of the same cluster.
struct node_and_client {
  reactor loop;
  test_cluster cluster;
  std::vector<event_record> events;
  event_listener listen{[this](const event_record& e) { events.push_back(e); }};
  member node{loop, cluster, peer_role::node, 2};
  member client{loop, cluster, peer_role::client, 1};
  certificate_authority next = *certificate_authority::create(cluster.ca().cluster());
  int changes = 0; ///< Of the link, as others hear of it.
  int handled = 0;
  int failed = 0;
  int asked = 0;

  node_and_client() {
    node->messages().on_request<free_runs>(
      [this](const request_context&, free_runs&&, responder<free_runs> answer) {
        ++handled;
        loop.call_after_ms(5, [answer] { answer(runs_freed{1}); });
      });
    client->add_peer_listener([this](const peer_change&) { ++changes; });
    client->open_link(node_id{2}, node->address());
    REQUIRE(run_until(loop, [&] { return to_node().up(); }));
  }
  troupe::link& to_node() { return *client->find_link(node_id{2}); }
  void ask() {
    ++asked;
    client->request(node_id{2}, 0, free_runs{}, {},
                    answer_callback<free_runs>{[this](auto x) { failed += !x; }});
  }
  certificate_serial shown_to_node() const {
    auto peers = node->peer_certificates();
    return peers.empty() ? certificate_serial{} : peers.back().info.serial;
  }
  /// Credentials of a member under one CA, believing these.
  credentials issued(const certificate_authority& by, peer_role role, std::uint64_t id,
                     const std::vector<const certificate_authority*>& trusted) {
    auto made = by.issue(role, id);
    REQUIRE(made);
    std::string bundle;
    for (const auto* ca : trusted)
      bundle += to_pem(ca->certificate());
    credential_files f{cluster.path("r.crt"), cluster.path("r.key"), cluster.path("r.ca")};
    write(f.certificate, made->certificate);
    write(f.key, made->key);
    write(f.ca, bundle);
    auto loaded = load_credentials(f);
    REQUIRE(loaded);
    return std::move(*loaded);
  }
};

} // namespace

TEST_CASE_METHOD(node_and_client, "rotation: a new certificate is shown without losing a request",
                 "[actor][transport]") {
  auto before = shown_to_node();
  auto changes_before = changes;
  // Three requests in flight at every moment, over several rotations.
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 30; ++i) {
      ask();
      if (i == 10)
        REQUIRE(client->renew(issued(cluster.ca(), peer_role::client, 1, {&cluster.ca()})));
      loop.run_once(1);
    }
    REQUIRE(run_until(loop, [&] { return handled == asked && to_node().pending_count() == 0; }));
  }
  REQUIRE(run_until(loop, [&] { return to_node().up() && node->session_count() == 1; }));
  CHECK(failed == 0);
  CHECK(asked == 150);
  CHECK(shown_to_node() != before);
  CHECK(changes == changes_before); // nobody was told of a loss
}

TEST_CASE_METHOD(node_and_client, "rotation: the CA changes in three steps and nobody is lost",
                 "[actor][transport]") {
  // 1. Both are trusted.
  REQUIRE(node->renew(issued(cluster.ca(), peer_role::node, 2, {&cluster.ca(), &next})));
  ask();
  REQUIRE(client->renew(issued(cluster.ca(), peer_role::client, 1, {&cluster.ca(), &next})));
  ask();
  REQUIRE(run_until(loop, [&] { return handled == asked; }));
  // 2. All show certificates of the new one; one after the other.
  REQUIRE(client->renew(issued(next, peer_role::client, 1, {&cluster.ca(), &next})));
  ask();
  REQUIRE(run_until(loop, [&] { return handled == asked && to_node().pending_count() == 0; }));
  REQUIRE(node->renew(issued(next, peer_role::node, 2, {&cluster.ca(), &next})));
  client->renew_links();
  ask();
  REQUIRE(run_until(loop, [&] { return handled == asked && to_node().pending_count() == 0; }));
  REQUIRE(run_until(loop, [&] {
    return to_node().up() && to_node().certificate().authority == authority_id(next.certificate());
  }));
  // 3. The old one goes. Who still shows one of its certificates goes, too.
  member late{loop, cluster, peer_role::client, 8};
  late->open_link(node_id{2}, node->address());
  auto& late_link = *late->find_link(node_id{2});
  CHECK(run_until(loop, [&] { return late_link.last_error().id == trp::foreign_certificate; }));
  rogue_peer old_client{loop, issued(cluster.ca(), peer_role::client, 9, {&cluster.ca(), &next}),
                        node->address()};
  REQUIRE(old_client.handshake());
  REQUIRE(old_client.say_hello({{cluster.ca().cluster(), peer_role::client, 9}, incarnation{1}}));
  REQUIRE(old_client.receive());
  REQUIRE(node->session_count() == 2);
  REQUIRE(node->renew(issued(next, peer_role::node, 2, {&next})));
  CHECK(run_until(loop, [&] { return node->session_count() == 1; }));
  ask();
  REQUIRE(run_until(loop, [&] { return handled == asked && to_node().pending_count() == 0; }));
  CHECK(failed == 0);
}

TEST_CASE_METHOD(node_and_client, "rotation: another identity is not taken on",
                 "[actor][transport]") {
  auto fine = client->renew(issued(cluster.ca(), peer_role::admin, 1, {&cluster.ca()}));
  CHECK(fine.error().id == trp::bad_certificate);
  ask();
  CHECK(run_until(loop, [&] { return handled == 1; }));
}

TEST_CASE_METHOD(node_and_client, "revocation: an open session ends at once, a new one is refused",
                 "[actor][transport]") {
  auto serial = shown_to_node();
  node->set_revoked({serial});
  REQUIRE(run_until(
    loop, [&] { return node->session_count() == 0; }, 2000));
  auto told = std::count_if(events.begin(), events.end(), [](const event_record& e) {
    return e.name == "session_closed"
           && e.fields.at("why").find("was revoked") != std::string::npos;
  });
  CHECK(told == 1);
  REQUIRE(run_until(loop, [&] { return to_node().last_error().id == trp::certificate_revoked; }));
  ask();
  REQUIRE(run_until(loop, [&] { return failed == 1; }));
  CHECK(handled == 0);
  // Another certificate of the same client is as good as any.
  REQUIRE(client->renew(issued(cluster.ca(), peer_role::client, 1, {&cluster.ca()})));
  REQUIRE(run_until(loop, [&] { return to_node().up(); }));
  ask();
  CHECK(run_until(loop, [&] { return handled == 1; }));
}

TEST_CASE_METHOD(node_and_client,
                 "revocation: nobody talks on to a node whose certificate was stolen",
                 "[actor][transport]") {
  client->set_revoked({to_node().certificate().serial});
  REQUIRE(run_until(loop, [&] { return !to_node().up(); }));
  CHECK(run_until(loop, [&] { return to_node().last_error().id == trp::certificate_revoked; }));
}

TEST_CASE("rotation: changed files are noticed, broken ones are told once and change nothing",
          "[actor][transport]") {
  reactor loop;
  test_cluster cluster;
  auto files = cluster.files(peer_role::client, 1);
  std::vector<event_record> events;
  event_listener listen{[&](const event_record& e) { events.push_back(e); }};
  auto told = [&](const std::string& name) {
    return std::count_if(events.begin(), events.end(),
                         [&](const event_record& e) { return e.name == name; });
  };
  auto net =
    network::make(loop, quick_options(), cluster.member(peer_role::client, 1), incarnation{1});
  REQUIRE(net);
  certificate_keeper keeper{loop, **net, files, {}, {.look_every_ms = 20}};
  auto first = (*net)->certificates().own.serial;
  auto made = cluster.ca().issue(peer_role::client, 1);
  REQUIRE(made);
  write(files.key, made->key); // for a while the pair does not fit
  for (int i = 0; i < 10; ++i)
    loop.run_once(20);
  CHECK((*net)->certificates().own.serial == first);
  CHECK(told("certificates_not_reloaded") == 1);
  write(files.certificate, made->certificate);
  CHECK(run_until(loop, [&] { return (*net)->certificates().own.serial == made->info.serial; }));
  CHECK(told("certificates_reloaded") == 1);
  // Two CAs in the bundle.
  auto next = certificate_authority::create(cluster.ca().cluster());
  write(files.ca, to_pem(cluster.ca().certificate()) + to_pem(next->certificate()));
  REQUIRE(keeper.reload());
  CHECK((*net)->certificates().authorities.size() == 2);
  REQUIRE(::chmod(files.key.c_str(), 0644) == 0);
  write(files.ca, to_pem(next->certificate()));
  REQUIRE(::chmod(files.key.c_str(), 0644) == 0);
  CHECK(keeper.reload().error().id == trp::open_to_others);
  CHECK((*net)->certificates().authorities.size() == 2);
}
