#pragma once

#include "messages/drive.hpp"
#include "storage/block/block_store_options.hpp"

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

namespace troupe {

struct recovered_drive;

/// Names one I/O that the state ordered; comes back in `io_done`. Never reused in a mount.
using io_token = strong_id<struct io_token_tag, std::uint64_t>;
/// Names one request; chosen by the owner, comes back in its `drive_reply`.
using request_token = strong_id<struct request_token_tag, std::uint64_t>;

/// Write `pieces`, one behind the other, at `offset` of the block file. Not durable by itself.
struct drive_write {
  io_token token;
  std::uint64_t offset = 0; ///< Multiple of 4096, as is the sum of the pieces.
  std::vector<shared_bytes> pieces;
};
/// Read exactly `bytes` at `offset` of the block file; fewer are an error.
struct drive_read {
  io_token token;
  std::uint64_t offset = 0; ///< Multiple of 4096.
  std::uint64_t bytes = 0;  ///< Multiple of 4096.
};
/// Make everything durable that was reported written before this order (fdatasync).
struct drive_sync {
  io_token token;
};

/// One run, as Collect and fsck see it.
struct run_entry {
  run_ref run;
  lin owner; ///< Zero, as is the birth, for a block whose descriptor was lost with its table page.
};
/// A window of the run table, ascending by start; runs whose first block lies in it.
struct run_list {
  std::vector<run_entry> runs;
  std::uint64_t next_block = 0; ///< Where the next window starts.
  bool done = false;            ///< There is no next window.
};

/// The answer to one request; every accepted request gets exactly one.
struct drive_reply {
  request_token request;
  std::variant<error, run_stored, run_data, runs_freed, run_list> result;
};
/// The drive is DEAD from here on (once per mount): no further I/O may be done on its file.
struct drive_died {
  error why;
};

/// What the owner must do after a call, in this order; I/O may then run in parallel.
using block_store_effects =
  std::vector<std::variant<drive_write, drive_read, drive_sync, drive_reply, drive_died>>;

/// Who may use the last blocks of a drive (hazards F31).
enum class store_class : std::uint8_t {
  ordinary, ///< Refused when only the reserve is left.
  repair,   ///< Rebuild and sector repair: may use the reserve.
};

/// Everything one drive decides: where a run goes, what is logged when, which requests one sync
/// covers, what a repeated, late or abandoned request gets. No files, threads or clocks: the owner
/// executes the effects on the block file, in any order and parallel, and reports each of them once
/// through `io_done`. The same calls give the same effects. Not thread-safe.
///
///     store ──► place ──► data written ─────────┐  a round
///     free ───► descriptor checked ─────────────┼──► log batch written ──► ONE sync ──► all
///     replies abandon ► run looked up ──────────────────┘        (what arrives meanwhile: the next
///     round)
///
/// Guarantees, given an owner that does so:
/// - A `run_stored`, `runs_freed` is durable: it holds after every later crash.
/// - A run that was answered is given as it was stored, or errc::corrupt, until it is freed.
/// - After `runs_freed` no read with that birth succeeds; births are never given out again.
/// - A block is used again only when the free that returned it is durable.
/// - A failed write or sync makes the drive DEAD: what was under way answers
///   errc::may_have_happened, all else and everything later errc::unavailable.
class block_store_state {
public:
  /// Takes over what mounting found. The options were checked by the mount.
  explicit block_store_state(recovered_drive from);
  ~block_store_state();
  block_store_state(block_store_state&&) noexcept;
  block_store_state& operator=(block_store_state&&) noexcept;

  /// Stores bytes as a new run; the same key again gives the same run, as long as that is not freed
  /// and the key is remembered (`done_keys_max`; not those of the last batch before a crash), else
  /// another. Answers `run_stored`, or
  /// errc::corrupt (the bytes do not have their checksums), errc::no_space (everything stored
  /// before is intact), errc::interrupted (abandoned), errc::busy (too many requests),
  /// errc::invalid_argument, errc::not_found (another drive).
  void store(request_token request, const store_run& what, block_store_effects& out,
             store_class priority = store_class::ordinary);
  /// Answers `run_data`, or errc::stale (freed, or never was), errc::corrupt naming drive and
  /// block, errc::io_error (unreadable here), errc::busy, errc::invalid_argument, errc::not_found.
  void read(request_token request, const read_run& what, block_store_effects& out);
  /// Answers `runs_freed` when all frees are durable; runs that are not there are passed over.
  void free(request_token request, const free_runs& what, block_store_effects& out);
  /// Answers `runs_freed` when the run of that write, if there is or will be one, is gone for good.
  void abandon(request_token request, const abandon_write& what, block_store_effects& out);
  /// Lists the runs that start in one window of the table, beginning at `from_block`; answers
  /// `run_list`. Begin with 0, go on with `next_block`.
  void list(request_token request, std::uint64_t from_block, block_store_effects& out);
  /// The incarnations of `client` up to and including `last` are gone: no write of theirs will
  /// arrive any more, and what was remembered about them is dropped.
  void forget_client(client_id client, incarnation last);

  /// An ordered I/O ended. `result`: the bytes for a read, empty for a write or sync, or why not.
  /// Unknown tokens (of a drive that died) are ignored.
  void io_done(io_token token, expected<shared_bytes> result, block_store_effects& out);

  /// Counters since the mount. `blocks_free` is what ordinary stores may still use.
  drive_report report() const;
  /// True if no request and no I/O is under way: the moment to stop a drive.
  bool idle() const;

private:
  class core;
  std::unique_ptr<core> core_;
};

} // namespace troupe
