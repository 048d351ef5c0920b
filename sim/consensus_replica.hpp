#pragma once

#include "sim/consensus_checker.hpp"
#include "sim/consensus_disk.hpp"
#include "sim/consensus_options.hpp"
#include "sim/event_queue.hpp"
#include "sim/random.hpp"
#include "storage/consensus/consensus.hpp"

#include <functional>
#include <memory>
#include <optional>

namespace troupe {

/// What a simulated replica needs from the world around it.
struct consensus_surroundings {
  event_queue& events;
  random_source& random;
  consensus_checker& checker;
  consensus_verdict& verdict;
  const consensus_run& run;
  std::function<void(replica_id from, send_message)> send;
  /// The log as the leader of `term` has it, if `replica` is that leader; else nullptr.
  std::function<const durable_state*(replica_id replica, std::uint64_t term)> written;
  /// A leader has finished a change of a member.
  std::function<void(replica_id leader, replica_id member)> changed;
  /// A state at `index` or later from `source`, if that is up and reachable: nothing else.
  std::function<std::optional<sim_tables>(replica_id to, replica_id source, std::uint64_t index)>
    pull;
};

/// One replica with its owner's duties: journal, tables, checkpoints, pulls, crashes. The world
/// decides when it suffers.
class consensus_replica {
public:
  consensus_replica(consensus_surroundings& world, replica_id id, durable_state state,
                    std::uint64_t seed);

  replica_id id() const { return id_; }
  bool up() const { return consensus_ != nullptr; }
  bool dead() const { return dead_; }
  consensus& machine() { return *consensus_; }
  boot_time now() const;
  const sim_tables& tables() { return disk_.tables(state_id_); }
  const consensus_disk& disk() const { return disk_; }

  void start();
  /// Loses everything that was not synced; `start` brings it back.
  void crash();
  /// Never comes back: its disk is gone.
  void die();
  void receive(replica_id from, consensus_message message);
  void tick();
  void propose(std::span<const sim_command> commands);
  void slow_disk(std::uint64_t until, std::uint64_t latency_ns) {
    slow_until_ = until;
    slow_latency_ns_ = latency_ns;
  }
  /// For `transfer_leadership`, `promote` and their like.
  template <class Call>
  auto command(Call&& call) {
    consensus_effects out;
    auto result = call(*consensus_, now(), out);
    execute(out);
    return result;
  }

private:
  void execute(consensus_effects& effects);
  void check_promise(const send_message& x);
  void run_effect(send_message& x);
  void run_effect(const store_records& x);
  void run_effect(const apply_command& x);
  void run_effect(const proposal_finished& x);
  void run_effect(const role_changed& x);
  void run_effect(const members_changed&) {}
  void run_effect(const change_finished& x);
  void run_effect(const transfer_finished&) {}
  void run_effect(const install_state& x);
  void run_effect(const switch_state& x);
  void run_effect(const drop_state& x);
  void run_effect(const reopen_group& x);
  void start_sync();
  void maybe_checkpoint();
  void pull(install_state what, std::uint64_t tries);
  std::uint64_t sync_latency() const;
  /// Plans `what`, unless this replica crashes or is opened anew before.
  void after(std::uint64_t delay, std::function<void()> what);
  void trace(const char* what, std::uint64_t a = 0, std::uint64_t b = 0) const;

  consensus_surroundings& world_;
  replica_id id_;
  std::uint64_t seed_;
  consensus_disk disk_;
  std::unique_ptr<consensus> consensus_;
  bool dead_ = false;
  std::uint64_t opening_ = 0;
  std::uint64_t reopens_ = 0;
  bool reopening_ = false;
  std::uint64_t clock_offset_ns_;
  std::int64_t clock_rate_ppm_;
  std::uint64_t slow_until_ = 0;
  std::uint64_t slow_latency_ns_ = 0;

  std::uint64_t written_token_ = 0;
  std::uint64_t synced_token_ = 0;
  bool syncing_ = false;
  std::uint64_t state_id_ = 0;
  std::uint64_t applied_index_ = 0; ///< Of this opening.
  std::uint64_t checkpoint_step_ = 10;
  std::map<std::uint64_t, std::uint64_t> pulls_;                ///< state id by install token
  std::map<std::uint64_t, std::vector<std::uint64_t>> batches_; ///< command ids by proposal
};

/// The options of a simulated replica: small times and limits, so that everything happens often.
consensus_options simulated_options(const consensus_run& run, std::uint64_t seed);

} // namespace troupe
