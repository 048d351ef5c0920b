#pragma once

#include "sim/consensus_replica.hpp"

#include <map>
#include <set>

namespace troupe {

/// One simulated group: its replicas, the network between them, clients, faults, and, with churn,
/// the manager that repairs and moves members by the rule of hazards F27.
class consensus_world {
public:
  explicit consensus_world(const consensus_run& run);

  /// Chaos, then healing, then the verdict.
  consensus_verdict play();

private:
  // the group
  consensus_replica& add_replica(durable_state state);
  void start_ticking(replica_id id);
  std::vector<replica_id> live() const; ///< Not dead for ever.
  /// A replica that believes that it is a ready leader; the newest term if there are several.
  consensus_replica* leader();

  // the network
  void send(replica_id from, send_message x);
  void deliver(replica_id from, replica_id to, consensus_message message);
  bool connected(replica_id from, replica_id to) const;
  std::optional<sim_tables> pull(replica_id to, replica_id source, std::uint64_t index);

  // clients (consensus_world.cpp) and faults (consensus_faults.cpp)
  void plan_faults();
  void repeat(std::uint32_t mean_ms, std::function<void()> what);
  void propose();
  void read();
  void split();
  void crash_one();
  void slow_one();
  void transfer();
  void set_rates(bool on);
  void calm();
  void watch_calm(std::uint64_t until);
  void bring_back(replica_id id);

  // the manager (consensus_manager.cpp)
  void manage();
  void manage_faults();
  bool repair(consensus_replica& chief);

  // the end
  void heal();
  bool converged(std::string& why);

  consensus_run run_;
  random_source random_;
  event_queue events_;
  consensus_checker checker_;
  consensus_verdict verdict_;
  consensus_surroundings surroundings_;
  std::map<replica_id, std::unique_ptr<consensus_replica>> replicas_;
  group_configuration founders_;
  std::uint64_t last_replica_ = 0;
  std::uint64_t last_command_ = 0;
  bool chaos_ = true; ///< Faults happen: not while healing, not in a calm.
  bool healing_ = false;
  std::set<replica_id> held_down_; ///< Stay down until the calm is over.

  std::uint32_t loss_ = 0;
  std::uint32_t duplicate_ = 0;
  std::uint32_t late_ = 0;
  std::uint32_t drawn_loss_ = 0;
  std::uint32_t drawn_duplicate_ = 0;
  std::uint32_t drawn_late_ = 0;
  /// Pairs (from, to) that cannot talk.
  std::set<std::pair<replica_id, replica_id>> cut_;
  std::uint64_t split_number_ = 0;

  std::size_t voters_wanted_ = 3;
  std::set<replica_id> leaving_; ///< Living members on their way out.
  std::set<replica_id> removed_; ///< Out of the group; run on for a while.
};

} // namespace troupe
