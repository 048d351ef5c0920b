#include "messages/cluster_group.hpp"

#include "messages/overload.hpp"

namespace troupe {

role_set senders_of(const cluster_request& request) {
  return std::visit(overload{[](const register_node&) { return only_nodes; },
                             [](const renew_node_lease&) { return only_nodes; },
                             [](const set_drive_state&) { return only_nodes; },
                             [](const admit_client&) { return any_role; },
                             [](const revoke_certificate&) { return only_admins; }},
                    request);
}

} // namespace troupe
