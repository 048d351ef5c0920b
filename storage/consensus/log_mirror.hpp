#pragma once

#include "storage/consensus/durable_state.hpp"

#include <cstdint>
#include <deque>
#include <span>

namespace troupe {

/// What must be known about the log beside what the library knows: the terms and configurations by
/// index since the checkpoint, bytes since the checkpoint, and, while they are new, the payloads
/// as shared windows, so that storing, sending and applying need no copy. Pure bookkeeping.
class log_mirror {
public:
  /// Starts behind `checkpoint`; what was known is forgotten.
  void reset(const log_checkpoint& checkpoint);
  /// `entries` come right behind the last index. `configurations` are decoded by the caller.
  void append(std::span<const log_entry> entries);
  void truncate(std::uint64_t from);
  /// Forgets what only indices below a checkpoint need.
  void checkpointed(std::uint64_t index);
  /// Forgets payloads up to `index`, and the oldest beyond `bytes_max`.
  void forget_payloads(std::uint64_t index, std::uint64_t bytes_max);

  std::uint64_t last_index() const { return last_index_; }
  std::uint64_t last_term() const { return terms_.back().term; }
  /// Term of an entry from the checkpoint to the last index; 0 elsewhere.
  std::uint64_t term_of(std::uint64_t index) const;
  /// The entry with its payload if it is still remembered.
  const log_entry* find(std::uint64_t index) const;
  std::uint64_t bytes_since_checkpoint() const { return bytes_; }

  struct configuration_at {
    std::uint64_t index = 0;
    group_configuration configuration;
  };
  /// The configuration in force at `index`, an index not below the checkpoint.
  const configuration_at& configuration_at_index(std::uint64_t index) const;
  const group_configuration& newest_configuration() const {
    return configurations_.back().configuration;
  }
  std::uint64_t newest_configuration_index() const { return configurations_.back().index; }

private:
  struct term_run {
    std::uint64_t first_index;
    std::uint64_t term;
  };
  struct size_run {
    std::uint64_t last_index;
    std::uint64_t bytes;
  };
  std::uint64_t checkpoint_index_ = 0;
  std::uint64_t last_index_ = 0;
  std::deque<term_run> terms_{{0, 0}};
  std::deque<configuration_at> configurations_{{}};
  std::deque<size_run> sizes_; ///< One per append: bytes_since_checkpoint may be a little high.
  std::uint64_t bytes_ = 0;    ///< Their sum.
  std::uint64_t payload_first_ = 1;
  std::deque<log_entry> payloads_; ///< payload_first_ ... last_index_
  std::uint64_t payload_bytes_ = 0;
};

} // namespace troupe
