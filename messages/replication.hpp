#pragma once

#include "messages/bytes.hpp"
#include "messages/ids.hpp"

namespace troupe {

/// Pulls the state of a replica in pieces (hazards F24): first `begin`, then again and again until
/// a piece comes without bytes. One pull per source at a time (errc::busy). -> state_piece
struct pull_state {
  group_id group;
  replica_id source;
  bool begin = false;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, pull_state& x) {
  return f(x.group, x.source, x.begin);
}
struct state_piece {
  std::uint64_t index = 0; ///< Of the log: what the state includes. In the answer to `begin`.
  shared_bytes rows;       ///< See table_chunk_format.hpp; empty: that was all.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, state_piece& x) {
  return f(x.index, x.rows);
}

} // namespace troupe
