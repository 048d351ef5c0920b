#pragma once

#include "storage/meta/data_format.hpp"
#include "storage/meta/inode_format.hpp"
#include "storage/meta/meta_check.hpp"
#include "storage/meta/meta_keys.hpp"
#include "storage/meta/name_format.hpp"
#include "storage/meta/partition_format.hpp"
#include "storage/meta/session_format.hpp"

#include <map>
#include <utility>

namespace troupe {

/// All rows of a partition, decoded, for meta_check. Internal to it.
struct checked_rows {
  struct named_entry {
    lin directory;
    std::string name;
    std::uint64_t hash = 0;
    entry_row row;
  };
  struct file_extent {
    lin id;
    std::uint64_t end = 0;
    extent_row row;
    std::uint64_t begin() const { return end - row.bytes; }
  };
  struct old_row {
    snapshot_epoch written;
    snapshot_epoch suffix;
  };

  std::map<lin, inode_row> inodes;
  std::map<lin, std::uint64_t> inline_bytes;
  std::vector<file_extent> extents; ///< By file and end.
  std::map<stripe_id, stripe_row> stripes;
  std::vector<named_entry> entries;                               ///< By directory, hash, name.
  std::map<std::tuple<lin, lin, std::string>, bool> parent_links; ///< -> an entry was found
  std::map<std::string, std::vector<old_row>> versions; ///< By live key; ascending suffix.
  std::map<std::string, snapshot_epoch> written;        ///< Of live rows that have versions.
  std::map<stripe_id, std::uint64_t> version_references;
  std::map<slot_id, slot_row> slots;
  std::map<lin, orphan_row> orphans;
  std::map<lin, bool> trims;
  std::map<stripe_id, at_risk_row> at_risk;
  std::map<drive_uuid, drive_frees_row> drive_frees;
  std::map<std::pair<drive_uuid, std::uint64_t>, pending_free_row> pending;
  const slot_set* own = nullptr;

  bool is_local(slot_id slot) const {
    return slot.value < slot_count && (own == nullptr || own->test(slot.value));
  }
  bool is_local(lin id) const { return is_local(slot_of(id)); }
};

/// Decodes every row; what cannot be decoded becomes a finding.
checked_rows load_rows(const table_view& view, const slot_set* slots, check_report& report);

void check_names(checked_rows& rows, check_report& report);
void check_data(const checked_rows& rows, check_report& report);
void check_counts(const checked_rows& rows, check_report& report);

} // namespace troupe
