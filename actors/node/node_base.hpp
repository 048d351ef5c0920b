#pragma once

#include "actors/kit/asking.hpp"
#include "actors/kit/traced.hpp"
#include "messages/interfaces.hpp"

#include <caf/typed_event_based_actor.hpp>

namespace troupe {

/// The node's actor as its parts see it: they spawn, monitor and ask through it.
using node_base = traced<node_interface::base>;

} // namespace troupe
