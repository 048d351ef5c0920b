#pragma once

#include "cluster/membership/membership_state.hpp"
#include "cluster/replica/cluster_replica.hpp"
#include "cluster/replica/partition_replica.hpp"
#include "cluster/restart_state.hpp"
#include "messages/drive.hpp"
#include "sim/cluster/cluster_watcher.hpp"
#include "sim/cluster/sim_disk.hpp"
#include "sim/cluster/sim_network.hpp"
#include "sim/cluster/sim_options.hpp"

#include <map>
#include <memory>
#include <optional>

namespace troupe {

/// What a node finds when it starts, and what stays when it dies.
struct sim_machine {
  node_id id;
  sim_clock clock;
  std::map<drive_uuid, std::unique_ptr<sim_disk>> disks;
  std::shared_ptr<const cluster_config> saved_config;
  std::uint64_t starts = 0;

  explicit sim_machine(const event_queue& events) : clock(events) {}
};

using any_drive_request = std::variant<store_run, read_run, free_runs, abandon_write>;
using any_drive_answer = drive_volume::answer;

class sim_node;
/// Who runs just now, as messages find them on arrival. Outlives everybody.
struct node_directory {
  std::map<endpoint, sim_node*> nodes;
  sim_node* find(endpoint who) const {
    auto it = nodes.find(who);
    return it == nodes.end() ? nullptr : it->second;
  }
};

/// One running node process: drives, replicas, membership, put together as `actors/node` does.
class sim_node {
public:
  sim_node(surroundings& world, sim_network& net, cluster_watcher& watcher, node_directory& nodes,
           const sim_options& options, sim_machine& machine);
  ~sim_node();
  sim_node(const sim_node&) = delete;
  sim_node& operator=(const sim_node&) = delete;

  /// Mounts, opens, begins to tick.
  void start();

  // What others ask of it.
  void serve(meta_request x, std::function<void(expected<meta_response>)> done);
  void serve(any_drive_request x, const drive_uuid& drive,
             std::function<void(any_drive_answer)> done);
  void serve(const cluster_request& x, std::function<void(expected<cluster_response>)> done);
  void serve(const pull_state& x, std::function<void(expected<state_piece>)> done);
  void receive(consensus_parcel parcel);
  cluster_view view() const;
  const cluster_config& config() const { return *config_; }

  // Faults.
  void kill_replica(std::uint64_t draw);
  void kill_drive(std::uint64_t draw);
  /// One that leads, if any does, hands leadership to a follower that is well.
  void hand_over(std::uint64_t draw);
  /// The process stands still until then.
  void hold_until(std::uint64_t when) { held_until_ = when; }

  // What checkers look at.
  incarnation process() const { return process_; }
  boot_time lease_until() const;
  bool has_dead_drive() const;
  bool settled() const; ///< All replicas run, all drives are mounted, it is registered.
  std::vector<replica_report> replica_reports() const;
  partition_replica* partition(group_id group);
  drive_volume* drive(const drive_uuid& id);
  table_store* tables_of(const drive_uuid& id);

private:
  struct drive_entry {
    sim_disk* disk = nullptr;
    std::unique_ptr<drive_volume> volume;
    drive_record record;
    drive_report report;
    restart_state restarts;
    boot_time start_at{};
    bool wants_start = false;
  };
  struct replica_entry {
    replica_identity self;
    metadata_volume* volume = nullptr;
    std::unique_ptr<cluster_replica> cluster;
    std::unique_ptr<partition_replica> partition;
    restart_state restarts;
    boot_time start_at{};
    bool wants_start = false;
    bool recovering = false;
    replica_base* base() const {
      return cluster ? static_cast<replica_base*>(cluster.get()) : partition.get();
    }
  };

  boot_time now() const { return machine_.clock.boot(); }
  endpoint self() const { return machine_.id.value; }
  /// Runs `what` here after `delay`, unless this process is gone by then.
  void later(std::uint64_t delay, std::function<void()> what);
  void tick_replicas();
  void tick_node();
  void mount(drive_entry& e);
  void drive_died(const drive_uuid& id, const error& why);
  void open_volume(const drive_uuid& id, sim_disk& disk);
  void start_replica(replica_entry& e, durable_state state);
  void start_again(replica_entry& e);
  void end_replica(replica_entry& e);
  replica_entry* leading(group_id group);
  replica_services services_for(const replica_entry& e);
  void send(consensus_parcel parcel);
  void pull(const pull_state& x, std::function<void(expected<state_piece>)> done);
  void free_on(const drive_uuid& drive, std::vector<run_ref> runs, std::function<void(bool)> done);
  void free_here(free_runs x, const drive_uuid& drive, std::function<void(any_drive_answer)> done);
  void free_whatever_lies_there(std::vector<run_ref> wanted, std::uint64_t from,
                                std::vector<run_entry> found, drive_entry& e,
                                std::function<void(any_drive_answer)> done);
  void learn(const cluster_config& config);
  membership_now present() const;
  void run(membership_effects& effects);
  void event(event_severity severity, const std::string& name,
             const std::map<std::string, std::string>& fields);
  node_id node_of(group_id group, replica_id replica) const;

  surroundings& world_;
  sim_network& net_;
  cluster_watcher& watcher_;
  node_directory& nodes_;
  const sim_options& options_;
  sim_machine& machine_;
  incarnation process_;
  std::shared_ptr<const cluster_config> config_;
  std::optional<membership_state> membership_;
  std::map<drive_uuid, drive_entry> drives_;
  std::map<drive_uuid, std::unique_ptr<metadata_volume>> volumes_;
  std::map<replica_id, replica_entry> replicas_;
  std::uint64_t held_until_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace troupe
