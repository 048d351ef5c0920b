#pragma once

#include "messages/error.hpp"
#include "storage/meta/table_types.hpp"

#include <memory>
#include <span>

namespace troupe {

/// A state of an engine that later writes do not change. Dies before the engine.
class engine_snapshot {
public:
  virtual ~engine_snapshot() = default;
};

/// Changes to one table, on their way to the engine.
struct engine_batch {
  table_id table;
  table_batch changes;
};

struct engine_rows {
  std::vector<table_row> rows;
  bool complete = false; ///< There is nothing behind them in the range.
};

/// What an engine takes of its device.
struct engine_room {
  std::uint64_t used_bytes = 0;
  std::uint64_t free_bytes = UINT64_MAX; ///< That it could still take.
};

/// Ordered rows on a drive, below a table store: (table, key) -> value, ordered by both. All calls
/// may block and may run on several threads at once. Errors are errc::io_error or errc::corrupt
/// and final.
class table_engine {
public:
  virtual ~table_engine() = default;
  /// Changes all of it or nothing. Not durable: after a power cut this write may be missing while
  /// later ones are there (hazards F1).
  virtual expected<void> write(std::span<const engine_batch> batches) = 0;
  /// Returns when everything written so far survives a power cut.
  virtual expected<void> flush() = 0;
  virtual expected<std::optional<std::string>> get(table_id table, std::string_view key) = 0;
  /// Rows of a range in its direction: at most `rows_max`, and no more once they exceed `bytes_max`
  /// (at least one). An empty `end` is the end of the table. From `snapshot`, or the newest state
  /// if it is null.
  virtual expected<engine_rows> scan(table_id table, const table_range& range,
                                     std::uint64_t bytes_max, const engine_snapshot* snapshot) = 0;
  virtual std::shared_ptr<engine_snapshot> snapshot() = 0;
  /// Every table that has rows, ascending: at start the owner drops those that it does not know
  /// (left by an import or a drop that a crash cut short).
  virtual expected<std::vector<table_id>> tables() = 0;
  virtual expected<engine_room> room() { return engine_room{}; }
  /// Gives the room of deleted and overwritten rows back. May take long.
  virtual void compact() {}
};

/// The key of a row in an engine: eight big-endian bytes of the table, then the key.
std::string engine_key(table_id table, std::string_view key);
/// The smallest key behind all rows of a table.
std::string engine_end(table_id table);
/// The table in an engine key of at least eight bytes.
table_id engine_table(std::string_view key);
inline constexpr std::size_t engine_prefix_bytes = 8;

} // namespace troupe
