#pragma once

#include "sim/consensus_checker.hpp"
#include "sim/random.hpp"
#include "storage/consensus/durable_state.hpp"

#include <cstdint>
#include <deque>
#include <map>

namespace troupe {

/// One replica's journal and tables with their crash models: of the journal, the synced records
/// and any prefix of the later ones survive; of the tables, what was synced at the checkpoint and
/// any rows of later writes (hazards F1).
class consensus_disk {
public:
  explicit consensus_disk(durable_state state) : synced_(state), written_(std::move(state)) {}

  /// Writes records that are not synced yet. @returns false if one does not fit.
  bool write(std::uint64_t token, const std::vector<log_record>& records) {
    bool fits = true;
    for (const auto& record : records) {
      unsynced_.push_back({token, record});
      fits = fold(written_, record) && fits;
    }
    return fits;
  }
  /// Makes everything up to `token` durable.
  void sync(std::uint64_t token) {
    while (!unsynced_.empty() && unsynced_.front().token <= token) {
      (void)fold(synced_, unsynced_.front().record); // it fitted when it was written
      unsynced_.pop_front();
    }
  }
  /// The power goes.
  void crash(random_source& random) {
    auto kept = random.below(unsynced_.size() + 1);
    for (std::size_t i = 0; i < kept; ++i)
      (void)fold(synced_, unsynced_[i].record);
    unsynced_.clear();
    written_ = synced_;
    for (auto& [id, tables] : tables_)
      for (std::size_t row = 0; row < sim_tables::row_count; ++row)
        if (random.chance(500))
          tables.synced.rows[row] = tables.current.rows[row];
    for (auto& [id, tables] : tables_)
      tables.current = tables.synced;
  }
  const durable_state& state() const { return synced_; }
  /// As it will be when everything is synced.
  const durable_state& written() const { return written_; }

  sim_tables& tables(std::uint64_t state_id) { return tables_[state_id].current; }
  void sync_tables(std::uint64_t state_id) {
    auto& tables = tables_[state_id];
    tables.synced = tables.current;
  }
  void drop_tables(std::uint64_t state_id) { tables_.erase(state_id); }
  std::uint64_t new_state_id() { return ++last_state_id_; }

private:
  struct unsynced {
    std::uint64_t token;
    log_record record;
  };
  struct table_pair {
    sim_tables current;
    sim_tables synced;
  };
  durable_state synced_;
  durable_state written_;
  std::deque<unsynced> unsynced_;
  std::map<std::uint64_t, table_pair> tables_;
  std::uint64_t last_state_id_ = 0;
};

} // namespace troupe
