#pragma once

#include "actors/node/node_actor.hpp"

namespace troupe {

/// Everything that `status`, `part list` and the like show of a node.
node_status describe_node(const node_shell& node);

} // namespace troupe
