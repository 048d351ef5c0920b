#pragma once

#include "storage/meta/evaluate.hpp"

// What is left to do after an entry that only said "gone": big truncates and unlinks (hazards
// F32), and frees that drives must still carry out (F30). The leader does it in the background,
// one bounded entry after the other; every step can be repeated and belongs to no client. Of the
// context only `now`, `epoch`, `snapshots`, `slots` and `limits` matter.

namespace troupe {

/// A file with something to clean.
struct clean_item {
  lin id;
  bool orphan = false; ///< The whole file; else its trimmed range.
  bool operator==(const clean_item&) const = default;
};
struct clean_page {
  std::vector<clean_item> items;
  std::string next; ///< Where to go on; empty at the end.
};
/// Files that can be cleaned now: orphans that no living client holds, and trimmed ranges.
/// @param from      empty, or `next` of the page before.
/// @param rows_max  how many candidates to look at.
std::variant<expected<clean_page>, row_needs> list_clean_work(const evaluation_context& context,
                                                              const table_view& view,
                                                              const std::string& from,
                                                              std::uint32_t rows_max);

/// Cleans at most `limits.clean_extents_max` extents of a file, in one entry. An empty batch means
/// that there is nothing (more) to do for it; else call again.
evaluation_result clean_step(const clean_item& item, const evaluation_context& context,
                             const table_view& view);

/// Runs to free on one drive, as committed together; `key` acknowledges them.
struct pending_free {
  std::string key;
  std::vector<run_ref> runs;
};
/// The oldest pending frees of a drive, at most `batches_max`. Freeing twice is harmless: a run is
/// freed by its birth.
std::variant<expected<std::vector<pending_free>>, row_needs>
list_frees(const table_view& view, const drive_uuid& drive, std::uint32_t batches_max);

/// A drive that frees wait for, or waited for once.
struct drive_frees {
  drive_uuid drive;
  std::uint64_t pending_runs = 0;
  bool needs_collect = false;
};
std::variant<expected<std::vector<drive_frees>>, row_needs> list_drives(const table_view& view);

/// The drive has freed these durably: they need not be kept.
evaluation_result frees_done(const std::vector<std::string>& keys,
                             const evaluation_context& context, const table_view& view);
/// The drive is gone for good: drops at most `batches_max` of its pending frees. An empty batch
/// means that none is left.
evaluation_result drop_frees(const drive_uuid& drive, std::uint32_t batches_max,
                             const evaluation_context& context, const table_view& view);

} // namespace troupe
