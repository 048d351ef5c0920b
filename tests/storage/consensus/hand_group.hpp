#pragma once

#include "storage/consensus/consensus.hpp"

#include <catch2/catch.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <type_traits>
#include <utility>

namespace troupe::test {

inline shared_bytes command(const std::string& text) {
  return shared_bytes{std::string{text}};
}
inline std::string text_of(const shared_bytes& bytes) {
  return std::string{as_text(bytes.view())};
}

/// Times in tests: election 300 ms, heartbeat 50 ms.
inline consensus_options hand_options() {
  consensus_options options;
  options.election_timeout_ms = 300;
  options.heartbeat_ms = 50;
  options.install_timeout_ms = 500;
  return options;
}

/// A few replicas whose network, disks and clock the test moves by hand. Without further orders
/// messages arrive at once and disks sync at once.
class hand_group {
public:
  struct node {
    std::unique_ptr<consensus> machine; ///< nullptr: down.
    durable_state disk;
    std::deque<store_records> unsynced;
    bool disk_stands_still = false;
    bool clock_ticks = true;
    std::map<std::uint64_t, std::string> applied; ///< by index, of all openings
    std::vector<consensus_effect> seen;           ///< Everything but stores and messages.

    template <class T>
    std::size_t count() const {
      std::size_t n = 0;
      for (const auto& effect : seen)
        n += std::holds_alternative<T>(effect) ? 1 : 0;
      return n;
    }
    template <class T>
    const T& last() const {
      for (auto at = seen.rbegin(); at != seen.rend(); ++at)
        if (const auto* x = std::get_if<T>(&*at))
          return *x;
      FAIL("no such effect");
      throw 0;
    }
  };
  struct flying {
    std::uint64_t from;
    std::uint64_t to;
    consensus_message message;
  };

  explicit hand_group(std::uint64_t voters, consensus_options options = hand_options())
    : options_(options) {
    group_configuration founders;
    for (std::uint64_t i = 1; i <= voters; ++i)
      founders.members.push_back({replica_id{i}, member_role::voter});
    for (std::uint64_t i = 1; i <= voters; ++i)
      add(i, bootstrap_state(founders));
  }

  void add(std::uint64_t id, durable_state state) {
    nodes_[id].disk = std::move(state);
    start(id);
  }
  node& at(std::uint64_t id) { return nodes_.at(id); }
  consensus& machine(std::uint64_t id) { return *nodes_.at(id).machine; }
  boot_time now() const { return now_; }

  void start(std::uint64_t id) {
    auto& n = nodes_.at(id);
    auto options = options_;
    options.seed = id * 1000 + ++openings_;
    consensus_effects out;
    n.machine = std::make_unique<consensus>(replica_id{id}, n.disk, options, now_, out);
    run(id, out);
  }
  /// Unsynced records are lost.
  void crash(std::uint64_t id) {
    nodes_.at(id).machine.reset();
    nodes_.at(id).unsynced.clear();
  }
  void cut(std::uint64_t a, std::uint64_t b) {
    cut_.insert({a, b});
    cut_.insert({b, a});
  }
  void isolate(std::uint64_t a) {
    for (auto& [b, n] : nodes_)
      cut(a, b);
  }
  void heal() { cut_.clear(); }
  /// Only messages that it likes arrive; the others are lost.
  std::function<bool(const flying&)> filter;

