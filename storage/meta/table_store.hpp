#pragma once

#include "messages/bytes.hpp"
#include "messages/error.hpp"
#include "storage/meta/table_view.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace troupe {

class table_engine;
class table_core;

struct table_store_options {
  std::uint64_t cache_bytes = 12u << 20;       ///< Rows kept in memory beside the overlay.
  std::uint64_t overlay_bytes_max = 16u << 20; ///< Above it `overloaded()` is true.
  std::uint64_t write_bytes = 1u << 20;        ///< Most that one write job takes along.
  /// Changes wait in memory until they are so many, `write_behind` is called or something needs
  /// them in the engine: rows that change often are written once. 0: written at once.
  std::uint64_t write_delay_bytes = 0;
  std::uint64_t chunk_bytes = 1u << 20;      ///< Size of an export chunk, about.
  std::uint64_t load_bytes_max = 256u << 10; ///< Of one range load; the cache must hold several.
  std::uint32_t read_jobs_max = 4;           ///< Loads and export reads at once.
  std::uint32_t drop_rows = 1024;            ///< Rows removed by one background step of `drop`.
};

/// Work that blocks. `run` is called once on any thread, then `finish` on the thread of the store
/// (also when the store is gone by then: it does nothing). May run beside other jobs.
struct table_job {
  std::function<void()> run;
  std::function<void()> finish;
};

/// What a store has done since it was opened.
struct table_counters {
  std::uint64_t hits = 0;          ///< Rows and ranges answered from memory.
  std::uint64_t misses = 0;        ///< Answered "unknown".
  std::uint64_t loads = 0;         ///< Load jobs.
  std::uint64_t writes = 0;        ///< Write jobs.
  std::uint64_t batches = 0;       ///< Applied.
  std::uint64_t checkpoints = 0;   ///< Flushes of the engine.
  std::uint64_t cache_bytes = 0;   ///< Now in memory, the overlay included.
  std::uint64_t overlay_bytes = 0; ///< Now waiting for the engine.
};

/// Ordered key -> value tables for the replicas of one drive. A batch is visible as soon as it is
/// applied and reaches the engine behind, without sync; only `checkpoint` makes it durable, and
/// after a crash the engine may hold any mixture of newer changes: the owner replays its log from
/// the checkpoint index (hazards F1). Owns the engine.
///
/// Called on one thread. Nothing here blocks: blocking parts are jobs that the owner takes with
/// `take_jobs` after each call and each `finish`, and runs on a pool. Callbacks run inside
/// `finish`; an error of the engine is errc::io_error, final for the store (the drive has failed).
class table_store {
public:
  using on_done = std::function<void(expected<void>)>;
  using on_index = std::function<void(expected<std::uint64_t>)>;
  using on_chunk = std::function<void(expected<byte_vector>)>;
  using on_tables = std::function<void(expected<std::vector<table_id>>)>;

  table_store(std::shared_ptr<table_engine> engine, table_store_options options);
  ~table_store();
  table_store(const table_store&) = delete;
  table_store& operator=(const table_store&) = delete;

  /// Takes a table into use, whatever the engine holds under its prefix. `index` is the
  /// checkpoint index that the journal has for it: the changes up to there are in the engine.
  void open(table_id table, std::uint64_t index);
  /// Lets go of a table and keeps its rows: it can be opened again, at a checkpoint index, after
  /// which its owner applies again what came behind that.
  void close(table_id table);
  /// Lets what was applied until now go to the engine, however little it is. Called now and then.
  void write_behind();
  /// Forgets the table and removes its rows in the background; what comes after is refused.
  void drop(table_id table);
  /// Every table that has rows in the engine, open or not, after what was asked for before.
  void present(on_tables done);

  /// Rows from memory. Valid while the table is open.
  row_lookup get(table_id table, std::string_view key) const;
  range_lookup scan(table_id table, const table_range& range) const;
  /// The two calls above as a view; lives as long as the store.
  std::unique_ptr<table_view> view(table_id table) const;
  /// Brings rows into memory; afterwards `get` and `scan` know them, unless so much was loaded
  /// meanwhile that they were evicted: ask again. errc::not_found if the table was dropped.
  void load(table_id table, row_needs needs, on_done done);

  /// Applies the changes of log entry `index`, which must grow from call to call.
  void apply(table_id table, table_batch batch, std::uint64_t index);
  std::uint64_t applied_index(table_id table) const;
  /// True while too much waits for the engine: admit no new changes. Committed ones still apply.
  bool overloaded() const;

  /// Makes everything applied so far durable. Gives the index up to which that is true: what the
  /// journal may then record as checkpoint. Requests that wait together share one flush.
  void checkpoint(table_id table, on_index done);

  /// Fixes the state of a table for streaming and gives its index; then `export_chunk` until it
  /// gives no bytes. One export per table at a time (errc::busy). Chunks are in the format of
  /// table_chunk_format.hpp. Later changes do not show.
  void export_begin(table_id table, on_index done);
  void export_chunk(table_id table, on_chunk done);
  /// Ends an export early; harmless if there is none.
  void export_end(table_id table);

  /// Begins to fill a table that is not open from the chunks of an export, after clearing what an
  /// interrupted import may have left under its prefix.
  void import_begin(table_id table, on_done done);
  /// errc::corrupt if the bytes are not a chunk as exported.
  void import_chunk(table_id table, byte_vector chunk, on_done done);
  /// Makes the imported rows durable and opens the table at `index`. The owner then records the
  /// switch in the journal; a crash before that leaves a table to drop.
  void import_finish(table_id table, std::uint64_t index, on_done done);

  /// Jobs that became ready, to be started in this order. A job not run blocks those that wait
  /// for it, never a caller.
  std::vector<table_job> take_jobs();
  /// True if nothing waits and no job is out.
  bool idle() const;
  /// The error that ended the store, if any.
  const expected<void>& health() const;
  table_counters counters() const;

private:
  std::shared_ptr<table_core> core_;
};

} // namespace troupe
