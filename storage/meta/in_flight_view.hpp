#pragma once

#include "storage/meta/table_view.hpp"

#include <cstdint>
#include <deque>

namespace troupe {

/// The state after entries that a leader proposed and that are not applied yet: it evaluates the
/// next operation against it. Entries come in log order; when leadership is lost, all leave at
/// once. While it lives, nothing but these entries may change the base. Borrows `base`.
class in_flight_view final : public table_view {
public:
  explicit in_flight_view(const table_view& base) : overlay_(base) {}

  row_lookup get(std::string_view key) const override { return overlay_.get(key); }
  range_lookup scan(const table_range& range) const override { return overlay_.scan(range); }

  /// @param index  of the log entry; greater than every one before.
  void add(std::uint64_t index, table_batch batch);
  /// The base has applied everything up to `index`. Amortized O(1) per row.
  void applied(std::uint64_t index);
  /// Forgets all entries: they may never be committed.
  void clear();
  std::size_t entry_count() const { return entries_.size(); }

private:
  struct entry {
    std::uint64_t index = 0;
    table_batch batch;
  };
  overlay_view overlay_;
  std::deque<entry> entries_;    ///< Ascending.
  std::size_t applied_rows_ = 0; ///< In the overlay only; the base has the same.
  std::size_t in_flight_rows_ = 0;
};

} // namespace troupe
