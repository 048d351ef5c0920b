#pragma once

#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "storage/base/env.hpp"

#include <map>
#include <string>
#include <vector>

namespace troupe {

/// A drive directory that a node shall mount.
struct node_drive {
  drive_uuid id;
  drive_bay bay;
  std::string directory;
};

/// The configuration file of one node (`node.json`): who it is and where its things are. All that
/// changes at run time lives in the cluster group instead.
struct node_config {
  cluster_uuid cluster;
  node_id node;
  std::string listen;         ///< "127.0.0.1:7401": for other nodes.
  std::string listen_clients; ///< For clients and administrators; empty: `listen` takes all roles.
  std::string directory;      ///< Log files, pid file, cached cluster configuration.
  std::vector<node_drive> drives;
  std::string certificate; ///< PEM files: the node's certificate and key, the cluster's CA.
  std::string key;
  std::string ca;
  std::map<std::string, std::string> options; ///< Overrides, by the names that `config show` uses.
};

/// Where clients find the node.
inline const std::string& client_address(const node_config& config) {
  return config.listen_clients.empty() ? config.listen : config.listen_clients;
}

/// Reads a configuration file. errc::invalid_argument with trp::bad_config_file names the file, the
/// field and what is wrong with it; errc::wrong_version for a newer format.
expected<node_config> load_node_config(env& files, const std::string& path);
/// Writes it (durable when it returns), in the form that `load_node_config` reads.
expected<void> save_node_config(env& files, const std::string& path, const node_config& config);

} // namespace troupe
