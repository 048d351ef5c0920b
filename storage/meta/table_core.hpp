#pragma once

#include "storage/meta/row_cache.hpp"
#include "storage/meta/table_engine.hpp"
#include "storage/meta/table_store.hpp"

#include <deque>
#include <map>
#include <set>

namespace troupe {

/// The insides of a table store. What changes the engine goes through one *lane*, in order and one
/// job at a time: write-behind, checkpoints, the moment of an export, imports, removal of dropped
/// tables. Reads run beside it.
///
///     apply ──> row cache (held) ──> lane: write ──> engine (not durable)
///                                    lane: flush ──> engine (durable) ──> checkpoint index
///     load  ──> read job ──> row cache (clean)
class table_core : public std::enable_shared_from_this<table_core> {
public:
  table_core(std::shared_ptr<table_engine> engine, table_store_options options);

  void open(table_id table, std::uint64_t index);
  void close(table_id table);
  void write_behind();
  void drop(table_id table);
  void present(table_store::on_tables done);
  row_lookup get(table_id table, std::string_view key) const;
  range_lookup scan(table_id table, const table_range& range) const;
  void load(table_id table, row_needs needs, table_store::on_done done);
  void apply(table_id table, table_batch batch, std::uint64_t index);
  std::uint64_t applied_index(table_id table) const;
  bool overloaded() const { return cache_.held_bytes() > options_.overlay_bytes_max; }
  void checkpoint(table_id table, table_store::on_index done);
  void export_begin(table_id table, table_store::on_index done);
  void export_chunk(table_id table, table_store::on_chunk done);
  void export_end(table_id table);
  void import_begin(table_id table, table_store::on_done done);
  void import_chunk(table_id table, byte_vector chunk, table_store::on_done done);
  void import_finish(table_id table, std::uint64_t index, table_store::on_done done);
  std::vector<table_job> take_jobs() { return std::exchange(ready_, {}); }
  bool idle() const;
  const expected<void>& health() const { return health_; }
  table_counters counters() const;

private:
  struct export_record {
    std::shared_ptr<engine_snapshot> snapshot; ///< Null until the moment has come.
    std::string cursor;                        ///< The next key to stream.
    bool reading = false;
    bool finished = false;
  };
  struct table_record {
    std::uint64_t opening = 0; ///< Which `open` this is.
    std::uint64_t applied_index = 0;
    std::shared_ptr<export_record> exported;
  };
  struct checkpoint_waiter {
    table_id table;
    std::uint64_t index = 0;
    table_store::on_index done;
  };
  /// One thing to do to the engine: a batch, or a step with its completion.
  struct lane_item {
    engine_batch batch;
    std::uint64_t sequence = 0; ///< Of the batch; 0: this is a step.
    std::function<expected<void>(table_engine&)> step;
    std::function<void(table_core&, expected<void>)> finish;
    bool is_checkpoint = false;
  };
  struct load_work;

  void submit(std::function<void()> run, std::function<void(table_core&)> finish);
  void push_step(std::function<expected<void>(table_engine&)> step,
                 std::function<void(table_core&, expected<void>)> finish);
  /// Calls `done(why)` from a `finish`, never from inside the caller's call.
  template <class Done>
  void refuse(Done done, error why) {
    submit([] {}, [done = std::move(done), why = std::move(why)](table_core&) { done(why); });
  }
  void pump();
  void pump_lane();
  bool may_wait() const;
  void start_write();
  void start_step();
  void pump_reads();
  void start_load(const std::shared_ptr<load_work>& work);
  void finish_load(const std::shared_ptr<load_work>& work);
  bool is_for_open_table(const load_work& work) const;
  void learn(load_work& work);
  void start_export_read(table_id table, const std::shared_ptr<export_record>& record,
                         table_store::on_chunk done);
  void clear_step(table_id table, std::function<void(table_core&, expected<void>)> finish);
  void finish_checkpoint(const expected<void>& result);
  void release();
  void fail(const error& why);

  std::shared_ptr<table_engine> engine_;
  table_store_options options_;
  row_cache cache_;
  std::map<table_id, table_record> tables_;
  std::uint64_t openings_ = 0; ///< So far.
  /// What each import is called: an earlier one into the same table may still have steps to come.
  std::map<table_id, std::uint64_t> importing_;
  std::uint64_t imports_ = 0; ///< Begun.
  std::deque<table_id> dropped_;

  std::deque<lane_item> lane_;
  std::uint64_t lane_bytes_ = 0; ///< Of the batches in it.
  std::size_t lane_steps_ = 0;   ///< In it.
  std::uint64_t due_ = 0;        ///< Batches up to this sequence wait no longer.
  bool lane_busy_ = false;
  bool engine_dirty_ = true; ///< Something was written since the last flush, perhaps before us.
  std::vector<checkpoint_waiter> waiters_;  ///< Of the checkpoint that waits in the lane.
  std::vector<checkpoint_waiter> flushing_; ///< Of the one that runs.
  std::uint64_t sequence_ = 0;              ///< Of the last batch applied.
  std::uint64_t written_ = 0;               ///< The engine has the batches up to here.

  std::deque<std::function<void(table_core&)>> reads_; ///< Waiting to start.
  std::uint32_t reads_out_ = 0;
  std::multiset<std::uint64_t> loads_begun_; ///< `written_` at the start of each load under way.

  std::vector<table_job> ready_;
  expected<void> health_;
  mutable table_counters counters_;
};

} // namespace troupe
