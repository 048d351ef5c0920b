#pragma once

#include "messages/cluster_port.hpp"
#include "messages/plan.hpp"

#include <functional>
#include <map>
#include <memory>

namespace troupe {

/// Where `troupe up` puts a cluster and how big it gets.
struct cluster_wish {
  std::string directory; ///< Absolute.
  std::string name = "troupe";
  std::uint32_t nodes = 5;
  std::uint32_t drives_per_node = 4;
  std::uint64_t drive_bytes = 1 * gib; ///< Of the preallocated block file of each drive.
  protection_level level = suggested_level;
  /// Options of its nodes, by the names that `config show` uses.
  std::map<std::string, std::string> options = {};
  /// Of N nodes node n listens on 127.0.0.1:(port_first + n) for nodes, + N + n for clients.
  std::uint16_t port_first = 7400;
};

/// A mount of a cluster on this machine.
struct mount_record {
  std::string mount_point;
  std::uint32_t pid = 0;
  bool alive = false;
};

/// A certificate for another machine, as `cert issue` makes it.
struct certificate_wish {
  peer_role role = peer_role::client;
  std::uint64_t id = 0;  ///< 0: the next one that was never issued.
  std::string output;    ///< A directory that becomes usable as `--dir`.
  std::int64_t days = 0; ///< Valid for; 0: as long as the others.
};

/// What `cert rotate` renews.
struct rotation_wish {
  std::vector<std::string> which; ///< "node/3", "client/1", "admin/1"; empty: all of them.
  bool authority = false;         ///< A new CA, and all certificates from it.
  bool revoke_old = false;        ///< Nobody accepts the replaced ones any more.
};

/// Told one line per step while a plan is executed.
using progress = std::function<void(const plan_step&)>;

/// What the command line does to this machine rather than to a running cluster: directories,
/// processes, mounts. A `plan_x` looks and changes nothing; `execute` carries out exactly the plan
/// that it is given. Errors carry an error id. One thread.
class host_port {
public:
  virtual ~host_port() = default;

  /// Creates a cluster's directories, keys and preallocated drives, without starting it. Refuses
  /// an existing cluster, ports in use, too little space, a level that needs more.
  virtual expected<plan> plan_init(const cluster_wish& wish) = 0;
  /// Starts the cluster of a directory, creating it first if there is none (`wish` says how big;
  /// of an existing cluster only the directory is used). Does nothing where it runs already.
  virtual expected<plan> plan_up(const cluster_wish& wish, const std::string& mount_point) = 0;
  /// Stops mounts and nodes; with `destroy` removes the directory and everything in it.
  virtual expected<plan> plan_down(const std::string& directory, bool destroy) = 0;
  virtual expected<plan> plan_mount(const std::string& directory,
                                    const std::string& mount_point) = 0;
  virtual expected<plan> plan_unmount(const std::string& directory,
                                      const std::string& mount_point) = 0;
  virtual expected<void> execute(const plan& what, const progress& tell) = 0;

  /// A certificate, key and CA for another machine, in a directory of its own.
  virtual expected<plan> plan_cert_issue(const std::string& directory,
                                         const certificate_wish& wish) = 0;
  /// New keys and certificates, loaded without a stop.
  virtual expected<plan> plan_cert_rotate(const std::string& directory,
                                          const rotation_wish& wish) = 0;
  /// Trusts the CA before the last no more. Refuses (trp::old_authority_in_use) while a connected
  /// process shows a certificate of it, unless `force`.
  virtual expected<plan> plan_cert_retire(const std::string& directory, bool force) = 0;
  /// `which`: a serial number, or "client/7" for all that it was given.
  virtual expected<plan> plan_cert_revoke(const std::string& directory, const std::string& which,
                                          const std::string& reason) = 0;
  /// The CAs, then every certificate that was issued here.
  virtual expected<std::vector<certificate_record>> certificates(const std::string& directory) = 0;

  virtual std::vector<mount_record> mounts(const std::string& directory) = 0;
  /// Everything that would stop a node with this configuration file from starting.
  virtual std::vector<error> check_node_config(const std::string& path) = 0;
  /// Runs a node in this process until it is told to stop. @returns the exit status.
  virtual int run_node(const std::string& config_path) = 0;
  /// Runs a mount in this process until it is unmounted. @returns the exit status.
  virtual int run_mount(const std::string& directory, const std::string& mount_point) = 0;
  /// Starts the nodes of a directory and restarts those that die. @returns the exit status.
  virtual int run_failsafe(const std::string& directory) = 0;
  /// Connects to the cluster of a directory, as its administrator.
  virtual expected<std::unique_ptr<cluster_port>> connect(const std::string& directory) = 0;
};

} // namespace troupe
