#pragma once

#include "cluster/gateway/gateway_state.hpp"
#include "messages/protection_level.hpp"
#include "storage/base/assert.hpp"
#include "tests/cluster/gateway/fake_drive.hpp"
#include "tests/cluster/gateway/fake_partition.hpp"

#include <functional>
#include <map>
#include <memory>
#include <random>

namespace troupe::test {

/// A cluster in one thread under virtual time: nodes with drives in memory, partitions with the
/// real evaluation, messages with seeded delays that get lost on demand, and any number of
/// gateways.
class fake_cluster {
public:
  struct shape {
    std::uint32_t nodes = 5;
    std::uint32_t drives_per_node = 4;
    std::uint32_t groups = 4;
    std::uint64_t blocks_per_drive = 100'000;
    std::uint64_t seed = 1;
  };
  explicit fake_cluster(shape s);
  fake_cluster() : fake_cluster(shape{}) {}

  /// A new client of the cluster. Returns its number.
  std::size_t add_gateway(gateway_options options = {});
  gateway_state& gateway(std::size_t i = 0) { return *clients_[i].state; }
  void kill_gateway(std::size_t i) { clients_[i].state.reset(); }

  /// Asks and runs the cluster until the answer is there.
  expected<call_result> call(file_call what, std::size_t client = 0);
  /// Asks, and does not wait.
  call_token begin(file_call what, std::size_t client = 0);
  /// Runs the cluster until that call is answered.
  expected<call_result> finish(call_token token);
  bool finished(call_token token) const { return replies_.contains(token); }
  expected<call_result> shut_down(std::size_t client);
  void interrupt(call_token token, std::size_t client = 0);

  /// Lets time pass.
  void run_for(std::uint64_t ms) { run_for_us(ms * 1000); }
  void run_for_us(std::uint64_t us);
  instant now() const { return {now_, {1'700'000'000'000'000'000 + static_cast<long>(now_.ns)}}; }

  // harm
  void set_node(node_id node, bool up); ///< Its links break; its drives and replicas are silent.
  void change_leader(group_id group);   ///< To the next replica on a node that is up.
  /// What a client asks partitions gets lost.
  void cut_off(std::size_t client, bool off) { clients_[client].cut_off = off; }
  bool view_names_leaders = false; ///< Else a view's leaders are often wrong.
  bool hold_views = false;         ///< Newer configurations do not reach the gateways.
  double lose_requests = 0;        ///< Share of requests to partitions that get lost…
  double lose_answers = 0;         ///< …and of their answers.
  double lose_stores = 0;          ///< Share of requests to drives that get no answer.

  fake_drive& drive(const drive_uuid& id) { return drives_.at(id); }
  std::map<drive_uuid, fake_drive>& drives() { return drives_; }
  std::map<group_id, fake_partition>& partitions() { return partitions_; }
  fake_partition& partition(group_id id) { return partitions_.at(id); }
  fake_partition& partition_of(lin id);
  /// Tells all gateways how things are; `raise` makes it a newer configuration.
  void push_view(bool raise);
  cluster_view view() const;
  void set_drive_state(const drive_uuid& id, drive_state state);

  std::vector<damage_seen> damage;
  std::vector<unit_repaired> repaired;
  std::vector<writes_lost> lost;
  /// Commits that named a configuration under which one of their drives takes no data (F5).
  std::uint64_t misnamed_commits = 0;
  std::uint64_t random(std::uint64_t below) { return random_() % below; }

private:
  struct connected {
    std::unique_ptr<gateway_state> state;
    bool cut_off = false;
  };
  void take(std::size_t client, gateway_effects effects);
  void check_plan(const meta_request& request);
  void execute(std::size_t client, send_meta x);
  void execute(std::size_t client, send_drive x);
  void after_us(std::uint64_t us, std::function<void()> what);
  void input(std::size_t client, const std::function<void(gateway_state&, gateway_effects&)>& what);
  bool step(boot_time until);
  bool chance(double share) { return share > 0 && random(1'000'000) < share * 1'000'000; }
  std::uint64_t delay() { return 50 + random(300); }

