#pragma once

#include "messages/ids.hpp"
#include "storage/consensus/durable_state.hpp"

#include <cstdint>
#include <map>
#include <variant>
#include <vector>

namespace troupe {

/// Position of a record in the journal, counted from 1 over its whole life.
using journal_lsn = strong_id<struct journal_lsn_tag, std::uint64_t>;

/// A replica begins on this drive. Ids are never used twice (hazards F23).
struct replica_created {
  group_id group;
  log_checkpoint checkpoint; ///< What it starts from.
};
/// A replica is gone from this drive for good.
struct replica_removed {};
/// One entry of a replica's log, at last index + 1.
struct journal_entry {
  std::uint64_t index = 0;
  log_entry entry;
};

/// An entry that is in the log already, once more: its earlier place is not needed any longer.
struct rewritten_entry {
  std::uint64_t index = 0;
  log_entry entry;
};

/// What the journal writes: one change of one replica. The consensus records mean what `fold` says.
struct journal_record {
  replica_id replica;
  std::variant<replica_created, replica_removed, term_vote_record, journal_entry, truncate_record,
               checkpoint_record, install_record, rewritten_entry>
    what;
};

/// A replica without its entries: the small things of which every segment starts with a copy, so
/// that older segments can be used again.
struct replica_head {
  group_id group;
  std::uint64_t term = 0;
  replica_id vote;
  std::uint64_t last_index = 0; ///< >= checkpoint.index
  log_checkpoint checkpoint;
  bool operator==(const replica_head&) const = default;
};

/// What every segment starts with.
struct segment_state {
  std::map<replica_id, replica_head> replicas;
  /// Ids of removed replicas, ascending; every id up to `removed_floor` that is not in `replicas`
  /// counts as removed too, which bounds the list.
  std::uint64_t removed_floor = 0;
  std::vector<replica_id> removed;
  bool operator==(const segment_state&) const = default;
};

} // namespace troupe
