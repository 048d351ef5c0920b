#include "storage/meta/table_core.hpp"

#include "storage/base/assert.hpp"
#include "storage/meta/table_chunk_format.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <string_view>
#include <unordered_set>

namespace troupe {

namespace {

error not_open(table_id table) {
  return {errc::not_found, "table " + std::to_string(table.value)};
}

std::uint64_t bytes_of(const engine_batch& batch) {
  std::uint64_t sum = 0;
  for (const auto& change : batch.changes)
    sum += change.key.size() + (change.value ? change.value->size() : 0);
  return sum;
}

/// One batch per table with the last change of each key: what came before it is of no interest to
/// anybody once all of it is written together. The order of the tables stays.
std::vector<engine_batch> only_last_changes(std::vector<engine_batch>& batches) {
  std::vector<engine_batch> out;
  std::map<table_id, std::pair<std::size_t, std::unordered_set<std::string_view>>> seen;
  for (auto batch = batches.rbegin(); batch != batches.rend(); ++batch) {
    auto [at, first] =
      seen.try_emplace(batch->table, out.size(), std::unordered_set<std::string_view>{});
    if (first)
      out.push_back({batch->table, {}});
    auto& [place, keys] = at->second;
    // Keys stay where they are until the end: a moved string may take its characters along.
    for (auto change = batch->changes.rbegin(); change != batch->changes.rend(); ++change)
      if (keys.insert(change->key).second)
        out[place].changes.push_back({change->key, std::move(change->value)});
  }
  return out;
}

} // namespace

/// One load on its way through a pool thread.
struct table_core::load_work {
  table_id table;
  std::uint64_t opening = 0; ///< Of the table.
  row_needs needs;
  table_store::on_done done;
  std::uint64_t begun = 0; ///< `written_` when it started.
  std::vector<std::optional<std::string>> values;
  std::vector<engine_rows> ranges;
  expected<void> result;

