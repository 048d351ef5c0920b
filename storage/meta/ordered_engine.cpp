#include "storage/meta/ordered_engine.hpp"

#include "storage/base/random.hpp"

namespace troupe {

namespace {

error dead_drive() {
  return {errc::io_error, "ordered engine: the drive failed"};
}

} // namespace

struct ordered_engine::frozen_rows final : engine_snapshot {
  explicit frozen_rows(row_map x) : rows(std::move(x)) {}
  row_map rows;
};

void ordered_engine::apply(row_map& rows, const change_list& changes) {
  for (const auto& change : changes) {
    if (change.value)
      rows.insert_or_assign(change.key, *change.value);
    else
      rows.erase(change.key);
  }
}

void ordered_engine::make_durable(const log_file& log) {
  for (const auto& changes : log.writes)
    apply(durable_, changes);
}

expected<void> ordered_engine::write(std::span<const engine_batch> batches) {
  std::lock_guard lock{mutex_};
  if (failed_)
    return dead_drive();
  constexpr std::size_t log_files_max = 2; // the active one and the one being written out
  if (logs_.back().bytes > options_.log_bytes) {
    logs_.emplace_back();
    if (logs_.size() > log_files_max) {
      make_durable(logs_.front());
      logs_.erase(logs_.begin());
    }
  }
  change_list changes;
  for (const auto& batch : batches)
    for (const auto& change : batch.changes) {
      changes.push_back({engine_key(batch.table, change.key), change.value});
      logs_.back().bytes += change.key.size() + (change.value ? change.value->size() : 0);
    }
  apply(live_, changes);
  logs_.back().writes.push_back(std::move(changes));
  return {};
}

expected<void> ordered_engine::flush() {
  std::lock_guard lock{mutex_};
  if (failed_)
    return dead_drive();
  for (const auto& log : logs_)
    make_durable(log);
  logs_.assign(1, {});
  return {};
}

expected<std::optional<std::string>> ordered_engine::get(table_id table, std::string_view key) {
  std::lock_guard lock{mutex_};
  if (failed_)
    return dead_drive();
  auto at = live_.find(engine_key(table, key));
  if (at == live_.end())
    return std::optional<std::string>{};
  return std::optional{at->second};
}

expected<engine_rows> ordered_engine::scan(table_id table, const table_range& range,
                                           std::uint64_t bytes_max,
                                           const engine_snapshot* snapshot) {
  std::lock_guard lock{mutex_};
  if (failed_)
    return dead_drive();
  const auto& rows = snapshot ? static_cast<const frozen_rows*>(snapshot)->rows : live_;
  engine_rows out;
  out.complete = true;
  if (!range.end.empty() && range.begin >= range.end)
    return out;
  std::uint64_t bytes = 0;
  auto take = [&](const row_map::value_type& row) {
    if (out.rows.size() == range.rows_max || (!out.rows.empty() && bytes >= bytes_max)) {
      out.complete = false;
      return false;
    }
    bytes += row.first.size() + row.second.size();
    out.rows.push_back({row.first.substr(engine_prefix_bytes), row.second});
    return true;
  };
  auto first = rows.lower_bound(engine_key(table, range.begin));
  auto last =
    rows.lower_bound(range.end.empty() ? engine_end(table) : engine_key(table, range.end));
  if (range.reverse)
    while (last != first && take(*std::prev(last)))
      --last;
  else
    while (first != last && take(*first))
      ++first;
  return out;
}

std::shared_ptr<engine_snapshot> ordered_engine::snapshot() {
  std::lock_guard lock{mutex_};
  return std::make_shared<frozen_rows>(live_);
}

expected<std::vector<table_id>> ordered_engine::tables() {
  std::lock_guard lock{mutex_};
  if (failed_)
    return dead_drive();
  std::vector<table_id> out;
  for (auto at = live_.begin(); at != live_.end(); at = live_.lower_bound(engine_end(out.back())))
    out.push_back(engine_table(at->first));
  return out;
}

void ordered_engine::crash(std::uint64_t seed) {
  std::lock_guard lock{mutex_};
  random_source random{seed};
  for (const auto& log : logs_) {
    // Each file has its own luck: all, nothing, a prefix, or any subset.
    auto mode = random.below(4);
    auto cut = random.below(log.writes.size() + 1);
    for (std::size_t i = 0; i < log.writes.size(); ++i) {
      bool kept = mode == 0 || (mode == 1 && i < cut) || (mode == 2 && random.one_in(2));
      if (kept)
        apply(durable_, log.writes[i]);
    }
  }
  live_ = durable_;
  logs_.assign(1, {});
}

void ordered_engine::fail() {
  std::lock_guard lock{mutex_};
  failed_ = true;
}

std::size_t ordered_engine::row_count() const {
  std::lock_guard lock{mutex_};
  return live_.size();
}

} // namespace troupe