  shape shape_;
  std::mt19937_64 random_;
  boot_time now_{1'000'000'000};
  std::uint64_t event_count_ = 0;
  std::map<std::pair<boot_time, std::uint64_t>, std::function<void()>> events_;
  std::map<drive_uuid, fake_drive> drives_;
  std::map<drive_uuid, drive_state> states_;
  std::map<config_version, std::map<drive_uuid, drive_state>> pushed_; ///< What each version said.
  std::map<group_id, fake_partition> partitions_;
  std::map<replica_id, node_id> replica_nodes_;
  std::map<node_id, bool> nodes_;
  config_version version_{1};
  std::vector<connected> clients_;
  std::map<call_token, expected<call_result>> replies_;
  std::uint64_t calls_ = 0;
};

inline fake_cluster::fake_cluster(shape s) : shape_(s), random_(s.seed) {
  for (std::uint32_t n = 1; n <= s.nodes; ++n) {
    nodes_[node_id{n}] = true;
    for (std::uint32_t d = 1; d <= s.drives_per_node; ++d) {
      drive_uuid id;
      id.bytes[0] = static_cast<std::uint8_t>(n);
      id.bytes[15] = static_cast<std::uint8_t>(d);
      auto& drive = drives_[id];
      drive.id = id;
      drive.node = node_id{n};
      drive.bay = drive_bay{d};
      drive.blocks_total = s.blocks_per_drive;
      states_[id] = drive_state::healthy;
    }
  }
  std::uint64_t replicas = 0;
  pushed_[version_] = states_;
  auto slots_each = slot_count / s.groups;
  for (std::uint32_t g = 1; g <= s.groups; ++g) {
    auto& partition = partitions_[group_id{g}];
    partition.id = group_id{g};
    for (std::uint32_t slot = (g - 1) * slots_each; slot < g * slots_each; ++slot)
      partition.slots.insert(static_cast<std::uint16_t>(slot));
    for (const auto& [node, up] : nodes_) {
      replica_id replica{++replicas};
      partition.replicas.push_back(replica);
      replica_nodes_[replica] = node;
    }
    partition.leader = g % s.nodes;
    for (const auto& [id, drive] : drives_)
      partition.drives[id] = {drive.node, true};
    if (g == 1)
      partition.make_root(now().wall);
  }
}

inline cluster_view fake_cluster::view() const {
  cluster_view out;
  out.version = version_;
  out.epoch = snapshot_epoch{1};
  out.default_level = static_cast<std::uint8_t>(protection_level::plus_2d_1n);
  for (const auto& [id, up] : nodes_)
    out.nodes.push_back({id, "node", true}); // the cluster group is slower than the links
  for (const auto& [id, drive] : drives_)
    out.drives.push_back(
      {id, drive.node, drive.bay, states_.at(id), drive.blocks_total, drive.blocks_free()});
  for (const auto& [id, partition] : partitions_) {
    group_view group;
    group.id = id;
    for (auto replica : partition.replicas)
      group.replicas.push_back({replica, replica_nodes_.at(replica), {}});
    group.leader =
      view_names_leaders ? partition.replicas[partition.leader] : group.replicas.front().id;
    out.groups.push_back(std::move(group));
    out.slots.push_back(
      {*partition.slots.begin(), static_cast<std::uint16_t>(*partition.slots.rbegin() + 1), id});
  }
  return out;
}

inline std::size_t fake_cluster::add_gateway(gateway_options options) {
  options.client = client_id{clients_.size() + 1};
  connected c;
  c.state = std::make_unique<gateway_state>(options, view());
  clients_.push_back(std::move(c));
  return clients_.size() - 1;
}

inline void fake_cluster::after_us(std::uint64_t us, std::function<void()> what) {
  events_.emplace(std::pair{boot_time{now_.ns + us * 1000}, ++event_count_}, std::move(what));
}

inline void fake_cluster::input(std::size_t client,
                                const std::function<void(gateway_state&, gateway_effects&)>& what) {
  auto& c = clients_[client];
  if (!c.state)
    return;
  gateway_effects out;
  what(*c.state, out);
  take(client, std::move(out));
}

inline void fake_cluster::take(std::size_t client, gateway_effects effects) {
  for (auto& effect : effects) {
    if (auto* meta = std::get_if<send_meta>(&effect))
      execute(client, std::move(*meta));
    else if (auto* to_drive = std::get_if<send_drive>(&effect))
      execute(client, std::move(*to_drive));
    else if (auto* reply = std::get_if<call_reply>(&effect)) {
      TROUPE_ASSERT(!replies_.contains(reply->token)); // exactly once
      replies_.emplace(reply->token, std::move(reply->outcome));
    } else if (auto* seen = std::get_if<damage_seen>(&effect))
      damage.push_back(*seen);
    else if (auto* good = std::get_if<unit_repaired>(&effect))
      repaired.push_back(*good);
    else if (auto* gone = std::get_if<writes_lost>(&effect))
      lost.push_back(*gone);
    else if (std::holds_alternative<fetch_config>(effect))
      after_us(delay(), [this, client] {
        if (!hold_views)
          input(client, [&](auto& g, auto& out) { g.update_view(view(), now(), out); });
      });
  }
}

/// At the moment of sending, every commit names a configuration that takes all its units.
inline void fake_cluster::check_plan(const meta_request& request) {
  const auto* commit = std::get_if<op_commit_write>(&request.operation);
  auto known = pushed_.find(request.config);
  if (!commit || known == pushed_.end())
    return;
  for (const auto& stripe : commit->stripes)
    for (const auto& unit : stripe.units)
      if (known->second.at(unit.run.drive) != drive_state::healthy) {
        ++misnamed_commits;
        return;
      }
}

inline void fake_cluster::execute(std::size_t client, send_meta x) {
  check_plan(x.request);
  after_us(delay(), [this, client, x = std::move(x)] {
    auto node = x.node;
    if (!nodes_.at(node)) {
      after_us(delay(), [this, client, token = x.token] {
        input(client, [&](auto& g, auto& out) {
          g.meta_failed(token, error{errc::unavailable, "node is down"}, now(), out);
        });
      });
      return;
    }
    if (clients_[client].cut_off || chance(lose_requests))
      return;
    auto response = partition(x.group).handle(x.request, x.replica, now_, now().wall);
    if (chance(lose_answers))
      return;
    after_us(delay(), [this, client, token = x.token, response = std::move(response)] {
      input(client, [&](auto& g, auto& out) { g.meta_answered(token, response, now(), out); });
    });
  });
}

inline void fake_cluster::execute(std::size_t client, send_drive x) {
  after_us(delay(), [this, client, x = std::move(x)] {
    auto& d = drives_.at(x.drive);
    if (d.silent)
      return;
    expected<drive_answer> answer = error{errc::unavailable, "node is down"};
    if (nodes_.at(d.node))
      answer = d.handle(x.request);
    if (chance(lose_stores))
      return;
    after_us(delay(), [this, client, token = x.token, answer = std::move(answer)] {
      input(client, [&](auto& g, auto& out) { g.drive_answered(token, answer, now(), out); });
    });
  });
}

inline bool fake_cluster::step(boot_time until) {
  // The next thing that happens: an event, or a gateway that wants its tick.
  std::optional<boot_time> next;
  if (!events_.empty())
    next = events_.begin()->first.first;
  std::optional<std::size_t> ticking;
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    if (!clients_[i].state)
      continue;
    auto due = clients_[i].state->next_tick();
    if (due && (!next || *due < *next)) {
      next = due;
      ticking = i;
    }
  }
  if (!next || *next > until) {
    now_ = until;
    return false;
  }
  now_ = std::max(now_, *next);
  if (ticking) {
    input(*ticking, [&](auto& g, auto& out) { g.tick(now(), out); });
    return true;
  }
  auto what = std::move(events_.begin()->second);
  events_.erase(events_.begin());
  what();
  return true;
}

inline void fake_cluster::run_for_us(std::uint64_t us) {
  boot_time until{now_.ns + us * 1000};
  while (step(until)) {
  }
}

inline call_token fake_cluster::begin(file_call what, std::size_t client) {
  call_token token{++calls_};
  input(client, [&](auto& g, auto& out) { g.call(token, std::move(what), now(), out); });
  return token;
}

inline expected<call_result> fake_cluster::finish(call_token token) {
  boot_time give_up{now_.ns + 600'000'000'000};
  while (!finished(token) && now_ < give_up)
    step(give_up);
  TROUPE_ASSERT(finished(token)); // every call is answered within bounded time
  auto outcome = std::move(replies_.at(token));
  replies_.erase(token);
  return outcome;
}

inline expected<call_result> fake_cluster::call(file_call what, std::size_t client) {
  return finish(begin(std::move(what), client));
}

inline expected<call_result> fake_cluster::shut_down(std::size_t client) {
  call_token token{++calls_};
  input(client, [&](auto& g, auto& out) { g.shut_down(token, now(), out); });
  return finish(token);
}

inline void fake_cluster::interrupt(call_token token, std::size_t client) {
  input(client, [&](auto& g, auto& out) { g.interrupt(token, now(), out); });
}

inline void fake_cluster::change_leader(group_id group) {
  auto& p = partition(group);
  do
    p.change_leader(now_);
  while (!nodes_.at(replica_nodes_.at(p.replicas[p.leader])));
}

inline void fake_cluster::set_node(node_id node, bool up) {
  nodes_[node] = up;
  for (auto& [id, partition] : partitions_)
    if (!up && replica_nodes_.at(partition.replicas[partition.leader]) == node)
      change_leader(id);
  for (std::size_t i = 0; i < clients_.size(); ++i)
    input(i, [&](auto& g, auto& out) { g.link_changed(node, up, now(), out); });
}

inline void fake_cluster::set_drive_state(const drive_uuid& id, drive_state state) {
  states_[id] = state;
  for (auto& [group, partition] : partitions_)
    partition.drives[id].writable = state == drive_state::healthy;
}

inline void fake_cluster::push_view(bool raise) {
  if (raise)
    ++version_.value;
  pushed_[version_] = states_;
  for (auto& [id, partition] : partitions_)
    partition.config = version_;
  for (std::size_t i = 0; i < clients_.size() && !hold_views; ++i)
    input(i, [&](auto& g, auto& out) { g.update_view(view(), now(), out); });
}

inline fake_partition& fake_cluster::partition_of(lin id) {
  for (auto& [group, partition] : partitions_)
    if (partition.slots.contains(slot_of(id).value))
      return partition;
  TROUPE_ASSERT(!"slot without partition");
  return partitions_.begin()->second;
}

} // namespace troupe::test
