#pragma once

#include "messages/admin.hpp"
#include "messages/roles.hpp"

#include <optional>

namespace troupe {

/// What becomes of an event that another process says it has seen: it gets the name of who says so
/// (`told_by`), long values are cut off, and it cannot speak in the node's own name. Nothing if it
/// is none: a name or keys that are not short words of a-z, 0-9 and "_", keys that a line of the
/// log has itself, too many of them.
std::optional<event_record> told_event(event_record event, const certified_identity& from);

} // namespace troupe
