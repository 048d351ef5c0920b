#pragma once

#include "messages/error.hpp"
#include "storage/meta/inode_format.hpp"
#include "storage/meta/table_view.hpp"

#include <span>

namespace troupe {

/// Which epoch a transaction writes in, and which old values it must keep.
struct version_rule {
  snapshot_epoch current;                    ///< New rows are written in this epoch.
  snapshot_epoch extent_cut;                 ///< Snapshots from here on want no old extents,
  snapshot_epoch row_cut;                    ///< nor other old rows. Normally both `current`.
  std::span<const snapshot_epoch> snapshots; ///< Living and governing, ascending; borrowed.
  snapshot_epoch read_at;                    ///< Read as of this epoch; 0: the live rows.
};

/// Collects the rows that one entry will put and delete, over a view. Reads see what was written
/// here before. A row that the view does not hold is noted as a need; the transaction is then void
/// whatever it went on to do, and is made again when the rows arrived. Borrows the view.
class row_transaction {
public:
  row_transaction(const table_view& view, const version_rule& rule) : view_(view), rule_(rule) {}

  /// The row's value, or nothing if it is absent, deleted here, or needed (see `blocked`).
  std::optional<std::string> get(std::string_view key);
  /// Says that the row will be read, so that all needs of an operation are found at once.
  void prefetch(std::string_view key) { (void)get(key); }
  /// The same of a range that will be scanned.
  void prefetch_range(const std::string& begin, const std::string& end, std::uint32_t rows_max) {
    if (!rule_.read_at)
      (void)scan(begin, end, rows_max);
  }
  /// The first `rows_max` rows of [begin, end); `more` if that left rows out.
  struct page {
    std::vector<table_row> rows;
    bool more = false;
  };
  page scan(std::string begin, std::string end, std::uint32_t rows_max);

  void put(std::string key, std::string value);
  void erase(std::string_view key);
  /// True if the stored row lives on as a version when it is changed here.
  bool keeps_version(std::string_view key);

  /// True if a row was asked for that the view does not hold: stop soon, all is void.
  bool blocked() const { return !needs_.empty(); }
  row_needs take_needs() { return std::move(needs_); }
  /// The puts and deletes, versions included, in key order; only what really changes.
  table_batch take_batch();
  snapshot_epoch current() const { return rule_.current; }

private:
  /// Under which suffix the stored value lives on when it is changed; 0 if it does not.
  snapshot_epoch suffix_of(std::string_view key, std::string_view old) const;
  const std::optional<std::string>& stored(std::string_view key);

  const table_view& view_;
  version_rule rule_;
  row_needs needs_;
  std::map<std::string, std::optional<std::string>, std::less<>> stored_;  ///< As the view has it.
  std::map<std::string, std::optional<std::string>, std::less<>> changed_; ///< As it will be.
};

} // namespace troupe
