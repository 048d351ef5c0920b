#pragma once

#include "messages/ids.hpp"
#include "storage/meta/meta_keys.hpp"
#include "storage/meta/table_view.hpp"

#include <span>

// Old values for snapshots (design 4 "Versions", hazards F12). A version says: from its written
// epoch to its suffix, the row had this value. Snapshot S closes epoch S: it shows what was
// written in epochs <= S.
//
//   written 2          written 6              written 8
//   ----|=================|======================|=======>   one key
//       version, suffix 4   version, suffix 7      live row
//
// Reading at 5: the smallest suffix >= 5 is 7, written 6 > 5, so the key did not exist in 5
// as far as any snapshot needs to know (snapshot 4 governs the first version, none is at 5).

namespace troupe {

/// Under which suffix a row written in `written` lives on when it is changed in `current`: the
/// newest governing snapshot in [written, current); epoch 0 if there is none, then it is not kept.
/// @param snapshots  living snapshots that govern the row, ascending.
snapshot_epoch kept_suffix(snapshot_epoch written, snapshot_epoch current,
                           std::span<const snapshot_epoch> snapshots);

/// A row of a versioned table as it was at the end of epoch `at`.
/// @param need  if the answer is "unknown", what to load is appended here.
row_lookup read_at(const table_view& view, std::string_view live_key, snapshot_epoch at,
                   row_needs& need);

/// The first rows of a range of live keys (one versioned table, one slot) as they were at the end
/// of epoch `at`, ascending; `reverse` is not supported. As table_view::scan: `missing` says what
/// to load, `more` that `rows_max` was reached. The end of the range must not be a key with bytes
/// appended; the beginning may be.
range_lookup scan_at(const table_view& view, const table_range& range, snapshot_epoch at);

} // namespace troupe
