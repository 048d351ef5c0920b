#pragma once

#include "storage/base/env.hpp"
#include "storage/consensus/durable_state.hpp"
#include "storage/journal/journal_state.hpp"

#include <map>

namespace troupe {

/// One replica as the journal kept it.
struct recovered_replica {
  group_id group;
  durable_state state; ///< What `consensus` opens from.
};

/// Everything that a journal file says.
struct recovered_journal {
  journal_superblock superblock;
  journal_position position;
  segment_state heads;
  segment_pins pins;
  std::map<replica_id, recovered_replica> replicas;
  /// The last batch as it is on disk. It may never have been synced: it has to be written again
  /// and synced before anything of it is acted upon.
  std::uint64_t last_batch_offset = 0;
  byte_vector last_batch;
  /// Behind the last batch lies the beginning of another: a write was under way when the power
  /// failed. (The same trace is left if the very last batch was damaged later: the journal cannot
  /// tell, and that batch is lost.)
  bool tail_was_cut = false;
};

/// Reads a journal and folds its records; changes nothing. Looks only at segments in use and at
/// the one after them. @returns errc::quarantined (trp::journal_quarantined) if valid batches lie
/// behind a damaged one, a batch in use is missing or its records contradict each other;
/// errc::wrong_version; errc::wrong_cluster if the journal belongs to another drive; errors of the
/// file as they are.
expected<recovered_journal> recover_journal(file& from, const drive_uuid& owner);

} // namespace troupe
