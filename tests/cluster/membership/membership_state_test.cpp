// Goal: a node registers before anything else, its lease counts from the sending of the renewal,
// and it finds the leader of the cluster group again after every refusal.

#include "cluster/membership/membership_state.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

namespace {

constexpr std::uint64_t ms = 1'000'000;

std::shared_ptr<const cluster_config> three_nodes() {
  cluster_config config;
  config.version = config_version{5};
  group_record group;
  for (std::uint32_t n = 1; n <= 3; ++n) {
    config.nodes[node_id{n}].id = node_id{n};
    group.replicas.push_back({replica_id{n}, {}, node_id{n}});
  }
  config.groups[group_id{0}] = group;
  return std::make_shared<const cluster_config>(config);
}

struct harness {
  membership_state state{node_id{2}, incarnation{7}, "here", {8000 * ms, 1000 * ms, 1000 * ms}};
  membership_now now;
  membership_effects out;

  harness() { state.config_changed(three_nodes()); }
  void tick(std::uint64_t at_ms) {
    now.boot = boot_time{at_ms * ms};
    out.clear();
    state.tick(now, out);
  }
  void answer(membership_token token, cluster_response response, std::uint64_t at_ms) {
    now.boot = boot_time{at_ms * ms};
    out.clear();
    state.answered(token, response, now, out);
  }
  /// The only question of the last input.
  ask_cluster question() const {
    const ask_cluster* found = nullptr;
    for (const auto& effect : out)
      if (const auto* x = std::get_if<ask_cluster>(&effect)) {
        CHECK(found == nullptr);
        found = x;
      }
    REQUIRE(found != nullptr);
    return *found;
  }
  void join() {
    tick(100);
    answer(question().token, {cluster_result{cluster_done{config_version{6}}}, replica_id{1}}, 150);
  }
};

} // namespace

TEST_CASE("membership: a node registers, then renews at once", "[unit][membership]") {
  harness h;
  h.tick(100);
  CHECK(std::holds_alternative<register_node>(h.question().request));
  CHECK(h.question().to == node_id{1});
  auto token = h.question().token;
  h.tick(300);
  CHECK(h.out.empty()); // one question at a time
  h.answer(token, {cluster_result{cluster_done{config_version{6}}}, replica_id{1}}, 400);
  CHECK(h.state.registered());
  CHECK(std::holds_alternative<renew_node_lease>(h.question().request));
}

TEST_CASE("membership: the lease counts from the sending of the renewal", "[unit][membership]") {
  harness h;
  h.join();
  auto token = h.question().token; // sent at 150
  CHECK(h.state.lease_until() == boot_time{0});
  h.answer(token, {cluster_result{node_lease_granted{8000, config_version{5}, {}}}, {}}, 1140);
  CHECK(h.state.lease_until() == boot_time{8150 * ms});
  // The same answer again is nobody's.
  h.answer(token, {cluster_result{node_lease_granted{9000, config_version{5}, {}}}, {}}, 1145);
  CHECK(h.state.lease_until() == boot_time{8150 * ms});
}

TEST_CASE("membership: whom to ask follows the answers", "[unit][membership]") {
  harness h;
  h.tick(100);
  h.answer(h.question().token, {error{errc::not_leader, ""}, replica_id{3}}, 110);
  h.tick(300);
  CHECK(h.question().to == node_id{3}); // named
  h.answer(h.question().token, {error{errc::timeout, ""}, {}}, 310);
  h.tick(500);
  CHECK(h.question().to == node_id{3}); // turn 2: the third replica
  h.answer(h.question().token, {error{errc::not_leader, ""}, {}}, 510);
  h.tick(700);
  CHECK(h.question().to == node_id{1});
}

TEST_CASE("membership: a node that was called down registers again", "[unit][membership]") {
  harness h;
  h.join();
  h.answer(h.question().token, {error{errc::stale, "called down"}, {}}, 200);
  CHECK_FALSE(h.state.registered());
  h.tick(400);
  CHECK(std::holds_alternative<register_node>(h.question().request));
}

TEST_CASE("membership: a drive's state is told until the group has it", "[unit][membership]") {
  harness h;
  h.join();
  h.answer(h.question().token, {cluster_result{node_lease_granted{8000, {}, {}}}, {}}, 160);
  drive_record drive;
  drive.state = drive_state::dead;
  h.state.drive_changed(drive);
  h.tick(400);
  auto first = h.question();
  CHECK(std::get<set_drive_state>(first.request).state == drive_state::dead);
  h.answer(first.token, {error{errc::timeout, ""}, {}}, 410);
  h.tick(600);
  auto second = h.question();
  CHECK(std::holds_alternative<set_drive_state>(second.request));
  h.answer(second.token, {cluster_result{cluster_done{}}, {}}, 610);
  h.tick(800);
  CHECK(h.out.empty());
}

TEST_CASE("membership: a newer configuration is fetched from somebody else", "[unit][membership]") {
  harness h;
  h.join();
  h.answer(h.question().token,
           {cluster_result{node_lease_granted{8000, config_version{9}, {}}}, {}}, 160);
  h.tick(400);
  REQUIRE(h.out.size() == 1);
  const auto* fetch = std::get_if<ask_config>(&h.out[0]);
  // Asked by turns; this node itself is passed over.
  if (fetch == nullptr)
    h.tick(600);
  REQUIRE(h.out.size() == 1);
  fetch = std::get_if<ask_config>(&h.out[0]);
  REQUIRE(fetch != nullptr);
  CHECK(fetch->to != node_id{2});
  auto token = fetch->token;
  h.tick(700);
  CHECK(h.out.empty());
  h.out.clear();
  h.state.fetched(token, *three_nodes(), h.out);
  REQUIRE(h.out.size() == 1);
  CHECK(std::holds_alternative<adopt_config>(h.out[0]));
}
