#pragma once

#include "messages/bytes.hpp"
#include "storage/meta/in_flight_view.hpp"
#include "storage/meta/partition_entry_format.hpp"

#include <deque>
#include <map>
#include <vector>

namespace troupe {

struct entry_pipeline_options {
  std::uint64_t entry_bytes_max = 128 * 1024; ///< Changes are joined to entries of about this size.
  std::uint64_t batch_bytes_max = 512 * 1024; ///< Of one proposal; an entry more if it is alone.
  std::uint64_t collected_bytes_max = 1024 * 1024; ///< Then `full`.
};

/// The way of a leader's changes into the log: one batch of entries is in flight, everything that
/// is evaluated meanwhile is collected for the next one. Changes are numbered; a number is
/// committed when the batch that holds it is.
///
///     add 1 2 3 ──> collected ──propose──> in flight ──applied, committed──> base
///                   └────────── view(): what the next change is evaluated against ──────────┘
///
/// Changes of one entry are joined: of two puts of one key (the directory of a hundred creates)
/// only the last is logged. An entry always holds whole changes, in order, so that any prefix of
/// the batch is a state that existed. Not thread-safe.
class entry_pipeline_state {
public:
  /// @param base  the applied rows; must live longer.
  entry_pipeline_state(const table_view& base, entry_pipeline_options options)
    : options_(options), view_(base) {}

  /// The state after all changes so far.
  const table_view& view() const { return view_; }
  /// Adds one change. @returns its number; counts from 1.
  std::uint64_t add(const partition_entry& change);
  /// The number of the newest change; 0 if there was none.
  std::uint64_t newest() const { return newest_; }
  /// Everything up to this number is in the log already, or on its way.
  std::uint64_t proposed() const { return proposed_; }
  /// Nothing is collected or in flight.
  bool idle() const { return collected_.empty() && in_flight_.empty(); }
  /// So much is collected that no more should be evaluated.
  bool full() const { return collected_bytes_ >= options_.collected_bytes_max; }

  bool can_propose() const { return !sent_ && !(collected_.empty() && in_flight_.empty()); }
  /// The next batch, encoded. It is in flight until `committed` or `refused`.
  std::vector<shared_bytes> propose();
  /// Consensus did not take the batch: `propose` gives it again.
  void refused();
  bool in_flight() const { return sent_; }

  /// The base has the next entry of the batch in flight.
  void applied();
  /// The batch in flight is committed, all of it applied. @returns the newest number in it.
  std::uint64_t committed();
  /// Forgets everything that is not committed.
  void clear();

private:
  struct entry {
    std::map<std::string, std::optional<std::string>> changes;
    partition_entry adopted; ///< Without changes.
    std::uint64_t bytes = 0; ///< About; never below what the encoding takes.
    std::uint64_t newest = 0;
  };
  struct encoded_entry {
    shared_bytes bytes;
    std::uint64_t newest = 0;
  };
  static encoded_entry encoded(entry x);

  entry_pipeline_options options_;
  in_flight_view view_;
  std::deque<entry> collected_;
  std::uint64_t collected_bytes_ = 0;
  std::vector<encoded_entry> in_flight_;
  std::size_t applied_count_ = 0; ///< Of `in_flight_`.
  bool sent_ = false;
  std::uint64_t newest_ = 0;
  std::uint64_t proposed_ = 0;
};

} // namespace troupe
