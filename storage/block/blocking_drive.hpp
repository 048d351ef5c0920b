#pragma once

#include "storage/block/drive_mount.hpp"

#include <deque>

namespace troupe {

/// A mounted drive that does one request at a time, on the caller's thread: for tests, tools, and
/// places without an I/O engine. Each change costs a sync of its own. Not thread-safe.
class blocking_drive {
public:
  explicit blocking_drive(mounted_drive drive) : drive_(std::move(drive)) {}

  /// As `block_store_state`; durable when they return.
  expected<run_stored> store(const store_run& what, store_class priority = store_class::ordinary);
  expected<run_data> read(const read_run& what);
  expected<runs_freed> free(const free_runs& what);
  expected<runs_freed> abandon(const abandon_write& what);
  /// All runs of the drive, ascending. Cost: reads the run table.
  expected<std::vector<run_entry>> list();

  drive_report report() const { return drive_.state.report(); }
  const block_format::superblock& superblock() const { return drive_.superblock; }
  const drive_mount_report& found() const { return drive_.found; }

private:
  template <class Result, class Ask>
  expected<Result> run(Ask ask);
  expected<shared_bytes> execute(const drive_read& order);
  expected<shared_bytes> execute(const drive_write& order);
  expected<shared_bytes> execute(const drive_sync& order);

  mounted_drive drive_;
  std::uint64_t next_request_ = 1;
};

/// Stores bytes with checksums computed here: for tests and tools.
store_run make_store(const drive_uuid& drive, const write_key& key, lin owner, shared_bytes data);

} // namespace troupe
