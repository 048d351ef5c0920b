#include "storage/meta/operations.hpp"

// Removing directories, inside a partition and in three steps across two, and renaming.

namespace troupe {

expected<meta_result> run(const op_remove_directory& op, evaluation_scope& scope) {
  if (auto ok = check_name(op.name); !ok)
    return ok.error();
  auto entry = scope.entry(op.directory, op.name);
  auto directory = scope.directory(op.directory);
  if (!directory)
    return directory.error();
  if (!entry)
    return entry.error();
  if (entry->kind != file_kind::directory)
    return error{errc::not_directory, object_of(op.directory, op.name)};
  if (!scope.is_local(entry->child)) // the caller takes the three steps
    return error{errc::cross_partition, object_of(op.directory, op.name)};
  scope.rows.prefetch(slot_key(slot_of(entry->child)));
  auto child = scope.inode(entry->child);
  if (!child)
    return error{errc::corrupt,
                 object_of(op.directory, op.name) + ": no inode " + object_of(entry->child)};
  if (child->entry_count > 0)
    return error{errc::not_empty, object_of(op.directory, op.name)};
  scope.rows.erase(entry_key(op.directory, op.name));
  change_entries(scope, *directory, {-1, -1});
  scope.put_inode(op.directory, *directory);
  if (auto ok = erase_inode(scope, entry->child, *child); !ok)
    return ok.error();
  return meta_result{done{}};
}

expected<meta_result> run(const op_mark_removing& op, evaluation_scope& scope) {
  auto row = scope.directory(op.id);
  if (!row)
    return row.error();
  if (op.id == root_lin)
    return error{errc::invalid_argument, "the root directory"};
  if (row->entry_count > 0)
    return error{errc::not_empty, object_of(op.id)};
  if (!row->has(inode_flag::removing)) {
    row->flags |= inode_flag::removing;
    scope.touch(*row);
    scope.put_inode(op.id, *row);
  }
  return meta_result{done{}};
}

expected<meta_result> run(const op_unlink_directory& op, evaluation_scope& scope) {
  if (auto ok = check_name(op.name); !ok)
    return ok.error();
  auto entry = scope.entry(op.directory, op.name);
  auto directory = scope.directory(op.directory);
  if (!directory)
    return directory.error();
  if (!entry)
    return entry.error();
  if (entry->kind != file_kind::directory || entry->child != op.child)
    return error{errc::not_found, object_of(op.directory, op.name) + " names another inode"};
  if (scope.is_local(op.child)) { // else its inode would live on under no name, entries and all
    auto child = scope.find_inode(op.child);
    if (!child)
      return child.error();
    if (*child && !(*child)->has(inode_flag::removing))
      return error{errc::invalid_argument, object_of(op.child) + " is not marked removing"};
  }
  scope.rows.erase(entry_key(op.directory, op.name));
  change_entries(scope, *directory, {-1, -1});
  scope.put_inode(op.directory, *directory);
  return meta_result{done{}};
}

expected<meta_result> run(const op_remove_inode& op, evaluation_scope& scope) {
  auto row = scope.find_inode(op.id);
  if (!row)
    return row.error();
  if (!*row)
    return meta_result{done{}};
  if ((*row)->kind != file_kind::directory)
    return error{errc::not_directory, object_of(op.id)};
  if ((*row)->entry_count > 0)
    return error{errc::not_empty, object_of(op.id)};
  if (!(*row)->has(inode_flag::removing) && !(*row)->has(inode_flag::detached))
    return error{errc::invalid_argument, object_of(op.id) + " is not marked removing"};
  if (auto ok = erase_inode(scope, op.id, **row); !ok)
    return ok.error();
  return meta_result{done{}};
}

namespace {

/// One side of a rename.
struct rename_end {
  lin directory;
  const std::string& name;
  entry_row entry;
};

/// Both directories of a rename, which may be one.
struct rename_directories {
  lin from_id;
  lin to_id;
  inode_row from;
  inode_row to; ///< Unused if they are one.
  bool one() const { return from_id == to_id; }
};

void put_directories(evaluation_scope& scope, rename_directories& d, entry_change from,
                     entry_change to) {
  if (d.one()) {
    change_entries(scope, d.from, {from.entries + to.entries, from.directories + to.directories});
    scope.put_inode(d.from_id, d.from);
    return;
  }
  change_entries(scope, d.from, from);
  change_entries(scope, d.to, to);
  scope.put_inode(d.from_id, d.from);
  scope.put_inode(d.to_id, d.to);
}

/// The renamed inode: new change time, and a file's link from its new place.
expected<void> move_inode(evaluation_scope& scope, const rename_end& from, lin to_directory,
                          const std::string& to_name) {
  auto child = from.entry.child;
  if (!scope.is_local(child)) {
    if (from.entry.kind == file_kind::directory) // same parent: nothing in it changes but times
      return {};
    return cross_partition(from.directory, from.name);
  }
  auto inode = scope.inode(child);
  if (!inode)
    return error{errc::corrupt,
                 object_of(from.directory, from.name) + ": no inode " + object_of(child)};
  scope.touch(*inode);
  scope.put_inode(child, std::move(*inode));
  if (from.entry.kind != file_kind::directory) {
    scope.rows.erase(parent_key(child, from.directory, from.name));
    scope.put_parent(child, to_directory, to_name);
  }
  return {};
}

expected<void> exchange(evaluation_scope& scope, rename_directories& directories,
                        const rename_end& from, const rename_end& to) {
  if (auto ok = move_inode(scope, from, to.directory, to.name); !ok)
    return ok;
  if (auto ok = move_inode(scope, to, from.directory, from.name); !ok)
    return ok;
  auto from_row = from.entry;
  auto to_row = to.entry;
  std::swap(from_row.child, to_row.child);
  std::swap(from_row.kind, to_row.kind);
  scope.put_entry(from.directory, from.name, from_row);
  scope.put_entry(to.directory, to.name, to_row);
  put_directories(scope, directories, {}, {});
  return {};
}

/// Removes what the new name led to; its entry is overwritten by the caller.
expected<void> replace(evaluation_scope& scope, const rename_end& to, bool by_directory, lin held) {
  bool is_directory = to.entry.kind == file_kind::directory;
  if (by_directory && !is_directory)
    return error{errc::not_directory, object_of(to.directory, to.name)};
  if (!by_directory && is_directory)
    return error{errc::is_directory, object_of(to.directory, to.name)};
  if (!scope.is_local(to.entry.child))
    return cross_partition(to.directory, to.name);
  auto child = to.entry.child;
  scope.rows.prefetch(slot_key(slot_of(child)));
  auto inode = scope.inode(child);
  if (!inode)
    return error{errc::corrupt,
                 object_of(to.directory, to.name) + ": no inode " + object_of(child)};
  if (is_directory) {
    if (inode->entry_count > 0)
      return error{errc::not_empty, object_of(to.directory, to.name)};
    return erase_inode(scope, child, *inode);
  }
  scope.rows.erase(parent_key(child, to.directory, to.name));
  return drop_link(scope, child, std::move(*inode), held && held == child);
}

} // namespace

expected<meta_result> run(const op_rename& op, evaluation_scope& scope) {
  if (op.no_replace && op.exchange)
    return error{errc::invalid_argument, "no_replace and exchange exclude each other"};
  if (auto ok = check_name(op.from_name); !ok)
    return ok.error();
  if (auto ok = check_name(op.to_name); !ok)
    return ok.error();
  if (!scope.is_local(op.to_directory))
    return cross_partition(op.to_directory, op.to_name);
  auto from_entry = scope.entry(op.from_directory, op.from_name);
  auto to_entry = scope.find_entry(op.to_directory, op.to_name);
  auto from_directory = scope.directory(op.from_directory);
  auto to_directory = scope.open_directory(op.to_directory);
  if (!from_directory)
    return from_directory.error();
  if (!to_directory)
    return to_directory.error();
  if (!from_entry)
    return from_entry.error();
  if (!to_entry)
    return to_entry.error();
  if (!*to_entry && op.exchange)
    return error{errc::not_found, object_of(op.to_directory, op.to_name)};
  if (*to_entry && op.no_replace)
    return error{errc::already_exists, object_of(op.to_directory, op.to_name)};
  if (*to_entry && (*to_entry)->child == from_entry->child)
    return meta_result{done{}}; // two names of one inode: POSIX wants nothing to happen

  rename_directories directories{op.from_directory, op.to_directory, std::move(*from_directory),
                                 std::move(*to_directory)};
  rename_end from{op.from_directory, op.from_name, *from_entry};
  rename_end to{op.to_directory, op.to_name, (*to_entry).value_or(entry_row{})};
  bool is_directory = from.entry.kind == file_kind::directory;
  bool moves_directory = is_directory || (op.exchange && to.entry.kind == file_kind::directory);
  if (moves_directory && !directories.one())
    return cross_partition(op.from_directory, op.from_name);
  if (op.exchange) {
    if (auto ok = exchange(scope, directories, from, to); !ok)
      return ok.error();
    return meta_result{done{}};
  }

  entry_change gain{1, is_directory ? 1 : 0};
  if (*to_entry) {
    if (auto ok = replace(scope, to, is_directory, op.held); !ok)
      return ok.error();
    gain = {0, 0}; // what was replaced was of the same kind
    auto row = from.entry;
    row.disambiguator = to.entry.disambiguator;
    scope.put_entry(op.to_directory, op.to_name, row);
  } else if (auto ok =
               scope.add_entry(op.to_directory, op.to_name, from.entry.child, from.entry.kind);
             !ok) {
    return ok.error();
  }
  if (auto ok = move_inode(scope, from, op.to_directory, op.to_name); !ok)
    return ok.error();
  scope.rows.erase(entry_key(op.from_directory, op.from_name));
  put_directories(scope, directories, {-1, is_directory ? -1 : 0}, gain);
  return meta_result{done{}};
}

} // namespace troupe
