#pragma once

#include "messages/bytes.hpp"
#include "messages/error.hpp"
#include "messages/ids.hpp"

#include <optional>
#include <string>
#include <vector>

namespace troupe {

/// Allocated blocks of one drive. The birth makes the name unique for ever: a run that was freed
/// and whose place was given out again is another run (hazards F2).
struct run_ref {
  drive_uuid drive;
  std::uint64_t start_block = 0;
  std::uint32_t block_count = 0;
  birth born;
  auto operator<=>(const run_ref&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, run_ref& x) {
  return f(x.drive, x.start_block, x.block_count, x.born);
}

/// Names one write request for ever: who asked, in which incarnation, and which of his.
struct write_key {
  client_id client;
  incarnation client_incarnation;
  write_id id;
  auto operator<=>(const write_key&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, write_key& x) {
  return f(x.client, x.client_incarnation, x.id);
}

/// "Store these bytes as a new run": the drive picks the place when it executes it (hazards F3).
/// Repeating it with the same key gives the same run. Answered with `run_stored` when data and
/// allocation record are durable.
struct store_run {
  drive_uuid drive;
  write_key key;
  lin owner;                            ///< The file, so that Collect can ask its partition.
  std::vector<std::uint32_t> checksums; ///< CRC32C of each 8 KiB block; checked on arrival.
  shared_bytes data;                    ///< A whole number of blocks, at least one.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, store_run& x) {
  return f(x.drive, x.key, x.owner, x.checksums, x.data);
}
struct run_stored {
  run_ref run;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, run_stored& x) {
  return f(x.run);
}

/// Reads blocks [first_block, first_block + block_count) of a run. Answered with `run_data`;
/// errc::stale if the run with this birth is not there (any more), checked at submission and at
/// completion; errc::corrupt if a block fails its checksum on the drive.
struct read_run {
  run_ref run;
  std::uint32_t first_block = 0;
  std::uint32_t block_count = 0;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, read_run& x) {
  return f(x.run, x.first_block, x.block_count);
}
struct run_data {
  std::vector<std::uint32_t> checksums; ///< Of all blocks of the run, in order.
  shared_bytes data;                    ///< The blocks that were asked for.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, run_data& x) {
  return f(x.checksums, x.data);
}

/// Frees runs; a run that is not there with this birth is passed over, so repeating it is safe.
/// Answered with `runs_freed` when the frees are durable.
struct free_runs {
  std::vector<run_ref> runs;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, free_runs& x) {
  return f(x.runs);
}
struct runs_freed {
  std::uint32_t freed_count = 0;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, runs_freed& x) {
  return f(x.freed_count);
}

/// "Whatever that write did or will do, its run is not wanted": works before, during and after
/// the write itself. Answered with `runs_freed`.
struct abandon_write {
  drive_uuid drive;
  write_key key;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, abandon_write& x) {
  return f(x.drive, x.key);
}

/// Numbers are stored and sent; append only.
enum class drive_state : std::uint8_t {
  unknown = 0,
  fresh = 1, ///< NEW: formatted, not yet in use.
  healthy = 2,
  suspect = 3,
  smartfail = 4,
  dead = 5, ///< A write or sync failed; never used again in this mount.
  gone = 6, ///< Its directory or its node is not there.
  wrong_type = 7,
};
/// NEW, HEALTHY, … as the shell prints it.
const char* to_string(drive_state state);

/// A partition's refusal of a new run: as far as it knows, the drive takes no data
/// (errc::below_floor).
error takes_no_data(const drive_uuid& drive);
/// The drive that such a refusal names. Nothing for other errors, and for a refusal that was kept
/// without its words.
std::optional<drive_uuid> drive_that_takes_no_data(const error& refusal);

/// What a drive says of itself; counters since it was mounted.
struct drive_report {
  drive_uuid drive;
  drive_state state = drive_state::unknown;
  incarnation mount;
  std::uint64_t blocks_total = 0;
  std::uint64_t blocks_free = 0;
  std::uint64_t stores = 0;
  std::uint64_t reads = 0;
  std::uint64_t frees = 0;
  std::uint64_t syncs = 0;         ///< Of the block file.
  std::uint64_t journal_syncs = 0; ///< Of the consensus journal on this drive, 0 if none.
  std::uint64_t bytes_written = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t checksum_errors = 0;
  std::uint64_t io_errors = 0;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, drive_report& x) {
  return f(x.drive, x.state, x.mount, x.blocks_total, x.blocks_free, x.stores, x.reads, x.frees,
           x.syncs, x.journal_syncs, x.bytes_written, x.bytes_read, x.checksum_errors, x.io_errors);
}
struct get_drive_report {
  drive_uuid drive;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, get_drive_report& x) {
  return f(x.drive);
}

} // namespace troupe
