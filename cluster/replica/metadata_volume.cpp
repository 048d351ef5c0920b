#include "cluster/replica/metadata_volume.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace troupe {

namespace {

/// What an entry takes in the journal beside its payload, generously.
constexpr std::uint64_t entry_overhead_bytes = 128;

} // namespace

expected<void> check(const volume_options& options, std::uint32_t segment_count,
                     std::uint32_t reserve_segments) {
  auto growth = segment_count - std::min(segment_count, reserve_segments);
  if (options.laggard_segments < 1 || options.laggard_segments >= growth)
    return error{errc::invalid_argument,
                 "volume option laggard_segments: " + std::to_string(options.laggard_segments)
                   + ", must be 1 to " + std::to_string(growth - std::min(growth, 1U)) + " with "
                   + std::to_string(segment_count) + " segments, of which "
                   + std::to_string(reserve_segments) + " are kept in reserve"};
  return {};
}

expected<std::unique_ptr<metadata_volume>>
metadata_volume::open(opened_journal journal, std::shared_ptr<table_engine> engine,
                      const drive_uuid& drive, const volume_options& options,
                      std::unique_ptr<volume_runner> runner) {
  if (auto sane = check(options, journal.state.segment_count(), journal.state.reserve_segments());
      !sane)
    return sane.error();
  auto present = engine->tables();
  if (!present)
    return present.error();
  auto c = std::make_shared<core>(std::move(journal), drive, options, std::move(runner));
  c->engine = engine;
  c->tables = std::make_unique<table_store>(std::move(engine), options.tables);
  // What an import or a removal left that a crash cut short.
  std::set<table_id> known;
  for (const auto& [id, replica] : c->journal.replicas)
    known.insert(table_of(id, static_cast<std::uint16_t>(replica.state.checkpoint.state_id)));
  for (auto table : *present)
    if (!known.contains(table))
      c->tables->drop(table);
  return std::unique_ptr<metadata_volume>{new metadata_volume{std::move(c)}};
}

metadata_volume::~metadata_volume() {
  core_->closed = true;
  core_->waiting.clear();
}

std::map<replica_id, recovered_replica> metadata_volume::take_replicas() {
  return std::exchange(core_->journal.replicas, {});
}

void metadata_volume::append(replica_id replica, const std::vector<log_record>& records,
                             stored done) {
  if (core_->recoveries.empty())
    core_->append(replica, records, std::move(done));
  else
    core_->stage(replica, records, std::move(done));
}

void metadata_volume::core::stage(replica_id replica, const std::vector<log_record>& records,
                                  stored done) {
  std::uint64_t bytes = 0;
  auto count = [&](const std::vector<log_entry>& entries) {
    for (const auto& entry : entries)
      bytes += entry.payload.size() + entry_overhead_bytes;
  };
  for (const auto& record : records)
    if (const auto* appended = std::get_if<append_record>(&record))
      count(appended->entries);
    else if (const auto* rewritten = std::get_if<rewrite_record>(&record))
      count(rewritten->entries);
  staged_bytes += bytes;
  staged.push_back({replica, records, bytes, std::move(done)});
}

void metadata_volume::core::unstage(replica_id replica) {
  std::erase_if(staged, [&](const auto& s) {
    staged_bytes -= s.replica == replica ? s.bytes : 0;
    return s.replica == replica;
  });
}

void metadata_volume::core::append(replica_id replica, const std::vector<log_record>& records,
                                   stored done) {
  auto lsn = journal.state.append(replica, records);
  if (!lsn)
    return done(lsn.error());
  waiting.push_back({*lsn, std::move(done)});
  pump_journal();
}

std::vector<journal_laggard> metadata_volume::laggards() const {
  auto out = core_->journal.state.laggards(core_->options.laggard_segments);
  if (!core_->recoveries.empty()) // what would be written now finds the room later, or not
    for (auto& laggard : out)
      laggard.rewrite_bytes_max = 0;
  return out;
}

void metadata_volume::recover(replica_id replica,
                              std::function<void(expected<recovered_replica>)> done) {
  if (const auto& failed = core_->journal.state.health(); !failed)
    return done(failed.error());
  core_->unstage(replica);
  core_->recoveries.push_back({replica, std::move(done)});
  core_->start_recovery();
}

