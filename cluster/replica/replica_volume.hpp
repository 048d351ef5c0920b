#pragma once

#include "storage/consensus/durable_state.hpp"
#include "storage/journal/journal_state.hpp"
#include "storage/meta/table_store.hpp"

#include <functional>
#include <vector>

namespace troupe {

/// What a replica uses of the drive that it lives on: the journal for its log, the tables for its
/// state. `metadata_volume` is the real one. Callbacks of a volume that was destroyed are dropped.
class replica_volume {
public:
  using stored = std::function<void(expected<void>)>;

  virtual ~replica_volume() = default;
  /// Appends records of one replica and calls `done` when they are durable, or with the error
  /// after which the journal is dead. Refusals come back at once through `done`.
  virtual void append(replica_id replica, const std::vector<log_record>& records, stored done) = 0;
  /// True if entries of so many bytes would be taken now.
  virtual bool admits(std::uint64_t bytes) const = 0;
  /// Replicas whose checkpoint holds back the journal.
  virtual std::vector<journal_laggard> laggards() const = 0;
  /// The tables of all replicas on this drive. After any call, call `pump`.
  virtual table_store& tables() = 0;
  /// Starts what became ready.
  virtual void pump() = 0;
  /// The tables have used up their room: what would add to them is refused (hazards F31). Of the
  /// leader's own drive; the part of the room that is kept back is for the followers' sake, too.
  virtual bool metadata_full() const { return false; }
  /// The first error of journal or tables: the drive has failed, and nothing on it goes on.
  virtual const expected<void>& health() const = 0;
};

} // namespace troupe
