#pragma once

#include "storage/meta/data_format.hpp"
#include "storage/meta/evaluate.hpp"
#include "storage/meta/meta_keys.hpp"
#include "storage/meta/name_format.hpp"
#include "storage/meta/partition_format.hpp"
#include "storage/meta/row_transaction.hpp"
#include "storage/meta/session_format.hpp"

namespace troupe {

/// What the operations of this folder work with: typed rows over one transaction. Internal to
/// storage/meta. A row that is needed reads as absent and makes `rows.blocked()` true; whoever
/// began the evaluation looks at that first, so operations may go on or give up as they like.
class evaluation_scope {
public:
  evaluation_scope(const evaluation_context& c, const table_view& view)
    : evaluation_scope(c, view, c.epoch, c.epoch) {}
  /// The cuts are those of version_rule.
  evaluation_scope(const evaluation_context& c, const table_view& view, snapshot_epoch extent_cut,
                   snapshot_epoch row_cut)
    : context(c), rows(view, {c.epoch, extent_cut, row_cut, c.snapshots, c.read_epoch}) {}

  const evaluation_context& context;
  row_transaction rows;

  /// The row under `key`, or nothing if there is none. Fails only if it cannot be decoded.
  template <class Row>
  expected<std::optional<Row>> find(std::string_view key,
                                    expected<Row> (*decode)(std::string_view)) {
    auto value = rows.get(key);
    if (!value)
      return std::optional<Row>{};
    auto row = decode(*value);
    if (!row)
      return error{row.error().code, row.error().context + " " + describe_key(key)};
    return std::optional<Row>{std::move(*row)};
  }
  expected<std::optional<inode_row>> find_inode(lin id);
  expected<std::optional<entry_row>> find_entry(lin directory, std::string_view name);
  /// The row of a slot as it is, or as a fresh slot has it.
  expected<slot_row> slot(slot_id slot);

  /// errc::stale_handle if there is no such inode.
  expected<inode_row> inode(lin id);
  /// errc::not_directory if it is none.
  expected<inode_row> directory(lin id);
  /// A directory that takes changes of its entries: errc::not_found if it is being removed.
  expected<inode_row> open_directory(lin id);
  /// errc::not_found if the directory has no such entry.
  expected<entry_row> entry(lin directory, std::string_view name);

  void put_inode(lin id, inode_row row);
  void put_slot(slot_id slot, const slot_row& row);
  void put_inline(lin id, std::string bytes);
  void put_parent(lin child, lin directory, std::string_view name);
  /// Puts an entry under a name that is free, with a cookie that no other entry has.
  /// errc::no_space if 256 names of one hash exist.
  expected<void> add_entry(lin directory, std::string_view name, lin child, file_kind kind);
  /// Changes where an existing entry leads; its cookie stays.
  void put_entry(lin directory, std::string_view name, entry_row row);

  /// True if the slot belongs to this partition.
  bool is_local(slot_id slot) const;
  bool is_local(lin id) const { return is_local(slot_of(id)); }

  /// The inode changed: its change time and count.
  void touch(inode_row& row) const;
  /// The entries of a directory or the data of a file changed.
  void touch_content(inode_row& row) const;

  static std::string describe_key(std::string_view key);
};

/// "0:0000:0001" or "0:0000:0001 name": the object of an error.
std::string object_of(lin id);
std::string object_of(lin directory, std::string_view name);

/// A name that an entry may have: 1 to 255 bytes, no '/', no NUL, neither "." nor "..".
/// errc::name_too_long or errc::invalid_argument.
expected<void> check_name(std::string_view name);

} // namespace troupe
