#pragma once

#include "messages/error.hpp"
#include "storage/journal/journal_record.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace troupe {

/// The heads of all replicas after some record of the journal, and the rule which record may come
/// next. Not thread-safe.
class journal_heads {
public:
  /// `removed_ids_max`: of removed replicas remembered one by one; >= 1.
  explicit journal_heads(std::uint32_t removed_ids_max = 1024, segment_state state = {});

  /// @returns errc::already_exists for a creation under an id that lives or ever lived here,
  /// errc::not_found for a replica that does not live here, errc::invalid_argument for a record
  /// that does not continue its log; nothing was changed then.
  expected<void> apply(const journal_record& record);
  /// Applies all or none. They must be of one replica, a removal only at the end.
  expected<void> apply(std::span<const journal_record> records);

  const segment_state& state() const { return state_; }
  const replica_head* find(replica_id replica) const;
  /// Size of the state as a record.
  std::uint64_t state_bytes() const { return state_bytes_; }

private:
  expected<void> apply_to(replica_head& head, const journal_record& record) const;
  expected<void> create(replica_id replica, const replica_created& x);
  expected<void> remove(replica_id replica);
  void bound_removed();

  std::uint32_t removed_ids_max_;
  segment_state state_;
  std::uint64_t state_bytes_ = 0; // counted again when it can have changed
};

/// Which segments hold entries that a replica still needs. Segments are known by incarnation:
/// newer is higher.
class segment_pins {
public:
  /// The record was written to this segment, not older than any before.
  void note(const journal_record& record, std::uint64_t segment);
  /// The oldest segment that one replica needs; 0 if it needs none.
  std::uint64_t oldest(replica_id replica) const;
  /// The oldest that any needs; `otherwise` if none is needed.
  std::uint64_t oldest_of_all(std::uint64_t otherwise) const;

private:
  /// Entries up to this one lie in this segment.
  struct span {
    std::uint64_t last_index = 0;
    std::uint64_t incarnation = 0;
  };
  /// By first index, not overlapping. Ascending in both, but for entries that were written again.
  using replica_spans = std::map<std::uint64_t, span>;
  static void place(replica_spans& spans, std::uint64_t index, std::uint64_t segment);
  static std::uint64_t oldest(const replica_spans& spans, std::uint64_t otherwise);

  std::map<replica_id, replica_spans> replicas_;
};

} // namespace troupe
