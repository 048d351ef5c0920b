#pragma once

#include "cluster/partition/partition_effects.hpp"
#include "cluster/partition/partition_facts.hpp"
#include "messages/drive.hpp"
#include "storage/base/clock.hpp"
#include "storage/meta/table_view.hpp"

#include <optional>
#include <variant>

namespace troupe {

/// Committed frees of one drive, on their way there.
struct pending_frees {
  drive_uuid drive;
  std::vector<std::string> keys; ///< Of the rows to remove when the drive has freed them.
  std::vector<run_ref> runs;
};

/// Chooses whose frees are sent next (hazards F30): one drive at a time, all in turn; one
/// that did not answer is left alone for a while, one that is away until it is back. Repeating a
/// free is harmless: births never come again. Not thread-safe.
class free_queue_state {
public:
  /// @param batches_max  entries whose frees are sent together.
  free_queue_state(std::uint64_t retry_ms, std::uint32_t batches_max)
    : retry_ms_(retry_ms), batches_max_(batches_max) {}

  /// What to send next: nothing if there is none now, rows to load, or errc::corrupt.
  /// @param applied  committed rows only: what is not committed must not be freed.
  using choice = std::variant<std::monostate, pending_frees, row_needs, error>;
  choice next(const table_view& applied, const partition_facts& facts, boot_time now);
  /// The frees given last are on their way; nothing is next until `finished`, or a refusal.
  /// @returns what their answer has to name.
  free_number started(pending_frees frees);
  /// What the drive said. @returns the frees, whose rows are now to be removed, if it took them;
  /// nothing for a late answer to other frees than those on their way.
  std::optional<pending_frees> sent(free_number number, bool taken, boot_time now);
  /// The removal is committed, or leadership is gone: on with the next one.
  void finished();
  void reset();
  bool busy() const { return busy_; }

private:
  std::uint64_t retry_ms_;
  std::uint32_t batches_max_;
  drive_uuid last_; ///< The turn goes on behind this one.
  std::map<drive_uuid, boot_time> not_before_;
  free_number number_; ///< Of the last ones sent.
  std::optional<pending_frees> out_;
  bool busy_ = false; ///< From `started` to `finished`.
};

} // namespace troupe
