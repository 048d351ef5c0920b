#pragma once

#include "messages/bytes.hpp"
#include "messages/ids.hpp"

namespace troupe {

/// Pulls the state of a replica in pieces (hazards F24): first with `pull` 0, then with the number
/// that the answer gave, piece 1, 2, … until one comes without bytes; piece 0 of a pull says that
/// it was given up. A source serves one pull at a time (errc::busy), and no piece twice or to
/// another one (errc::stale). -> state_piece
struct pull_state {
  group_id group;
  replica_id source;
  std::uint64_t pull = 0;  ///< 0: begin.
  std::uint64_t piece = 0; ///< From 1; 0 ends the pull.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, pull_state& x) {
  return f(x.group, x.source, x.pull, x.piece);
}
struct state_piece {
  std::uint64_t pull = 0;  ///< Names the pull in the requests that follow.
  std::uint64_t index = 0; ///< Of the log: what the state includes. In the answer to `begin`.
  shared_bytes rows;       ///< See table_chunk_format.hpp; empty: that was all.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, state_piece& x) {
  return f(x.pull, x.index, x.rows);
}

} // namespace troupe