void metadata_volume::core::start_recovery() {
  if (recoveries.empty() || recovering || closed)
    return;
  if (!journal.state.idle())
    return pump_journal(); // comes back here when everything is written
  recovering = true;
  auto self = shared_from_this();
  auto found = std::make_shared<std::optional<expected<recovered_journal>>>();
  auto started =
    runner->run([self, found] { found->emplace(recover_journal(*self->journal.log, self->drive)); },
                [self, found] { self->recovered(std::move(**found)); });
  if (!started)
    recovered(started.error());
}

/// One reading serves all that wait: nothing was appended since it began.
void metadata_volume::core::recovered(expected<recovered_journal> found) {
  recovering = false;
  if (closed)
    return;
  auto served = std::exchange(recoveries, {});
  auto released = std::exchange(staged, {});
  staged_bytes = 0;
  for (auto& wanted : served) {
    if (!found)
      wanted.done(found.error());
    else if (auto it = found->replicas.find(wanted.replica); it == found->replicas.end())
      wanted.done(error{errc::not_found, "replica " + std::to_string(wanted.replica.value)});
    else
      wanted.done(std::move(it->second));
  }
  for (auto& s : released)
    append(s.replica, s.records, std::move(s.done));
}

void metadata_volume::core::pump() {
  pump_journal();
  pump_tables();
}

void metadata_volume::core::pump_journal() {
  if (closed)
    return;
  auto batch = journal.state.next_batch();
  if (!batch)
    return;
  // The journal keeps the bytes until it hears of the batch; this object lives until then.
  auto self = shared_from_this();
  runner->write_journal(*journal.log, batch->offset, shared_bytes{self, batch->bytes},
                        [self, number = batch->number](const expected<void>& result) {
                          self->batch_written(number, result);
                        });
}

void metadata_volume::core::batch_written(std::uint64_t number, const expected<void>& result) {
  if (!result) {
    journal.state.batch_failed(result.error());
    return fail_all(result.error());
  }
  auto durable = journal.state.batch_done(number);
  if (!recoveries.empty() && journal.state.idle())
    start_recovery();
  pump_journal(); // the next batch is on its way before anybody reacts to this one
  while (!closed && !waiting.empty() && waiting.front().lsn <= durable) {
    auto done = std::move(waiting.front().done);
    waiting.pop_front();
    done({});
  }
}

void metadata_volume::core::fail_all(const error& why) {
  auto unwritten = std::exchange(waiting, {});
  auto unsent = std::exchange(staged, {});
  staged_bytes = 0;
  auto unread = std::exchange(recoveries, {});
  for (auto& w : unwritten)
    w.done(why);
  for (auto& s : unsent)
    s.done(why);
  for (auto& r : unread)
    r.done(why);
}

void metadata_volume::core::look_at_room(boot_time now) {
  if (closed || looking || now == boot_time{} || now < look_at)
    return;
  // Deleted rows take room until they are compacted away, which the engine does when it likes.
  bool compacts = full && now >= compact_at;
  if (compacts)
    compact_at = {now.ns + std::uint64_t{options.room.compact_ms} * 1'000'000};
  look_at = {now.ns + std::uint64_t{options.room.look_ms} * 1'000'000};
  auto self = shared_from_this();
  auto found = std::make_shared<std::optional<expected<engine_room>>>();
  auto started = runner->run(
    [self, found, compacts] {
      if (compacts)
        self->engine->compact();
      found->emplace(self->engine->room());
    },
    [self, found] {
      self->looking = false;
      if (!self->closed && **found)
        self->looked(***found);
    });
  looking = static_cast<bool>(started);
}

void metadata_volume::core::looked(const engine_room& found) {
  const auto& room = options.room;
  tables_bytes = found.used_bytes;
  full = found.used_bytes >= room.bytes_max / 100 * room.full_percent
         || found.free_bytes < room.host_bytes_min;
}

void metadata_volume::core::pump_tables() {
  if (closed)
    return;
  for (auto& job : tables->take_jobs())
    jobs.push_back(std::move(job));
  while (!jobs.empty()) {
    auto job = std::move(jobs.front());
    jobs.pop_front();
    auto finish = [self = shared_from_this(), end = job.finish] {
      if (self->closed)
        return;
      end();
      self->pump_tables();
    };
    if (!runner->run(job.run, std::move(finish))) {
      jobs.push_front(std::move(job)); // the runner is full: a completion pumps again
      return;
    }
  }
}

} // namespace troupe
