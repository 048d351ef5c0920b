#pragma once

#include "messages/ids.hpp"

#include <cstdint>
#include <string>

namespace troupe {

/// What a process is to the cluster; certificates carry it. Numbers are sent; append only.
enum class peer_role : std::uint8_t {
  none = 0,
  node = 1,   ///< Holds data, speaks consensus.
  client = 2, ///< A mount or a command that reads and writes files.
  admin = 4,  ///< May also change the cluster.
};
/// "node", "client", "admin"
const char* to_string(peer_role role);

/// A set of roles.
struct role_set {
  std::uint8_t bits = 0;
  constexpr bool has(peer_role role) const { return (bits & static_cast<std::uint8_t>(role)) != 0; }
};
constexpr role_set operator|(peer_role a, peer_role b) {
  return {static_cast<std::uint8_t>(static_cast<std::uint8_t>(a) | static_cast<std::uint8_t>(b))};
}
constexpr role_set operator|(role_set a, peer_role b) {
  return {static_cast<std::uint8_t>(a.bits | static_cast<std::uint8_t>(b))};
}
inline constexpr role_set only_nodes{static_cast<std::uint8_t>(peer_role::node)};
inline constexpr role_set only_admins{static_cast<std::uint8_t>(peer_role::admin)};
/// Whom a node's listener for clients lets in.
inline constexpr role_set all_but_nodes = peer_role::client | peer_role::admin;
inline constexpr role_set any_role = peer_role::node | peer_role::client | peer_role::admin;

/// Whom a certificate names: "troupe:cluster/UUID/node/3" in its subject alternative name.
struct certified_identity {
  cluster_uuid cluster;
  peer_role role = peer_role::none;
  std::uint64_t id = 0; ///< Of a node its `node_id`; 0 for clients and administrators.
  auto operator<=>(const certified_identity&) const = default;
};
/// The URI above.
std::string to_uri(const certified_identity& x);
/// @returns false and leaves `out` alone if `uri` is not what `to_uri` prints.
bool parse_identity(const std::string& uri, certified_identity& out);

} // namespace troupe