  void run(table_engine& engine, std::uint64_t bytes_max) {
    for (const auto& key : needs.keys) {
      auto value = engine.get(table, key);
      if (!value) {
        result = value.error();
        return;
      }
      values.push_back(std::move(*value));
    }
    for (const auto& range : needs.ranges) {
      auto rows = engine.scan(table, range, bytes_max, nullptr);
      if (!rows) {
        result = rows.error();
        return;
      }
      ranges.push_back(std::move(*rows));
    }
  }
};

table_core::table_core(std::shared_ptr<table_engine> engine, table_store_options options)
  : engine_(std::move(engine)), options_(options), cache_(options.cache_bytes) {
  TROUPE_ASSERT(engine_);
  TROUPE_ASSERT(options_.write_bytes > 0);
  TROUPE_ASSERT(options_.read_jobs_max > 0);
  TROUPE_ASSERT(options_.drop_rows > 0);
}

// -- jobs -----------------------------------------------------------------------------------------

void table_core::submit(std::function<void()> run, std::function<void(table_core&)> finish) {
  ready_.push_back({std::move(run), [weak = weak_from_this(), finish = std::move(finish)] {
                      if (auto self = weak.lock()) {
                        finish(*self);
                        self->pump();
                      }
                    }});
}

void table_core::push_step(std::function<expected<void>(table_engine&)> step,
                           std::function<void(table_core&, expected<void>)> finish) {
  lane_item item;
  item.step = std::move(step);
  item.finish = std::move(finish);
  lane_.push_back(std::move(item));
  ++lane_steps_;
}

void table_core::pump() {
  pump_lane();
  pump_reads();
}

void table_core::pump_lane() {
  if (lane_busy_ || !health_)
    return;
  if (lane_.empty() && !dropped_.empty()) {
    auto table = dropped_.front();
    clear_step(table, [table](table_core& self, const expected<void>&) {
      std::erase(self.dropped_, table);
    });
  }
  if (lane_.empty() || may_wait())
    return;
  lane_busy_ = true;
  if (lane_.front().sequence != 0)
    start_write();
  else
    start_step();
}

/// Nobody needs the batches at the front of the lane in the engine yet.
bool table_core::may_wait() const {
  return lane_steps_ == 0 && lane_bytes_ < options_.write_delay_bytes
         && lane_.front().sequence > due_;
}

void table_core::write_behind() {
  due_ = sequence_;
  pump();
}

void table_core::start_write() {
  struct write_work {
    std::vector<engine_batch> batches;
    std::uint64_t last = 0;
    expected<void> result;
  };
  auto work = std::make_shared<write_work>();
  std::uint64_t bytes = 0;
  while (!lane_.empty() && lane_.front().sequence != 0 && bytes < options_.write_bytes) {
    auto size = bytes_of(lane_.front().batch);
    bytes += size;
    lane_bytes_ -= size;
    work->last = lane_.front().sequence;
    work->batches.push_back(std::move(lane_.front().batch));
    lane_.pop_front();
  }
  engine_dirty_ = true;
  ++counters_.writes;
  submit(
    [engine = engine_, work] { work->result = engine->write(only_last_changes(work->batches)); },
    [work](table_core& self) {
      self.lane_busy_ = false;
      if (!work->result)
        return self.fail(work->result.error());
      self.written_ = work->last;
      self.release();
      self.cache_.trim();
    });
}

void table_core::start_step() {
  auto item = std::make_shared<lane_item>(std::move(lane_.front()));
  lane_.pop_front();
  --lane_steps_;
  if (item->is_checkpoint) {
    flushing_ = std::exchange(waiters_, {});
    if (!std::exchange(engine_dirty_, false))
      item->step = [](table_engine&) { return expected<void>{}; };
    else
      ++counters_.checkpoints;
  } else {
    engine_dirty_ = true;
  }
  auto result = std::make_shared<expected<void>>();
  submit([engine = engine_, item, result] { *result = item->step(*engine); },
         [item, result](table_core& self) {
           self.lane_busy_ = false;
           // Bad chunks are the sender's fault; anything else ends the store.
           if (!*result && result->error().code == errc::io_error)
             self.fail(result->error());
           item->finish(self, *result);
         });
}

void table_core::pump_reads() {
  while (!reads_.empty() && reads_out_ < options_.read_jobs_max) {
    auto start = std::move(reads_.front());
    reads_.pop_front();
    ++reads_out_;
    start(*this);
  }
}

/// The first error of the engine ends everything: all that waits hears of it.
void table_core::fail(const error& why) {
  if (!health_)
    return;
  health_ = why;
  dropped_.clear();
  lane_bytes_ = 0;
  lane_steps_ = 0;
  for (auto& item : std::exchange(lane_, {}))
    if (item.finish)
      submit([] {}, [finish = item.finish, why](table_core& self) { finish(self, why); });
}

bool table_core::idle() const {
  return !lane_busy_ && lane_.empty() && reads_out_ == 0 && reads_.empty() && dropped_.empty()
         && ready_.empty();
}

// -- tables and rows ------------------------------------------------------------------------------

void table_core::open(table_id table, std::uint64_t index) {
  TROUPE_ASSERT(!tables_.contains(table));
  TROUPE_ASSERT(!importing_.contains(table));
  TROUPE_ASSERT(std::find(dropped_.begin(), dropped_.end(), table) == dropped_.end());
  tables_[table] = {++openings_, index, nullptr};
}

void table_core::close(table_id table) {
  tables_.erase(table);
  cache_.erase(table); // what was applied is in the lane, before anything of the next owner
}

void table_core::drop(table_id table) {
  tables_.erase(table);
  importing_.erase(table);
  cache_.erase(table);
  if (health_ && std::find(dropped_.begin(), dropped_.end(), table) == dropped_.end())
    dropped_.push_back(table);
  pump();
}

void table_core::present(table_store::on_tables done) {
  if (!health_)
    return refuse(std::move(done), health_.error());
  auto found = std::make_shared<std::vector<table_id>>();
  push_step(
    [found](table_engine& engine) -> expected<void> {
      auto tables = engine.tables();
      if (!tables)
        return tables.error();
      *found = std::move(*tables);
      return {};
    },
    [found, done](table_core&, const expected<void>& result) {
      if (result)
        done(std::move(*found));
      else
        done(result.error());
    });
  pump();
}

row_lookup table_core::get(table_id table, std::string_view key) const {
  TROUPE_ASSERT(tables_.contains(table));
  auto row = cache_.get(table, key);
  ++(row.state == row_state::unknown ? counters_.misses : counters_.hits);
  return row;
}

range_lookup table_core::scan(table_id table, const table_range& range) const {
  TROUPE_ASSERT(tables_.contains(table));
  auto rows = cache_.scan(table, range);
  ++(rows.missing ? counters_.misses : counters_.hits);
  return rows;
}

void table_core::apply(table_id table, table_batch batch, std::uint64_t index) {
  auto at = tables_.find(table);
  TROUPE_ASSERT(at != tables_.end());
  TROUPE_ASSERT(index > at->second.applied_index);
  at->second.applied_index = index;
  ++counters_.batches;
  if (batch.empty())
    return;
  ++sequence_;
  for (const auto& change : batch)
    cache_.put(table, change, sequence_);
  if (!health_)
    return;
  lane_item item;
  item.batch = {table, std::move(batch)};
  lane_bytes_ += bytes_of(item.batch);
  item.sequence = sequence_;
  lane_.push_back(std::move(item));
  pump();
}

std::uint64_t table_core::applied_index(table_id table) const {
  auto at = tables_.find(table);
  TROUPE_ASSERT(at != tables_.end());
  return at->second.applied_index;
}

/// Lets go of overlay rows that the engine has. Rows written after a load began stay until that
/// load is done: it may bring their older values.
void table_core::release() {
  auto limit = written_;
  if (!loads_begun_.empty())
    limit = std::min(limit, *loads_begun_.begin());
  cache_.release(limit);
}

// -- loads ----------------------------------------------------------------------------------------

void table_core::load(table_id table, row_needs needs, table_store::on_done done) {
  if (!health_)
    return refuse(std::move(done), health_.error());
  if (!tables_.contains(table))
    return refuse(std::move(done), not_open(table));
  auto work = std::make_shared<load_work>();
  work->table = table;
  work->opening = tables_.at(table).opening;
  work->needs = std::move(needs);
  work->done = std::move(done);
  reads_.push_back([work](table_core& self) { self.start_load(work); });
  pump();
}

void table_core::start_load(const std::shared_ptr<load_work>& work) {
  ++counters_.loads;
  work->begun = written_;
  loads_begun_.insert(written_);
  submit([engine = engine_, work,
          bytes_max = options_.load_bytes_max] { work->run(*engine, bytes_max); },
         [work](table_core& self) { self.finish_load(work); });
}

/// What was read before the table was closed may be older than what has been applied and written
/// since, and the cache, which knew better, has forgotten the table.
bool table_core::is_for_open_table(const load_work& work) const {
  auto at = tables_.find(work.table);
  return at != tables_.end() && at->second.opening == work.opening;
}

void table_core::finish_load(const std::shared_ptr<load_work>& work) {
  --reads_out_;
  bool wanted = is_for_open_table(*work);
  if (work->result && wanted)
    learn(*work);
  loads_begun_.erase(loads_begun_.find(work->begun)); // not before: see release()
  release();
  if (!work->result) {
    fail(work->result.error());
    work->done(work->result);
  } else if (!wanted) {
    work->done(not_open(work->table));
  } else {
    work->done({});
  }
}

void table_core::learn(load_work& work) {
  cache_.trim(); // makes room before, so that what is learned now surely stays until it is used
  for (std::size_t i = 0; i < work.needs.keys.size(); ++i)
    cache_.learn(work.table, work.needs.keys[i], work.values[i]);
  for (std::size_t i = 0; i < work.needs.ranges.size(); ++i) {
    auto begin = work.needs.ranges[i].begin;
    auto end = work.needs.ranges[i].end;
    auto& loaded = work.ranges[i];
    if (!loaded.complete && work.needs.ranges[i].reverse)
      begin = loaded.rows.back().key;
    else if (!loaded.complete)
      end = loaded.rows.back().key + '\0';
    if (work.needs.ranges[i].reverse)
      std::reverse(loaded.rows.begin(), loaded.rows.end());
    cache_.learn_range(work.table, begin, end, loaded.rows);
  }
}

// -- checkpoints ----------------------------------------------------------------------------------

void table_core::checkpoint(table_id table, table_store::on_index done) {
  if (!health_)
    return refuse(std::move(done), health_.error());
  auto at = tables_.find(table);
  if (at == tables_.end())
    return refuse(std::move(done), not_open(table));
  waiters_.push_back({table, at->second.applied_index, std::move(done)});
  // A checkpoint that has not begun moves behind all that was applied meanwhile: one flush, and
  // the newest index, for everybody.
  lane_steps_ -= std::erase_if(lane_, [](const lane_item& item) { return item.is_checkpoint; });
  for (auto& waiter : waiters_)
    if (auto open = tables_.find(waiter.table); open != tables_.end())
      waiter.index = open->second.applied_index;
  push_step([](table_engine& engine) { return engine.flush(); },
            [](table_core& self, const expected<void>& result) { self.finish_checkpoint(result); });
  lane_.back().is_checkpoint = true;
  pump();
}

void table_core::finish_checkpoint(const expected<void>& result) {
  // After a failure the waiters of a checkpoint that never began are told here, too.
  auto told = std::exchange(flushing_, {});
  if (!result)
    for (auto& waiter : std::exchange(waiters_, {}))
      told.push_back(std::move(waiter));
  for (auto& waiter : told) {
    if (!result)
      waiter.done(result.error());
    else if (!tables_.contains(waiter.table))
      waiter.done(not_open(waiter.table));
    else
      waiter.done(waiter.index);
  }
}

// -- state install --------------------------------------------------------------------------------

void table_core::export_begin(table_id table, table_store::on_index done) {
  if (!health_)
    return refuse(std::move(done), health_.error());
  auto at = tables_.find(table);
  if (at == tables_.end())
    return refuse(std::move(done), not_open(table));
  if (at->second.exported)
    return refuse(std::move(done), {errc::busy, "export of table " + std::to_string(table.value)});
  auto record = std::make_shared<export_record>();
  at->second.exported = record;
  auto index = at->second.applied_index;
  push_step(
    [record](table_engine& engine) {
      record->snapshot = engine.snapshot();
      return expected<void>{};
    },
    [record, index, done](table_core&, const expected<void>& result) {
      if (!result)
        done(result.error());
      else
        done(index);
    });
  pump();
}

void table_core::export_chunk(table_id table, table_store::on_chunk done) {
  if (!health_)
    return refuse(std::move(done), health_.error());
  auto at = tables_.find(table);
  if (at == tables_.end() || !at->second.exported || !at->second.exported->snapshot)
    return refuse(std::move(done), not_open(table));
  auto record = at->second.exported;
  if (record->reading)
    return refuse(std::move(done), {errc::busy, "export of table " + std::to_string(table.value)});
  record->reading = true;
  reads_.push_back([table, record, done = std::move(done)](table_core& self) {
    self.start_export_read(table, record, done);
  });
  pump();
}

void table_core::start_export_read(table_id table, const std::shared_ptr<export_record>& record,
                                   table_store::on_chunk done) {
  auto result = std::make_shared<expected<byte_vector>>(byte_vector{});
  auto run = [engine = engine_, table, record, result, bytes_max = options_.chunk_bytes] {
    if (record->finished)
      return;
    table_range range{record->cursor, {}, std::numeric_limits<std::uint32_t>::max(), false};
    auto rows = engine->scan(table, range, bytes_max, record->snapshot.get());
    if (!rows) {
      *result = rows.error();
      return;
    }
    record->finished = rows->complete;
    if (rows->rows.empty())
      return;
    record->cursor = rows->rows.back().key + '\0';
    *result = encode_table_chunk(rows->rows);
  };
  submit(std::move(run), [record, result, done = std::move(done)](table_core& self) {
    --self.reads_out_;
    record->reading = false;
    if (!*result)
      self.fail(result->error());
    done(std::move(*result));
  });
}

void table_core::export_end(table_id table) {
  if (auto at = tables_.find(table); at != tables_.end())
    at->second.exported.reset();
}

/// Removes some rows of a table, again and again until none is left; then `finish`.
void table_core::clear_step(table_id table,
                            std::function<void(table_core&, expected<void>)> finish) {
  auto complete = std::make_shared<bool>(false);
  push_step(
    [table, complete, options = options_](table_engine& engine) -> expected<void> {
      auto rows =
        engine.scan(table, {{}, {}, options.drop_rows, false}, options.write_bytes, nullptr);
      if (!rows)
        return rows.error();
      *complete = rows->complete;
      engine_batch removal{table, {}};
      for (auto& row : rows->rows)
        removal.changes.push_back({std::move(row.key), std::nullopt});
      if (removal.changes.empty())
        return {};
      return engine.write({&removal, 1});
    },
    [table, complete, finish](table_core& self, expected<void> result) {
      if (result && !*complete)
        self.clear_step(table, finish);
      else
        finish(self, std::move(result));
    });
}

void table_core::import_begin(table_id table, table_store::on_done done) {
  if (!health_)
    return refuse(std::move(done), health_.error());
  TROUPE_ASSERT(!tables_.contains(table));
  importing_[table] = ++imports_;
  std::erase(dropped_, table); // the clearing below does the same
  clear_step(table, [done](table_core&, expected<void> result) { done(std::move(result)); });
  pump();
}

void table_core::import_chunk(table_id table, byte_vector chunk, table_store::on_done done) {
  if (!health_)
    return refuse(std::move(done), health_.error());
  if (!importing_.contains(table))
    return refuse(std::move(done), not_open(table));
  auto bytes = std::make_shared<byte_vector>(std::move(chunk));
  push_step(
    [table, bytes](table_engine& engine) -> expected<void> {
      auto rows = decode_table_chunk(*bytes);
      if (!rows)
        return rows.error();
      engine_batch batch{table, {}};
      for (auto& row : *rows)
        batch.changes.push_back({std::move(row.key), std::move(row.value)});
      return engine.write({&batch, 1});
    },
    [done](table_core&, expected<void> result) { done(std::move(result)); });
  pump();
}

void table_core::import_finish(table_id table, std::uint64_t index, table_store::on_done done) {
  if (!health_)
    return refuse(std::move(done), health_.error());
  auto import = importing_.find(table);
  if (import == importing_.end())
    return refuse(std::move(done), not_open(table));
  push_step([](table_engine& engine) { return engine.flush(); },
            [table, index, done, number = import->second](table_core& self, expected<void> result) {
              auto now = self.importing_.find(table);
              if (now == self.importing_.end() || now->second != number)
                return done(not_open(table)); // dropped meanwhile, and perhaps begun again
              if (result) {
                self.importing_.erase(now);
                self.open(table, index);
              }
              done(std::move(result));
            });
  pump();
}

table_counters table_core::counters() const {
  auto out = counters_;
  out.cache_bytes = cache_.bytes();
  out.overlay_bytes = cache_.held_bytes();
  return out;
}

} // namespace troupe
