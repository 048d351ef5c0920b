// Measures the pure stepping cost of storage/consensus: one group of three replicas in one thread,
// no disk, no network: every storage order is durable at once, every message arrives at once.
// Usage: consensus_step_rate [--seconds S] [--json]   rates in committed entries per second of
// processor time, for all three replicas together.
#include "storage/consensus/consensus.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <string>
#include <vector>

using namespace troupe;

namespace {

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

/// Three replicas that only think.
class group {
public:
  group() {
    group_configuration voters;
    for (std::uint64_t i = 1; i <= 3; ++i)
      voters.members.push_back({replica_id{i}, member_role::voter});
    for (std::uint64_t i = 1; i <= 3; ++i) {
      consensus_options options;
      options.seed = i;
      consensus_effects out;
      replicas_.emplace_back(replica_id{i}, bootstrap_state(voters), options, now_, out);
      run(i, out);
    }
    while (leader() == 0)
      advance();
  }
  /// Commits one batch. @returns false if there is no leader just now.
  bool commit(std::span<const shared_bytes> commands) {
    auto id = leader();
    if (id == 0)
      return false;
    consensus_effects out;
    auto token = at(id).propose(now_, commands, out);
    run(id, out);
    deliver();
    return static_cast<bool>(token) && !at(id).proposal_in_flight();
  }
  /// One tick and its heartbeats; also what a real owner does for the log.
  void advance() {
    now_.ns += 100'000'000;
    for (std::uint64_t id = 1; id <= 3; ++id) {
      consensus_effects out;
      at(id).tick(now_, out);
      at(id).checkpointed(at(id).last_applied(), out);
      run(id, out);
    }
    deliver();
  }

private:
  struct flying {
    replica_id from;
    replica_id to;
    consensus_message message;
  };
  consensus& at(std::uint64_t id) { return replicas_[id - 1]; }
  std::uint64_t leader() {
    for (std::uint64_t id = 1; id <= 3; ++id)
      if (replicas_.size() == 3 && at(id).leader_ready())
        return id;
    return 0;
  }
  void run(std::uint64_t id, consensus_effects& effects) {
    for (auto& effect : effects) {
      if (auto* send = std::get_if<send_message>(&effect)) {
        wire_.push_back({replica_id{id}, send->to, std::move(send->body)});
      } else if (auto* store = std::get_if<store_records>(&effect)) {
        consensus_effects out;
        at(id).durable(now_, store->token, out);
        run(id, out);
      }
    }
  }
  void deliver() {
    while (!wire_.empty()) {
      auto next = std::move(wire_.front());
      wire_.pop_front();
      consensus_effects out;
      at(next.to.value).receive(now_, next.from, std::move(next.message), out);
      run(next.to.value, out);
    }
  }

  boot_time now_{1'000'000'000};
  std::vector<consensus> replicas_;
  std::deque<flying> wire_;
};

double rate(std::size_t batch, std::size_t bytes, double seconds) {
  group g;
  std::vector<shared_bytes> commands(batch, shared_bytes{byte_vector(bytes, std::byte{7})});
  std::uint64_t entries = 0;
  auto begin = cpu_seconds();
  double used = 0;
  for (std::uint64_t i = 1; used < seconds; ++i) {
    entries += g.commit(commands) ? batch : 0;
    if (i % 16 == 0) {
      g.advance();
      used = cpu_seconds() - begin;
    }
  }
  return static_cast<double>(entries) / used;
}

} // namespace

int main(int argc, char** argv) {
  double seconds = 1;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0)
      json = true;
    else if (std::strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
      seconds = std::atof(argv[++i]);
    else
      return std::fprintf(stderr, "usage: consensus_step_rate [--seconds S] [--json]\n"), 2;
  }
  const std::array<std::size_t, 4> batches{1, 16, 256, 2048};
  const char* separator = "{";
  for (auto batch : batches) {
    auto entries = rate(batch, 256, seconds);
    if (json)
      std::printf("%s\"batch_%zu_entries_per_s\": %.0f", separator, batch, entries);
    else
      std::printf("batches of %4zu x 256 B: %9.0f entries/s, %6.2f us each\n", batch, entries,
                  1e6 / entries);
    separator = ", ";
  }
  if (json)
    std::printf("}\n");
}
