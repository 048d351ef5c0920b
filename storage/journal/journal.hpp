#pragma once

#include "storage/base/env.hpp"
#include "storage/journal/journal_recovery.hpp"
#include "storage/journal/journal_state.hpp"

#include <map>
#include <memory>
#include <string>

namespace troupe {

/// An open journal: the decisions, the file, and what was found in it.
struct opened_journal {
  journal_state state;
  std::unique_ptr<file> log; ///< Descriptor for io_uring: `log->descriptor()`.
  std::map<replica_id, recovered_replica> replicas; ///< Take them; the journal does not need them.
  bool tail_was_cut = false;                        ///< Worth an event; see recovered_journal.
};

/// Makes an empty journal for a drive in directory `directory`, which must exist. All its room is
/// reserved and written once, so that later syncs change no file-system metadata (hazards F31).
/// Blocks for that long. @returns errc::already_exists if there is one, also a quarantined one;
/// errc::no_space; errc::invalid_argument for options that `check` refuses. A crash leaves none or
/// a whole one.
expected<void> create_journal(env& e, const std::string& directory, const drive_uuid& owner,
                              const journal_options& options);

/// Reads the journal, makes what it found durable, and goes on behind it. Blocks: reads the
/// segments in use. Errors as of `recover_journal`; errc::not_found if there is none: it is never
/// made anew by opening (hazards F23d). A journal found damaged is marked, and every later opening
/// answers errc::quarantined: its replicas come back only as new replicas on a new journal.
expected<opened_journal> open_journal(env& e, const std::string& directory, const drive_uuid& owner,
                                      const journal_options& options);

/// Does one batch by hand: writes, syncs, reports. @returns the durable LSN; the error after which
/// the journal is dead. Nothing to do is fine.
expected<journal_lsn> write_batch(journal_state& state, file& log);
/// Until nothing waits any more.
expected<journal_lsn> flush_journal(opened_journal& journal);

/// Bytes of a journal's file.
std::uint64_t journal_file_bytes(const journal_options& options);

} // namespace troupe
