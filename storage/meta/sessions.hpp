#pragma once

#include "storage/meta/evaluation_scope.hpp"

// Exactly once (hazards F20): what a (client, sequence) answered is kept until the client says
// that it knows, and a client that is not registered is never executed. Internal to storage/meta.

namespace troupe {

/// What to do with a change of a client.
struct session_verdict {
  session_row session;                 ///< To be extended with the result and put.
  std::optional<stored_result> result; ///< Set: it was executed before, answer this.
};
/// @returns errc::unknown_client, errc::stale, errc::busy or errc::invalid_argument as described
/// at `evaluate`; none of these is recorded.
expected<session_verdict> check_session(evaluation_scope& scope, slot_id slot);

/// What of an outcome is kept. Operations that change nothing have no result to keep.
stored_result to_stored(const std::variant<meta_result, error>& outcome);
/// The outcome again; attributes are those of now, or only the LIN if the inode is gone.
std::variant<meta_result, error> from_stored(const stored_result& result, evaluation_scope& scope);

expected<meta_result> run(const op_register_client& op, evaluation_scope& scope);

} // namespace troupe
