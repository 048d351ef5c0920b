#pragma once

#include "messages/consensus.hpp"

#include <cstdint>
#include <variant>
#include <vector>

namespace troupe {

/// A point of the log from which a replica can start: the tables hold the effect of every entry up
/// to `index` (and may hold later ones: entries are absolute puts and deletes, hazards F1).
struct log_checkpoint {
  std::uint64_t index = 0; ///< 0: nothing yet; a replica that joins and waits for a state.
  std::uint64_t term = 0;  ///< Of the entry `index`.
  group_configuration configuration; ///< In force at `index`.
  std::uint64_t configuration_index = 0;
  std::uint64_t state_id = 0; ///< Which tables hold the state: the owner's name for them (F24).
  bool operator==(const log_checkpoint&) const = default;
};

/// Everything that a replica must find again after a crash. The journal keeps it.
struct durable_state {
  std::uint64_t term = 0;
  replica_id vote; ///< Whom this replica voted for in `term`; none if 0.
  log_checkpoint checkpoint;
  std::vector<log_entry> entries; ///< Behind the checkpoint: indices checkpoint.index + 1, ...

  std::uint64_t last_index() const { return checkpoint.index + entries.size(); }
};

/// The state with which every replica of a new group starts: the same configuration everywhere,
/// as entry 1 of term 1, with empty tables `state_id`.
durable_state bootstrap_state(group_configuration voters, std::uint64_t state_id = 0);

// What changes a durable state. The journal writes records in the order given; a record may be
// lost in a crash only together with all that follow it.

struct term_vote_record {
  std::uint64_t term = 0;
  replica_id vote; ///< 0: not voted in this term yet.
};
/// Entries first_index, first_index + 1, ...; first_index = last index + 1.
struct append_record {
  std::uint64_t first_index = 1;
  std::vector<log_entry> entries;
};
/// Drops the entries [from, end); never at or below the checkpoint.
struct truncate_record {
  std::uint64_t from = 1;
};
/// Drops the entries up to and including checkpoint.index.
struct checkpoint_record {
  log_checkpoint checkpoint;
};
/// A streamed state replaces everything: drops all entries. The one durable step of an install.
struct install_record {
  log_checkpoint checkpoint;
};
/// The log's entries [first_index, first_index + n) once more, as they are. Changes nothing but
/// where they lie: the journal need not keep the place where they stood before.
struct rewrite_record {
  std::uint64_t first_index = 1; ///< > checkpoint.index
  std::vector<log_entry> entries;
};
using log_record = std::variant<term_vote_record, append_record, truncate_record, checkpoint_record,
                                install_record, rewrite_record>;

/// Folds one record into the state. The one definition of what a record means: recovery of the
/// journal and the simulated disk both use it.
/// @returns false, with `state` unchanged, if the record does not fit (a gap, a truncation below
/// the checkpoint, a checkpoint beyond the log): the journal is damaged.
[[nodiscard]] bool fold(durable_state& state, const log_record& record);

} // namespace troupe
