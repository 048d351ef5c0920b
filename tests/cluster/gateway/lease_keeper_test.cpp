#include "cluster/gateway/gateway_state.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace troupe;

namespace {

constexpr lin the_file{7};
constexpr lease_id the_lease{std::uint64_t{5} << 32 | 1};

/// One gateway and the script of a partition with one replica, which is silent on demand.
class scripted_partition {
public:
  scripted_partition() : gateway_({client_id{1}}, view()) {}

  void create() {
    gateway_effects out;
    gateway_.call(call_token{1}, call_create{root_lin, "f", {}, {true}}, now(), out);
    run(out);
  }
  void run_for(std::uint64_t ms) {
    for (auto end = boot_.ns + ms * 1'000'000; boot_.ns < end;) {
      boot_.ns += 10'000'000;
      gateway_effects out;
      gateway_.tick(now(), out);
      run(out);
    }
  }
  bool is_open() const { return opened_; }
  std::uint64_t leases_held() const { return gateway_.report().leases_held; }
  /// Whether the renewals since the last call named the lease: all of them, or none?
  enum class naming { nothing_sent, always, never, both };
  naming since_last_look() {
    auto seen = std::exchange(named_, {});
    if (seen.empty())
      return naming::nothing_sent;
    auto count = std::count(seen.begin(), seen.end(), true);
    if (count == 0)
      return naming::never;
    return static_cast<std::size_t>(count) == seen.size() ? naming::always : naming::both;
  }

  bool silent = false;

private:
  static cluster_view view() {
    cluster_view out;
    out.version = config_version{1};
    out.epoch = snapshot_epoch{1};
    out.nodes.push_back({node_id{1}, "node", true});
    group_view group;
    group.id = group_id{1};
    group.replicas.push_back({replica_id{11}, node_id{1}, {}});
    group.leader = replica_id{11};
    out.groups.push_back(group);
    out.slots.push_back({0, slot_count, group_id{1}});
    return out;
  }
  instant now() const { return {boot_, wall_time{1}}; }
  void run(gateway_effects& effects) {
    for (auto& effect : effects) {
      if (auto* reply = std::get_if<call_reply>(&effect))
        opened_ = opened_ || static_cast<bool>(reply->outcome);
      auto* ask = std::get_if<send_meta>(&effect);
      if (!ask)
        continue;
      if (auto* renewal = std::get_if<op_renew_leases>(&ask->request.operation))
        named_.push_back(!renewal->held.empty());
      if (silent)
        continue;
      gateway_effects out;
      gateway_.meta_answered(ask->token, answer(ask->request.operation), now(), out);
      run(out);
    }
  }
  static meta_response answer(const meta_operation& operation) {
    meta_response out;
    out.config = config_version{1};
    out.epoch = snapshot_epoch{1};
    if (std::holds_alternative<op_register_client>(operation)) {
      out.outcome = meta_result{client_registered{4000}};
    } else if (std::holds_alternative<op_create>(operation)) {
      inode_attributes attributes;
      attributes.id = the_file;
      attributes.kind = file_kind::regular;
      out.outcome = meta_result{
        entry_found{the_file, file_kind::regular, attributes, granted_lease{the_lease, 4000}}};
      out.definite = true;
    } else if (std::holds_alternative<op_renew_leases>(operation)) {
      out.outcome = meta_result{leases_renewed{}};
    } else {
      out.outcome = error{errc::not_supported, "not in the script"};
      out.definite = true;
    }
    return out;
  }

  boot_time boot_{1'000'000'000};
  gateway_state gateway_;
  bool opened_ = false;
  std::vector<bool> named_;
};

} // namespace

TEST_CASE("lease_keeper: a lease that ran out is lost, and named to nobody (F14)",
          "[unit][gateway][lease_keeper]") {
  using naming = scripted_partition::naming;
  scripted_partition p;
  p.create();
  REQUIRE(p.is_open());
  p.run_for(3000);
  CHECK(p.since_last_look() == naming::always);
  p.silent = true; // one renewal may just have been answered
  p.run_for(2900); // good since the last one was sent, for 4 s
  CHECK(p.since_last_look() == naming::always);
  SECTION("heard again in time") {
    p.silent = false;
    p.run_for(2000);
    CHECK(p.since_last_look() == naming::always);
    CHECK(p.leases_held() == 1);
  }
  SECTION("the file may have changed hands, whoever leads now") {
    p.run_for(2000);
    (void)p.since_last_look();
    p.run_for(3000);
    CHECK(p.since_last_look() == naming::never);
    p.silent = false;
    p.run_for(2000);
    CHECK(p.since_last_look() == naming::never);
    CHECK(p.leases_held() == 0);
  }
}
