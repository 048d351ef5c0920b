#include "cluster/partition/entry_pipeline_state.hpp"

#include "storage/base/assert.hpp"

namespace troupe {

std::uint64_t entry_pipeline_state::add(const partition_entry& change) {
  auto rows = to_batch(change);
  TROUPE_ASSERT(!rows.empty());
  auto bytes = entry_bytes(rows);
  if (collected_.empty() || collected_.back().bytes + bytes > options_.entry_bytes_max)
    collected_.emplace_back();
  auto& last = collected_.back();
  for (const auto& row : change.changes)
    last.changes.insert_or_assign(row.key, row.value);
  if (change.adopted_config)
    last.adopted.adopted_config = change.adopted_config;
  if (change.adopted_epoch)
    last.adopted.adopted_epoch = change.adopted_epoch;
  last.bytes += bytes;
  collected_bytes_ += bytes;
  last.newest = ++newest_;
  view_.add(newest_, std::move(rows));
  return newest_;
}

entry_pipeline_state::encoded_entry entry_pipeline_state::encoded(entry x) {
  auto whole = std::move(x.adopted);
  for (auto& [key, value] : x.changes)
    whole.changes.push_back({key, std::move(value)});
  return {shared_bytes{encode(whole)}, x.newest};
}

std::vector<shared_bytes> entry_pipeline_state::propose() {
  TROUPE_ASSERT(can_propose());
  if (in_flight_.empty()) {
    std::uint64_t bytes = 0;
    while (
      !collected_.empty()
      && (in_flight_.empty() || bytes + collected_.front().bytes <= options_.batch_bytes_max)) {
      bytes += collected_.front().bytes;
      collected_bytes_ -= collected_.front().bytes;
      in_flight_.push_back(encoded(std::move(collected_.front())));
      collected_.pop_front();
    }
    applied_count_ = 0;
  }
  sent_ = true;
  proposed_ = in_flight_.back().newest;
  std::vector<shared_bytes> out;
  for (const auto& x : in_flight_)
    out.push_back(x.bytes);
  return out;
}

void entry_pipeline_state::refused() {
  TROUPE_ASSERT(sent_);
  TROUPE_ASSERT(applied_count_ == 0);
  sent_ = false;
}

void entry_pipeline_state::applied() {
  TROUPE_ASSERT(sent_);
  TROUPE_ASSERT(applied_count_ < in_flight_.size());
  view_.applied(in_flight_[applied_count_++].newest);
}

std::uint64_t entry_pipeline_state::committed() {
  TROUPE_ASSERT(sent_);
  TROUPE_ASSERT(applied_count_ == in_flight_.size());
  auto newest = in_flight_.back().newest;
  in_flight_.clear();
  sent_ = false;
  return newest;
}

void entry_pipeline_state::clear() {
  collected_.clear();
  collected_bytes_ = 0;
  in_flight_.clear();
  applied_count_ = 0;
  sent_ = false;
  proposed_ = newest_;
  view_.clear();
}

} // namespace troupe
