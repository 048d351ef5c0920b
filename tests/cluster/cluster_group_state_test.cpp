#include "cluster/cluster_group_state.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

namespace {

constexpr boot_time at(std::uint64_t seconds) {
  return boot_time{seconds * 1'000'000'000};
}

/// The moment of a request to a leader that has a majority.
constexpr cluster_now leading_at(std::uint64_t seconds) {
  return {at(seconds), at(seconds + 1)};
}

cluster_config two_nodes() {
  cluster_config c;
  c.cluster.bytes[0] = 7;
  c.name = "test";
  c.version = config_version{1};
  c.levels_in_use = {protection_level::plus_2d_1n};
  for (std::uint32_t n = 1; n <= 2; ++n) {
    c.nodes[node_id{n}] = {node_id{n}, "127.0.0.1:" + std::to_string(7000 + n), node_state::up,
                           incarnation{1}};
    drive_record d;
    d.id.bytes[0] = static_cast<std::uint8_t>(n);
    d.node = node_id{n};
    d.bay = drive_bay{1};
    d.state = drive_state::healthy;
    c.drives[d.id] = d;
    c.groups[group_id{0}].replicas.push_back({replica_id{n}, d.id, d.node});
  }
  c.groups[group_id{0}].preferred_leader = replica_id{1};
  c.slots = {{0, 4096, group_id{1}}};
  return c;
}

cluster_group_state leader_at(boot_time now) {
  auto config = two_nodes();
  cluster_group_state state{encode_cluster_config(config), config};
  cluster_group_effects out;
  state.role_changed(true, replica_id{1}, now, out);
  return state;
}

/// Commits what is in flight, as consensus would; gives the replies.
std::vector<reply_cluster> commit(cluster_group_state& state, cluster_group_effects& out) {
  std::vector<reply_cluster> replies;
  for (bool again = true; again;) {
    again = false;
    auto effects = std::exchange(out, {});
    for (auto& e : effects) {
      if (auto* p = std::get_if<propose_rows>(&e)) {
        state.applied(p->rows, out);
        state.proposal_finished(true, out);
        again = true;
      } else if (auto* r = std::get_if<reply_cluster>(&e)) {
        replies.push_back(*r);
      }
    }
    again = again || !out.empty();
  }
  return replies;
}

} // namespace

TEST_CASE("cluster_config: what is encoded is decoded, and differences are single rows",
          "[unit][cluster_config]") {
  auto config = two_nodes();
  auto rows = encode_cluster_config(config);
  auto back = decode_cluster_config(rows);
  REQUIRE(back);
  CHECK(encode_cluster_config(*back) == rows);
  CHECK(back->groups.at(group_id{0}).replicas.size() == 2);
  config.nodes[node_id{2}].state = node_state::down;
  CHECK(difference(rows, encode_cluster_config(config)).size() == 1);
  CHECK(difference(rows, {}).size() == rows.size());
}

TEST_CASE("cluster_config: rows of nodes and revoked certificates have these bytes",
          "[unit][cluster_config]") {
  auto config = two_nodes();
  config.nodes[node_id{1}].client_address = "c:1";
  revoked_certificate r;
  r.serial.hex = "0a0b";
  r.role = peer_role::client;
  r.id = 7;
  r.revoked_at = {0x0102};
  r.not_after = {0x0304};
  r.reason = "lost";
  config.revoked[r.serial] = r;
  auto rows = encode_cluster_config(config);
  auto text = [](std::initializer_list<int> bytes) {
    std::string out;
    for (int b : bytes)
      out += static_cast<char>(b);
    return out;
  };
  CHECK(rows.at("r0a0b") == text({1, 2, 7, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0,   0,   0,   0,
                                  0, 4, 3, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 'l', 'o', 's', 't'}));
  auto key = text({'n', 0, 0, 0, 1});
  auto node = text({2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0}) + "127.0.0.1:7001"
              + text({3, 0, 0, 0}) + "c:1";
  CHECK(rows.at(key) == node);
  auto back = decode_cluster_config(rows);
  REQUIRE(back);
  CHECK(back->revoked == config.revoked);
  CHECK(back->nodes.at(node_id{1}).client_address == "c:1");
  // Format 1, from before clients had a listener of their own.
  rows[key] = text({1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0}) + "127.0.0.1:7001";
  back = decode_cluster_config(rows);
  REQUIRE(back);
  CHECK(back->nodes.at(node_id{1}).client_address == "127.0.0.1:7001");
}

TEST_CASE("cluster_group: a revoked certificate is in the configuration, once, until it would end",
          "[unit][cluster_group]") {
  auto state = leader_at(at(10));
  cluster_group_effects out;
  auto revoke = [&](const std::string& serial, std::int64_t revoked_s, std::int64_t ends_s) {
    revoked_certificate r;
    r.serial.hex = serial;
    r.revoked_at = {revoked_s * 1'000'000'000};
    r.not_after = {ends_s * 1'000'000'000};
    state.request(1, revoke_certificate{r}, leading_at(11), out);
    return commit(state, out);
  };
  constexpr std::int64_t day = 86'400;
  auto done = revoke("aa", 100, 10 * day);
  REQUIRE(done.size() == 1);
  REQUIRE(std::holds_alternative<cluster_result>(done[0].response.outcome));
  CHECK(state.config().revoked.size() == 1);
  auto version = state.config().version;
  revoke("aa", 200, 10 * day); // again: the first time stays
  CHECK(state.config().revoked.at({"aa"}).revoked_at.ns == std::int64_t{100} * 1'000'000'000);
  revoke("bb", 12 * day, 30 * day); // "aa" ended before
  CHECK(state.config().revoked.size() == 1);
  CHECK(state.config().revoked.contains({"bb"}));
  CHECK(state.config().version > version);
  for (const std::string& wrong : {std::string{}, std::string{"xyz"}, std::string(65, 'a')}) {
    auto refused = revoke(wrong, 100, 200);
    REQUIRE(refused.size() == 1);
    CHECK(std::get<error>(refused[0].response.outcome).id == trp::certificate_not_found);
  }
}

TEST_CASE("cluster_config: damaged and newer rows are refused", "[unit][cluster_config]") {
  auto rows = encode_cluster_config(two_nodes());
  for (auto& [key, value] : rows) {
    auto damaged = rows;
    damaged[key].pop_back();
    CHECK(decode_cluster_config(damaged).error().code == errc::corrupt);
    damaged[key] = std::string(1, '\x03');
    CHECK(decode_cluster_config(damaged).error().code == errc::wrong_version);
  }
}

TEST_CASE("cluster_config: every damaged byte of the file is noticed", "[unit][cluster_config]") {
  auto bytes = encode_config_file(two_nodes());
  auto back = decode_config_file(bytes);
  REQUIRE(back);
  CHECK(encode_cluster_config(*back) == encode_cluster_config(two_nodes()));
  for (auto& b : bytes) {
    b ^= std::byte{0x10};
    CHECK_FALSE(decode_config_file(bytes));
    b ^= std::byte{0x10};
  }
  CHECK_FALSE(decode_config_file(byte_view{bytes}.first(bytes.size() - 1)));
  CHECK_FALSE(decode_config_file({}));
}

TEST_CASE("cluster_group: client ids are given once, and only when committed",
          "[unit][cluster_group]") {
  auto state = leader_at(at(0));
  cluster_group_effects out;
  state.request(1, admit_client{"a"}, leading_at(1), out);
  state.request(2, admit_client{"b"}, leading_at(1), out); // waits for the entry in flight
  REQUIRE(out.size() == 1);
  auto replies = commit(state, out);
  REQUIRE(replies.size() == 2);
  auto id = [](const reply_cluster& r) {
    return std::get<client_admitted>(std::get<cluster_result>(r.response.outcome)).client;
  };
  CHECK(id(replies[0]) == client_id{1});
  CHECK(id(replies[1]) == client_id{2});
  CHECK(state.config().version == config_version{3});
}

TEST_CASE("cluster_group: losing leadership in flight answers may have happened",
          "[unit][cluster_group]") {
  auto state = leader_at(at(0));
  cluster_group_effects out;
  state.request(1, admit_client{"a"}, leading_at(1), out);
  state.request(2, admit_client{"b"}, leading_at(1), out);
  out.clear();
  state.role_changed(false, replica_id{2}, at(2), out);
  state.proposal_finished(false, out);
  REQUIRE(out.size() == 2);
  auto code = [&](std::size_t i) {
    return std::get<error>(std::get<reply_cluster>(out[i]).response.outcome).code;
  };
  CHECK(code(0) == errc::not_leader);
  CHECK(code(1) == errc::may_have_happened);
  CHECK(state.config().clients_given == 0);
}

TEST_CASE("cluster_group: a silent node is called down and must register again",
          "[unit][cluster_group]") {
  auto state = leader_at(at(0));
  cluster_group_effects out;
  for (std::uint64_t s = 1; s <= 10; ++s) {
    state.request(s, renew_node_lease{node_id{1}, incarnation{1}, {}}, leading_at(s), out);
    state.tick(at(s), out);
  }
  commit(state, out);
  CHECK(state.config().nodes.at(node_id{2}).state == node_state::down);
  CHECK(state.config().nodes.at(node_id{1}).state == node_state::up);
  state.request(20, renew_node_lease{node_id{2}, incarnation{1}, {}}, leading_at(11), out);
  auto refused = commit(state, out);
  CHECK(std::get<error>(refused.at(0).response.outcome).code == errc::stale);
  state.request(21, register_node{node_id{2}, incarnation{2}, "127.0.0.1:7102", {}}, leading_at(12),
                out);
  commit(state, out);
  CHECK(state.config().nodes.at(node_id{2}).state == node_state::up);
  CHECK(state.config().nodes.at(node_id{2}).address == "127.0.0.1:7102");
}

TEST_CASE("cluster_group: a refused request leaves no trace in the entry",
          "[unit][cluster_group]") {
  auto state = leader_at(at(0));
  cluster_group_effects out;
  drive_record foreign;
  foreign.id.bytes[0] = 99;
  state.request(1, register_node{node_id{1}, incarnation{5}, "elsewhere:1", {foreign}},
                leading_at(1), out);
  auto replies = commit(state, out);
  CHECK(std::get<error>(replies.at(0).response.outcome).code == errc::wrong_cluster);
  CHECK(state.config().nodes.at(node_id{1}).address == "127.0.0.1:7001");
  CHECK(state.config().nodes.at(node_id{1}).process == incarnation{1});
}

TEST_CASE("cluster_group: an older process of a node cannot register", "[unit][cluster_group]") {
  auto state = leader_at(at(0));
  cluster_group_effects out;
  state.request(1, register_node{node_id{1}, incarnation{9}, "a:1", {}}, leading_at(1), out);
  commit(state, out);
  state.request(2, register_node{node_id{1}, incarnation{8}, "b:1", {}}, leading_at(1), out);
  auto replies = commit(state, out);
  CHECK(std::get<error>(replies.at(0).response.outcome).code == errc::stale);
}

TEST_CASE("cluster_group: a node lease is granted only while the group's own lease holds",
          "[unit][cluster_group]") {
  // A leader that was cut off grants nothing: its successor would not know of it.
  auto state = leader_at(at(0));
  auto grants = [&](cluster_now now) {
    cluster_group_effects out;
    state.request(1, renew_node_lease{node_id{1}, incarnation{1}, {}}, now, out);
    auto replies = commit(state, out);
    REQUIRE(replies.size() == 1);
    const auto* refused = std::get_if<error>(&replies[0].response.outcome);
    if (refused != nullptr)
      CHECK(refused->code == errc::not_leader);
    return refused == nullptr;
  };
  CHECK(grants({at(1), at(2)}));
  CHECK_FALSE(grants({at(2), at(2)})); // the end is outside
  CHECK_FALSE(grants({at(3), at(2)}));
  CHECK_FALSE(grants({at(3), boot_time{}}));
  CHECK(grants({at(4), at(5)}));

  // What was refused counts for nothing: the node is called down from its last grant on.
  auto silent_since = node_lease_options{}.lease_ns + node_lease_options{}.slack_ns;
  CHECK_FALSE(grants({boot_time{at(4).ns + silent_since}, at(5)}));
  cluster_group_effects out;
  state.tick(boot_time{at(4).ns + silent_since + 1}, out);
  commit(state, out);
  CHECK(state.config().nodes.at(node_id{1}).state == node_state::down);
}
