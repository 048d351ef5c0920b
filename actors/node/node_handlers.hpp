#pragma once

#include "actors/node/node_actor.hpp"
#include "actors/transport/dispatcher.hpp"

namespace troupe {

/// Which message from other processes goes to which actor of this node. Whether the role of the
/// sender allows the message was checked before, from the catalogue.
void add_node_handlers(node_self* self, dispatcher& messages);

} // namespace troupe