  /// Moves time in steps of 10 ms.
  void advance(std::uint64_t ms) {
    for (std::uint64_t t = 0; t < ms; t += 10) {
      now_.ns += 10'000'000;
      for (auto& [id, n] : nodes_)
        if (n.machine && n.clock_ticks)
          step(id, [&](consensus& m, consensus_effects& out) { m.tick(now_, out); });
      deliver_all();
    }
  }
  void deliver_all() {
    while (!wire_.empty())
      deliver_next();
  }
  void deliver_next() {
    auto next = std::move(wire_.front());
    wire_.pop_front();
    auto at = nodes_.find(next.to);
    if (at == nodes_.end() || !at->second.machine || cut_.count({next.from, next.to}) > 0)
      return;
    if (filter && !filter(next))
      return;
    step(next.to, [&](consensus& m, consensus_effects& out) {
      m.receive(now_, replica_id{next.from}, std::move(next.message), out);
    });
  }
  /// Puts a message in, as if `from` had sent it, and delivers it alone.
  void inject(std::uint64_t from, std::uint64_t to, consensus_message message) {
    wire_.push_front({from, to, std::move(message)});
    deliver_next();
  }
  /// The oldest storage order of a standing disk completes.
  void sync_one(std::uint64_t id) {
    auto& n = nodes_.at(id);
    REQUIRE(!n.unsynced.empty());
    auto order = std::move(n.unsynced.front());
    n.unsynced.pop_front();
    for (const auto& record : order.records)
      REQUIRE(fold(n.disk, record));
    step(id, [&](consensus& m, consensus_effects& out) { m.durable(now_, order.token, out); });
  }
  void release_disk(std::uint64_t id) {
    nodes_.at(id).disk_stands_still = false;
    while (!nodes_.at(id).unsynced.empty())
      sync_one(id);
  }

  /// Calls `what(machine, out)` and does what it orders.
  template <class What>
  std::invoke_result_t<What&, consensus&, consensus_effects&> step(std::uint64_t id, What&& what) {
    using result_type = std::invoke_result_t<What&, consensus&, consensus_effects&>;
    consensus_effects out;
    if constexpr (std::is_void_v<result_type>) {
      what(machine(id), out);
      run(id, out);
    } else {
      auto result = what(machine(id), out);
      run(id, out);
      return result;
    }
  }
  expected<proposal_token> propose(std::uint64_t id, const std::vector<std::string>& texts) {
    std::vector<shared_bytes> commands;
    for (const auto& text : texts)
      commands.push_back(command(text));
    return step(
      id, [&](consensus& m, consensus_effects& out) { return m.propose(now_, commands, out); });
  }

  /// The ready leader of the newest term; 0 if there is none.
  std::uint64_t leader() {
    std::uint64_t best = 0;
    for (auto& [id, n] : nodes_)
      if (n.machine && n.machine->leader_ready()
          && (best == 0 || n.machine->term() > machine(best).term()))
        best = id;
    return best;
  }
  /// Lets time pass until somebody leads.
  std::uint64_t elect() {
    for (int i = 0; i < 500 && leader() == 0; ++i)
      advance(10);
    REQUIRE(leader() != 0);
    return leader();
  }
  /// Makes `id` the leader: only its clock ticks until it is.
  void elect(std::uint64_t id) {
    std::map<std::uint64_t, bool> before;
    for (auto& [other, n] : nodes_)
      before[other] = std::exchange(n.clock_ticks, other == id);
    for (int i = 0; i < 500 && !machine(id).leader_ready(); ++i)
      advance(10);
    for (auto& [other, n] : nodes_)
      n.clock_ticks = before[other];
    REQUIRE(machine(id).leader_ready());
  }

  std::deque<flying>& wire() { return wire_; }

private:
  void run(std::uint64_t id, consensus_effects& effects) {
    auto& n = nodes_.at(id);
    for (auto& effect : effects) {
      if (auto* send = std::get_if<send_message>(&effect)) {
        wire_.push_back({id, send->to.value, std::move(send->body)});
      } else if (auto* store = std::get_if<store_records>(&effect)) {
        n.unsynced.push_back(std::move(*store));
      } else {
        if (auto* apply = std::get_if<apply_command>(&effect))
          n.applied[apply->index] = text_of(apply->command);
        n.seen.push_back(effect);
      }
    }
    while (!n.disk_stands_still && n.machine && !n.unsynced.empty())
      sync_one(id);
  }

  consensus_options options_;
  boot_time now_{5'000'000'000};
  std::uint64_t openings_ = 0;
  std::map<std::uint64_t, node> nodes_;
  std::deque<flying> wire_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> cut_;
};

} // namespace troupe::test
