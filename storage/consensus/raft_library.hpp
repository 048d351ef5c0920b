#pragma once

// The only place that includes the library. Internal to storage/consensus.

#include "messages/consensus.hpp"

extern "C" {
#include <raft.h>
}

#include <cstddef>
#include <cstdint>

namespace troupe {

// The guards read and, in few places, write fields of the public `struct raft`. Its layout is part
// of what was checked; a library with another one must not be used (README.md).
static_assert(sizeof(struct ::raft) == 656 && sizeof(struct ::raft_io) == 408
              && sizeof(struct ::raft_progress) == 56 && sizeof(struct ::raft_log) == 72);
static_assert(offsetof(struct ::raft, log) == 0x40
              && offsetof(struct ::raft, configuration_uncommitted_index) == 0xa0
              && offsetof(struct ::raft, last_stored) == 0xc8
              && offsetof(struct ::raft, follower_state) == 0xd8
              && offsetof(struct ::raft, transfer) == 0x120
              && offsetof(struct ::raft, snapshot) == 0x128);

/// Replication modes of `raft_progress::state`, which raft.h does not name.
enum class progress_state : unsigned short { probe = 0, pipeline = 1, snapshot = 2 };

/// The entry `index` of the library's log in memory, or nullptr if it is not there.
inline const struct ::raft_entry* find_entry(const struct ::raft_log& log, std::uint64_t index) {
  auto count = log.front <= log.back ? log.back - log.front : log.size - log.front + log.back;
  if (index <= log.offset || index > log.offset + count)
    return nullptr;
  return &log.entries[(log.front + (index - log.offset - 1)) % log.size];
}

/// The library's member roles are the numbers of `member_role`.
static_assert(RAFT_STANDBY == static_cast<int>(member_role::learner)
              && RAFT_VOTER == static_cast<int>(member_role::voter)
              && RAFT_SPARE == static_cast<int>(member_role::joining));
/// As are its entry types those of `entry_kind`.
static_assert(RAFT_COMMAND == static_cast<int>(entry_kind::command)
              && RAFT_BARRIER == static_cast<int>(entry_kind::barrier)
              && RAFT_CHANGE == static_cast<int>(entry_kind::configuration));

/// Fills an uninitialized configuration of the library; `raft_configuration_close` frees it.
void to_library(const group_configuration& from, struct ::raft_configuration& to);
group_configuration from_library(const struct ::raft_configuration& from);
/// The library's own coding of a configuration, in memory from `raft_malloc`.
struct ::raft_buffer encode_for_library(const group_configuration& x);
/// Reads that coding; the library has no public decoder. The bytes were written by the library or
/// by `encode_for_library` in this process, never by a peer.
group_configuration decode_from_library(const struct ::raft_buffer& buffer);

} // namespace troupe
