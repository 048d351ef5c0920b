#pragma once

#include "sim/cluster/cluster_watcher.hpp"
#include "sim/cluster/sim_client.hpp"
#include "sim/cluster/sim_node.hpp"
#include "sim/cluster/workload.hpp"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace troupe {

/// One simulated cluster: machines with disks and the nodes that run on them, the network, clients
/// with a workload, faults; then healing, and the verdict of the checkers.
class cluster_world {
public:
  explicit cluster_world(const cluster_run& run);
  ~cluster_world();

  cluster_verdict play();

private:
  // the cluster (cluster_world.cpp)
  void make_machines();
  void make_replicas(const cluster_config& config);
  void start_node(node_id id);
  void stop_node(node_id id, bool power_cut);
  sim_client& add_client();
  void run_until(std::uint64_t end);
  /// Runs until it holds, at most `most_ms`. @returns whether it held.
  bool run_while_waiting(std::uint64_t most_ms, const std::function<bool()>& holds);
  bool fine() const { return world_.verdict.violation.empty(); }
  node_id any_node();

  // faults (cluster_faults.cpp)
  void plan_faults();
  void repeat(std::uint32_t mean_ms, std::function<void()> what);
  void split();
  void take_down(bool power_cut);
  void blackout();
  void pause_one();
  void slow_one();
  void break_one();
  void io_error();
  void flip_bits();
  void crash_client();
  void forget_drive(sim_machine& machine);

  // the end (cluster_end.cpp)
  void heal();
  bool whole(std::string& why);
  void verify();
  /// For whoever reads the trace of a run that ended badly.
  void note_replicas();
  void check_metadata();
  void check_replicas();
  bool same_rows(std::string& difference);
  void check_units(const std::string& key, const std::string& value, std::set<run_ref>& runs);
  std::vector<std::pair<std::string, std::string>> rows_of(group_id group);

  surroundings world_;
  sim_options options_;
  sim_network net_;
  cluster_watcher watcher_;
  node_directory nodes_;
  std::shared_ptr<const cluster_config> first_config_;
  std::map<node_id, std::unique_ptr<sim_machine>> machines_;
  std::map<node_id, std::unique_ptr<sim_node>> running_;
  std::map<endpoint, std::unique_ptr<sim_client>> clients_;
  endpoint last_client_ = first_client_endpoint;
  workload work_;
  drive_uuid rotten_; ///< The only drive whose blocks lose bits.
};

} // namespace troupe
