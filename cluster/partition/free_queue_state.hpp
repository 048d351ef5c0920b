#pragma once

#include "cluster/partition/partition_facts.hpp"
#include "messages/drive.hpp"
#include "storage/base/clock.hpp"
#include "storage/meta/table_view.hpp"

#include <optional>
#include <variant>

namespace troupe {

/// One committed batch of frees, as it lies in the partition.
struct pending_frees {
  drive_uuid drive;
  std::uint64_t batch = 0;
  std::vector<run_ref> runs;
};

/// Chooses whose frees are sent next (hazards F30): one batch at a time, the drives in turn; one
/// that did not answer is left alone for a while, one that is away until it is back. Repeating a
/// free is harmless: births never come again. Not thread-safe.
class free_queue_state {
public:
  explicit free_queue_state(std::uint64_t retry_ms) : retry_ms_(retry_ms) {}

  /// The next batch to send: nothing if there is none now, rows to load, or errc::corrupt.
  /// @param applied  committed rows only: what is not committed must not be freed.
  using choice = std::variant<std::monostate, pending_frees, row_needs, error>;
  choice next(const table_view& applied, const partition_facts& facts, boot_time now);
  /// The batch given last is on its way; there is no next one until `sent`.
  void started(pending_frees frees);
  /// What the drive said. @returns the batch, now to be removed, if it was taken.
  std::optional<pending_frees> sent(const drive_uuid& drive, bool taken, boot_time now);
  /// The removal is committed, or leadership is gone: on with the next one.
  void finished();
  void reset();
  bool busy() const { return busy_; }

private:
  std::uint64_t retry_ms_;
  drive_uuid last_; ///< The turn goes on behind this one.
  std::map<drive_uuid, boot_time> not_before_;
  std::optional<pending_frees> out_;
  bool busy_ = false; ///< From `started` to `finished`.
};

} // namespace troupe
