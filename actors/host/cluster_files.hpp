#pragma once

#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "storage/base/env.hpp"

#include <string>
#include <vector>

namespace troupe {

/// Where everything lies in the directory of a cluster that was made on this machine.
class cluster_files {
public:
  explicit cluster_files(std::string directory) : root_(std::move(directory)) {}

  const std::string& root() const { return root_; }
  std::string description() const { return root_ + "/cluster.json"; }
  /// Exists while a cluster is being made; what is here without `description` is unfinished.
  std::string creating() const { return root_ + "/cluster.creating"; }
  std::string ca_certificate() const { return root_ + "/ca/ca.pem"; }
  std::string ca_key() const { return root_ + "/ca/ca.key"; }
  /// The CA that comes next, while the CA is being rotated.
  std::string next_ca_certificate() const { return root_ + "/ca/next.pem"; }
  std::string next_ca_key() const { return root_ + "/ca/next.key"; }
  /// A copy of every certificate that was issued, named by its serial number.
  std::string issued() const { return root_ + "/ca/issued"; }
  std::string admin_certificate() const { return root_ + "/admin/admin.pem"; }
  std::string admin_key() const { return root_ + "/admin/admin.key"; }
  std::string client_certificate() const { return root_ + "/client/client.pem"; }
  std::string client_key() const { return root_ + "/client/client.key"; }
  std::string failsafe_pid() const { return root_ + "/failsafe.pid"; }
  std::string failsafe_lock() const { return root_ + "/failsafe.lock"; }
  std::string failsafe_log() const { return root_ + "/failsafe.log"; }
  std::string mounts() const { return root_ + "/mounts"; }

  std::string node(node_id n) const { return root_ + "/node-" + std::to_string(n.value); }
  std::string node_config(node_id n) const { return node(n) + "/node.json"; }
  std::string node_certificate(node_id n) const { return node(n) + "/node.pem"; }
  std::string node_key(node_id n) const { return node(n) + "/node.key"; }
  std::string node_pid(node_id n) const { return node(n) + "/pid"; }
  std::string node_log(node_id n) const { return node(n) + "/node.log"; }
  std::string drive(node_id n, drive_bay b) const {
    return node(n) + "/drive-" + std::to_string(b.value);
  }

private:
  std::string root_;
};

/// The file in a node's directory with the newest configuration it knew, see encode_config_file.
inline constexpr const char* cached_config_name = "cluster.config";

/// `cluster.json`: what was made in a directory.
struct cluster_description {
  cluster_uuid cluster;
  std::string name;
  std::vector<std::string> node_addresses;   ///< In order of node id, from 1: for nodes.
  std::vector<std::string> client_addresses; ///< For clients and administrators.
};

/// @returns errc::not_found (trp::cluster_not_found) if there is no cluster, errc::wrong_version
/// (trp::newer_format), errc::corrupt (trp::bad_config_file).
expected<cluster_description> load_description(env& files, const cluster_files& paths);
/// Durable when it returns.
expected<void> save_description(env& files, const cluster_files& paths,
                                const cluster_description& what);

} // namespace troupe
