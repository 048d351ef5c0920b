#pragma once

#include "cluster/replica/replica_volume.hpp"
#include "storage/base/clock.hpp"
#include "storage/journal/journal.hpp"
#include "storage/meta/table_engine.hpp"
#include "storage/meta/table_store.hpp"

#include <deque>
#include <functional>
#include <memory>

namespace troupe {

/// How a volume gets its blocking work done. Ends come back on the thread of the volume, never
/// inside the call.
class volume_runner {
public:
  virtual ~volume_runner() = default;
  /// Writes `bytes` at `offset` of the journal's file, then makes it durable.
  virtual void write_journal(file& log, std::uint64_t offset, shared_bytes bytes,
                             std::function<void(expected<void>)> done) = 0;
  /// Runs `job` on any thread, then `done`. @returns errc::busy: neither runs.
  virtual expected<void> run(std::function<void()> job, std::function<void()> done) = 0;
};

/// What the tables of a drive may take.
struct metadata_room_options {
  std::uint64_t bytes_max = 1 * gib;        ///< Of the tables' files.
  std::uint32_t full_percent = 90;          ///< Of it: growth is refused from here on.
  std::uint64_t host_bytes_min = 128 * mib; ///< The same while the file system has less free.
  std::uint32_t look_ms = 2000;             ///< Between two looks.
  std::uint32_t compact_ms = 15'000;        ///< While full: between two tries to get room back.
};

struct volume_options {
  metadata_room_options room;
  table_store_options tables = {.write_delay_bytes = 512 * kib};
  /// A replica that keeps more in use must checkpoint. Below what is left of the journal's segments
  /// without its reserve: else it is full before anybody hears of it.
  std::uint64_t laggard_segments = 4;
};

/// @returns errc::invalid_argument, naming the option, if a rule above is broken, for a journal of
/// so many segments, some of them in reserve.
expected<void> check(const volume_options& options, std::uint32_t segment_count,
                     std::uint32_t reserve_segments);

/// What one drive keeps for the replicas on it: the journal (their logs) and the table store (their
/// states), both driven without blocking. One thread. Callbacks of a volume that was destroyed are
/// dropped.
class metadata_volume final : public replica_volume {
public:
  /// Takes over an open journal and the tables beside it, and drops tables that the journal does
  /// not know: a crash cut an import or a removal short. Blocks (start of a node). @returns the
  /// error of the engine, or of `check`.
  static expected<std::unique_ptr<metadata_volume>>
  open(opened_journal journal, std::shared_ptr<table_engine> engine, const drive_uuid& drive,
       const volume_options& options, std::unique_ptr<volume_runner> runner);
  ~metadata_volume() override;
  metadata_volume(const metadata_volume&) = delete;
  metadata_volume& operator=(const metadata_volume&) = delete;

  /// What the journal kept of each replica. To be taken once, at the start.
  std::map<replica_id, recovered_replica> take_replicas();

  void append(replica_id replica, const std::vector<log_record>& records, stored done) override;
  /// Reads the journal again for a replica that starts anew in this process (its actor died, or
  /// consensus wants it): everything appended so far is written first, appends of others wait.
  /// What the replica itself appended and what waits here is dropped: nobody was told of it.
  void recover(replica_id replica, std::function<void(expected<recovered_replica>)> done);
  /// Behind those that wait for a recovery.
  bool admits(std::uint64_t bytes) const override {
    return core_->journal.state.admits(bytes + core_->staged_bytes);
  }

  table_store& tables() override { return *core_->tables; }
  /// A few times per second: what waits to be written to the tables, waits no longer; now and then
  /// looks how much room they take (never without a time).
  void tick(boot_time now = {}) {
    tables().write_behind();
    core_->look_at_room(now);
    pump();
  }
  /// Table jobs and the next journal batch go to the runner.
  void pump() override { core_->pump(); }

  const journal_counters& journal_counts() const { return core_->journal.state.counters(); }
  std::vector<journal_laggard> laggards() const override;
  bool journal_tail_was_cut() const { return core_->journal.tail_was_cut; }
  bool metadata_full() const override { return core_->full; }
  std::uint64_t tables_bytes() const { return core_->tables_bytes; }
  const expected<void>& health() const override {
    const auto& journal = core_->journal.state.health();
    return journal ? core_->tables->health() : journal;
  }

private:
  struct staged_append {
    replica_id replica;
    std::vector<log_record> records;
    std::uint64_t bytes = 0; ///< Of the entries, generously.
    stored done;
  };
  struct wanted_recovery {
    replica_id replica;
    std::function<void(expected<recovered_replica>)> done;
  };
  struct waiting_append {
    journal_lsn lsn;
    stored done;
  };
  /// What outlives the volume while I/O is in flight.
  struct core : std::enable_shared_from_this<core> {
    core(opened_journal opened, const drive_uuid& d, const volume_options& o,
         std::unique_ptr<volume_runner> r)
      : journal(std::move(opened)), drive(d), options(o), runner(std::move(r)) {}
    void pump();
    void pump_journal();
    void pump_tables();
    void append(replica_id replica, const std::vector<log_record>& records, stored done);
    void start_recovery();
    void recovered(expected<recovered_journal> found);
    void stage(replica_id replica, const std::vector<log_record>& records, stored done);
    void unstage(replica_id replica);
    void batch_written(std::uint64_t number, const expected<void>& result);
    void fail_all(const error& why);
    void look_at_room(boot_time now);
    void looked(const engine_room& found);

    opened_journal journal;
    drive_uuid drive;
    volume_options options;
    std::unique_ptr<volume_runner> runner;
    std::shared_ptr<table_engine> engine;
    std::unique_ptr<table_store> tables;
    std::deque<waiting_append> waiting;     ///< Ascending by LSN.
    std::deque<staged_append> staged;       ///< Arrived while a recovery waits or runs.
    std::uint64_t staged_bytes = 0;         ///< The sum of theirs.
    std::deque<wanted_recovery> recoveries; ///< The first one waits or runs.
    bool recovering = false;                ///< It runs.
    std::deque<table_job> jobs;             ///< Ready, but the runner was full.
    bool closed = false;
    std::uint64_t tables_bytes = 0; ///< When it was looked at last.
    bool full = false;
    bool looking = false;   ///< A job is out that looks or compacts.
    boot_time look_at{};    ///< The next time.
    boot_time compact_at{}; ///< Not before.
  };
  explicit metadata_volume(std::shared_ptr<core> c) : core_(std::move(c)) {}

  std::shared_ptr<core> core_;
};

} // namespace troupe
