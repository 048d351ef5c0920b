#include "storage/consensus/log_mirror.hpp"

#include "storage/base/assert.hpp"
#include "storage/consensus/configuration_format.hpp"

#include <algorithm>

namespace troupe {

void log_mirror::reset(const log_checkpoint& checkpoint) {
  checkpoint_index_ = last_index_ = checkpoint.index;
  terms_ = {{checkpoint.index, checkpoint.term}};
  configurations_ = {{checkpoint.configuration_index, checkpoint.configuration}};
  sizes_.clear();
  bytes_ = 0;
  payload_first_ = checkpoint.index + 1;
  payloads_.clear();
  payload_bytes_ = 0;
}

void log_mirror::append(std::span<const log_entry> entries) {
  std::uint64_t bytes = 0;
  for (const auto& entry : entries) {
    ++last_index_;
    if (entry.term != terms_.back().term)
      terms_.push_back({last_index_, entry.term});
    if (entry.kind == entry_kind::configuration) {
      auto configuration = decode_configuration(entry.payload.view());
      TROUPE_ASSERT(configuration); // ours, or checked when it came
      configurations_.push_back({last_index_, std::move(*configuration)});
    }
    bytes += entry.payload.size();
    payloads_.push_back(entry);
  }
  payload_bytes_ += bytes;
  bytes_ += bytes;
  if (!entries.empty())
    sizes_.push_back({last_index_, bytes});
}

void log_mirror::truncate(std::uint64_t from) {
  TROUPE_ASSERT(from > checkpoint_index_);
  while (terms_.back().first_index >= from && terms_.size() > 1)
    terms_.pop_back();
  while (configurations_.back().index >= from && configurations_.size() > 1)
    configurations_.pop_back();
  while (!payloads_.empty() && payload_first_ + payloads_.size() > from) {
    payload_bytes_ -= payloads_.back().payload.size();
    payloads_.pop_back();
  }
  last_index_ = std::min(last_index_, from - 1);
  payload_first_ = std::min(payload_first_, last_index_ + 1);
  while (!sizes_.empty() && sizes_.back().last_index > last_index_) {
    auto begin = sizes_.size() < 2 ? checkpoint_index_ : sizes_[sizes_.size() - 2].last_index;
    if (begin < last_index_) { // part of that append stays: count it whole
      sizes_.back().last_index = last_index_;
      break;
    }
    bytes_ -= sizes_.back().bytes;
    sizes_.pop_back();
  }
}

void log_mirror::checkpointed(std::uint64_t index) {
  TROUPE_ASSERT(index >= checkpoint_index_ && index <= last_index_);
  checkpoint_index_ = index;
  while (terms_.size() > 1 && terms_[1].first_index <= index)
    terms_.pop_front();
  while (configurations_.size() > 1 && configurations_[1].index <= index)
    configurations_.pop_front();
  while (!sizes_.empty() && sizes_.front().last_index <= index) {
    bytes_ -= sizes_.front().bytes;
    sizes_.pop_front();
  }
}

void log_mirror::forget_payloads(std::uint64_t index, std::uint64_t bytes_max) {
  while (!payloads_.empty() && (payload_first_ <= index || payload_bytes_ > bytes_max)) {
    payload_bytes_ -= payloads_.front().payload.size();
    payloads_.pop_front();
    ++payload_first_;
  }
}

std::uint64_t log_mirror::term_of(std::uint64_t index) const {
  if (index < checkpoint_index_ || index > last_index_)
    return 0;
  auto run = std::upper_bound(terms_.begin(), terms_.end(), index,
                              [](std::uint64_t i, const term_run& x) { return i < x.first_index; });
  return run == terms_.begin() ? 0 : std::prev(run)->term;
}

const log_entry* log_mirror::find(std::uint64_t index) const {
  if (index < payload_first_ || index > last_index_)
    return nullptr;
  return &payloads_[index - payload_first_];
}

const log_mirror::configuration_at& log_mirror::configuration_at_index(std::uint64_t index) const {
  auto at = configurations_.end() - 1;
  while (at != configurations_.begin() && at->index > index)
    --at;
  return *at;
}

} // namespace troupe
