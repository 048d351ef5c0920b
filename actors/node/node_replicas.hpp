#pragma once

#include "actors/group/replica_actor.hpp"
#include "actors/metadata/open_volume.hpp"
#include "actors/node/node_base.hpp"
#include "actors/node/node_services.hpp"
#include "cluster/restart_state.hpp"

#include <functional>
#include <map>
#include <memory>
#include <set>

namespace troupe {

/// The replicas of one node: opens the journals and tables of its drives, runs an actor for each
/// replica found there, opens those anew that ended. Reactor thread only.
class node_replicas {
public:
  struct wiring {
    std::function<boot_time()> node_lease_until;
    std::function<void(const cluster_config&)> announce; ///< Committed by the cluster group.
    std::function<void(config_version)> fetch_config;
    std::function<void(const drive_uuid&, std::vector<run_ref>, std::function<void(bool)>)>
      free_runs;
    std::function<std::shared_ptr<const cluster_config>()> config;
    /// Journal or tables of a drive failed: it is dead for everything else, too.
    std::function<void(const drive_uuid&, const error&)> drive_failed;
  };
  /// @param owner  spawns and monitors the replica actors.
  node_replicas(node_base* owner, const node_services& services, wiring wires);

  /// Opens every drive that hosts replicas and starts them. A drive that cannot be opened is left
  /// out with an event. Blocks (start of the node).
  void open_all();
  bool ended(const caf::actor_addr& who, boot_time now);
  /// Ticks all replicas in one burst, starts again what is due.
  void tick(boot_time now);
  void config_changed(std::shared_ptr<const cluster_config> config);

  void receive(consensus_parcel parcel);
  // What others ask the replicas of this node; errc::not_leader or errc::unavailable if no such
  // replica runs here.
  void ask(group_id group, meta_request request, std::function<void(meta_response)> done);
  void ask(cluster_request request, std::function<void(cluster_response)> done);
  void ask(const pull_state& request, std::function<void(expected<state_piece>)> done);
  void ask(const read_partition_rows& request, std::function<void(expected<partition_rows>)> done);

  /// Reports as of the last tick.
  std::vector<replica_report> reports() const;
  /// Syncs of the journal on a drive; 0 if it has none.
  std::uint64_t journal_syncs(const drive_uuid& drive) const;
  /// Leaders as these replicas know them.
  std::map<group_id, replica_id> leaders() const;
  std::vector<actor_report> actors() const;
  bool kill(const std::string& path);

private:
  struct entry {
    replica_identity self;
    metadata_volume* volume = nullptr;
    replica_interface actor;
    cluster_group_interface cluster; ///< The same actor, if it is one.
    partition_interface partition;   ///< The same actor, if it is one.
    restart_state restarts;
    boot_time start_at{};
    bool wants_start = false;
    replica_report report;
  };
  void start(entry& e, durable_state state);
  void start_again(entry& e);
  void look_at(const drive_uuid& drive, const metadata_volume& volume);
  entry* find(group_id group);
  static std::string path_of(const entry& e);
  replica_services services_for(const entry& e);
  void pull(pull_state request, std::function<void(expected<state_piece>)> done);
  void send(consensus_parcel parcel);
  node_id node_of(group_id group, replica_id replica) const;

  node_base* owner_;
  const node_services& services_;
  wiring wiring_;
  std::map<drive_uuid, std::unique_ptr<metadata_volume>> volumes_;
  std::uint64_t ticks_ = 0;
  std::map<replica_id, entry> replicas_;
  std::set<drive_uuid> full_;   ///< It was said that their metadata has no room.
  std::set<drive_uuid> failed_; ///< Their replicas ended for good in this process.
};

} // namespace troupe
