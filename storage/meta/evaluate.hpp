#pragma once

#include "messages/metadata.hpp"
#include "storage/meta/table_view.hpp"

#include <bitset>
#include <map>
#include <span>

namespace troupe {

/// Bounds of one operation or one entry. Tests run with tiny values.
struct meta_limits {
  std::uint32_t links_max = 65'000;           ///< Of one inode; a subdirectory links its parent.
  std::uint32_t symlink_bytes_max = 4'095;    ///< Length of a target.
  std::uint64_t file_bytes_max = 1ull << 52;  ///< 4 PiB
  std::uint32_t page_entries_max = 1'024;     ///< Entries of one directory page.
  std::uint32_t layout_extents_max = 1'024;   ///< Extents of one layout answer.
  std::uint32_t commit_stripes_max = 256;     ///< New stripes of one commit.
  std::uint32_t commit_extents_max = 1'024;   ///< New extents of one commit.
  std::uint32_t replaced_extents_max = 2'048; ///< Old ones a commit replaces; fits a proposal.
  std::uint64_t entry_bytes_max = 960 * 1024; ///< Rows of one change; below consensus' batch limit.
  std::uint32_t clean_extents_max = 256;      ///< Extents that one entry removes behind a cut.
  std::uint32_t session_results_max = 256;    ///< Unacknowledged changes of a client in a slot.
  std::uint64_t pending_runs_max = 4'000'000; ///< Frees kept per drive; more: "needs Collect".
  std::uint32_t lease_ms = 4'000;             ///< What a client is told when it registers.
};

/// What the adopted configuration says of a drive.
struct drive_fact {
  node_id node;
  bool writable = false;
};

using slot_set = std::bitset<slot_count>;

/// Everything besides rows that an evaluation depends on. Borrowed parts outlive the call.
struct evaluation_context {
  wall_time now; ///< The leader's; times of inodes never go back (hazards F35).
  client_id client;
  incarnation client_incarnation;
  std::uint64_t sequence = 0; ///< See meta_request.
  std::uint64_t low_water = 0;
  snapshot_epoch epoch{1};                   ///< The epoch that the partition has adopted; >= 1.
  std::span<const snapshot_epoch> snapshots; ///< Living ones, ascending, all < `epoch`. They
                                             ///< govern everything until domains exist.
  snapshot_epoch read_epoch;                 ///< Read-only operations: as of this snapshot; 0 live.
  const std::map<drive_uuid, drive_fact>* drives = nullptr; ///< Of the adopted configuration.
  const slot_set* slots = nullptr; ///< Slots of this partition; absent: all of them.
  bool lease_valid = false;        ///< op_commit_write: the caller holds that write lease.
  bool below_floor = false;        ///< Prepared under a configuration below the partition's floor:
                                   ///< new runs are refused, for good (hazards M1).
  bool metadata_full = false;      ///< What adds rows is refused, what removes them is not.
  meta_limits limits;
};

/// What an operation does: rows to put and delete in one entry, and what to answer.
struct evaluation {
  table_batch batch; ///< Absolute. Empty: nothing to log, answer now (under the raft lease).
  std::variant<meta_result, error> outcome;
  /// The outcome is, or with `batch` becomes, the committed result of the client's sequence:
  /// definite. Else it is a read or a refusal after which the sequence may still be executed.
  bool recorded = false;
};
using evaluation_result = std::variant<evaluation, row_needs>;

/// Decides one operation of a client against the state in `view`, exactly once per (client,
/// sequence) and slot (hazards F20). Pure: the same arguments give the same result. If rows are
/// needed, load them and call again; nothing of the first call counts.
///
/// op_renew_leases, op_acquire_write_lease and op_release_lease are matters of the leader's
/// memory and must not come here. `want_lease` and `release_lease` are passed over.
/// Refusals before execution (`recorded` false): errc::unknown_client (not registered, or
/// expired), errc::stale (an old incarnation, a sequence at or below the low-water mark, or a slot
/// of another partition), errc::busy (too many unacknowledged changes, or the cleaner must finish
/// first: try the same sequence again), errc::corrupt, errc::wrong_version (a stored row).
/// While `metadata_full`, what `grows` is refused with errc::no_space, recorded (hazards F31).
/// A change whose rows no log entry could carry (`entry_bytes_max`) is refused for good, with
/// errc::too_large as its recorded result.
evaluation_result evaluate(const meta_operation& operation, const evaluation_context& context,
                           const table_view& view);

/// Adds files, names or data. All else is admitted when the room for metadata ends: deletes,
/// truncates, attributes, clients that come in order to delete, and the second half of a mkdir.
bool grows(const meta_operation& operation);

/// The rows of a partition that owns slot 0 and is empty: the root directory. To be proposed once,
/// when the cluster is made.
table_batch root_directory_rows(std::uint32_t uid, std::uint32_t gid, std::uint32_t mode,
                                wall_time now, snapshot_epoch epoch = snapshot_epoch{1});

/// A client's lease ran out and nobody may re-assert it: its incarnation is never heard again, its
/// sessions in the partition's slots go, the orphans that it held become cleanable. Empty batch
/// if it is not here, or with another incarnation.
evaluation_result expire_client(client_id client, incarnation client_incarnation,
                                const evaluation_context& context, const table_view& view);

} // namespace troupe
