#pragma once

#include "storage/meta/table_engine.hpp"

#include <map>
#include <mutex>
#include <vector>

namespace troupe {

struct ordered_engine_options {
  std::uint64_t log_bytes = 4u << 20; ///< A log file that exceeds this is followed by a new one.
};

/// The rows of a drive in an ordered map, with LevelDB's crash model: writes go to the newest of
/// at most two unsynced log files; when a third would begin, the oldest becomes durable (its
/// memtable is written out); a power cut leaves any subset of the writes in each remaining file,
/// later ones without earlier ones included (hazards F1). For the simulator. Thread-safe.
class ordered_engine final : public table_engine {
public:
  explicit ordered_engine(ordered_engine_options options = {}) : options_(options) {}

  expected<void> write(std::span<const engine_batch> batches) override;
  expected<void> flush() override;
  expected<std::optional<std::string>> get(table_id table, std::string_view key) override;
  expected<engine_rows> scan(table_id table, const table_range& range, std::uint64_t bytes_max,
                             const engine_snapshot* snapshot) override;
  std::shared_ptr<engine_snapshot> snapshot() override;
  expected<std::vector<table_id>> tables() override;

  /// A power cut: what was not durable survives or not, as the seed says. Nothing else may be
  /// under way.
  void crash(std::uint64_t seed);
  /// From now on every call fails with errc::io_error, as on a dead drive.
  void fail();
  std::size_t row_count() const;

private:
  using row_map = std::map<std::string, std::string, std::less<>>;
  using change_list = std::vector<table_change>; ///< With engine keys; one write.
  struct log_file {
    std::vector<change_list> writes;
    std::uint64_t bytes = 0;
  };
  struct frozen_rows;

  static void apply(row_map& rows, const change_list& changes);
  void make_durable(const log_file& log);

  ordered_engine_options options_;
  mutable std::mutex mutex_;
  row_map live_;
  row_map durable_;
  std::vector<log_file> logs_{1}; ///< Oldest first; writes go to the last.
  bool failed_ = false;
};

} // namespace troupe
