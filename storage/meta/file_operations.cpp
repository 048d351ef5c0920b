#include "storage/meta/operations.hpp"

// Operations on names of files, and on the names of directories in their parent's partition.

namespace troupe {

namespace {

constexpr std::uint32_t mode_mask = 07777;
constexpr std::uint32_t set_gid_bit = 02000;

expected<void> check_new_inode(const new_inode& x, const meta_limits& limits) {
  if (x.kind == file_kind::none || file_kind::block_device < x.kind)
    return error{errc::invalid_argument, "file kind"};
  if (x.kind != file_kind::symlink)
    return x.symlink_target.empty() ? expected<void>{}
                                    : error{errc::invalid_argument, "target of a non-symlink"};
  if (x.symlink_target.empty())
    return error{errc::not_found, "empty symlink target"};
  if (x.symlink_target.size() > limits.symlink_bytes_max)
    return error{errc::name_too_long,
                 "symlink target of " + std::to_string(x.symlink_target.size()) + " bytes",
                 trp::name_too_long};
  if (x.symlink_target.find('\0') != std::string::npos)
    return error{errc::invalid_argument, "symlink target with NUL"};
  return {};
}

/// Gives out the next LIN of a slot and counts the inode in.
expected<lin> take_lin(evaluation_scope& scope, slot_id slot, file_kind kind) {
  auto row = scope.slot(slot);
  if (!row)
    return row.error();
  if (row->next_lin_sequence > sequence_max)
    return error{errc::no_space, "LINs of slot " + std::to_string(slot.value)};
  lin id{std::uint64_t{slot.value} << 48 | row->next_lin_sequence++};
  ++row->inode_count;
  if (kind == file_kind::directory)
    ++row->directory_count;
  scope.put_slot(slot, *row);
  return id;
}

/// Writes the inode (and the target of a symlink).
inode_row put_new_inode(evaluation_scope& scope, lin id, const new_inode& x, lin parent,
                        std::uint8_t flags) {
  inode_row row;
  row.kind = x.kind;
  row.flags = flags;
  row.mode = static_cast<std::uint16_t>(x.mode & mode_mask);
  row.uid = x.uid;
  row.gid = x.gid;
  row.link_count = x.kind == file_kind::directory ? 2 : 1;
  row.size = x.symlink_target.size();
  if (x.kind == file_kind::char_device || x.kind == file_kind::block_device)
    row.device = x.device;
  row.access_time = row.modify_time = row.change_time = row.birth_time = scope.context.now;
  row.change_count = 1;
  if (x.kind == file_kind::directory)
    row.parent = parent;
  scope.put_inode(id, row);
  if (x.kind == file_kind::symlink)
    scope.put_inline(id, x.symlink_target);
  return row;
}

} // namespace

void change_entries(evaluation_scope& scope, inode_row& directory, entry_change change) {
  scope.touch_content(directory);
  directory.entry_count += static_cast<std::uint64_t>(std::int64_t{change.entries});
  directory.link_count += static_cast<std::uint32_t>(change.directories);
  if (change.entries > 0) // somebody reached it, so some entry names it
    directory.flags = static_cast<std::uint8_t>(directory.flags & ~inode_flag::detached);
}

expected<void> erase_inode(evaluation_scope& scope, lin id, const inode_row& row) {
  scope.rows.erase(inode_key(id));
  if (row.kind == file_kind::regular || row.kind == file_kind::symlink)
    scope.rows.erase(inline_key(id));
  auto slot = scope.slot(slot_of(id));
  if (!slot)
    return slot.error();
  if (slot->inode_count > 0)
    --slot->inode_count;
  if (row.kind == file_kind::directory && slot->directory_count > 0)
    --slot->directory_count;
  scope.put_slot(slot_of(id), *slot);
  return {};
}

expected<void> drop_link(evaluation_scope& scope, lin id, inode_row row, bool held) {
  scope.touch(row);
  if (row.link_count > 0)
    --row.link_count;
  if (row.link_count > 0) {
    scope.put_inode(id, std::move(row));
    return {};
  }
  if (row.physical_blocks == 0 && !held)
    return erase_inode(scope, id, row);
  orphan_row orphan;
  if (held) {
    orphan.holder = scope.context.client;
    orphan.holder_incarnation = scope.context.client_incarnation;
  }
  orphan.cut = scope.rows.current();
  orphan.since = scope.context.now;
  scope.rows.put(orphan_key(id), encode(orphan));
  scope.put_inode(id, std::move(row));
  return {};
}

error cross_partition(lin directory, std::string_view name) {
  return {errc::cross_partition, object_of(directory, name), trp::cross_partition_rename};
}

expected<meta_result> run(const op_lookup& op, evaluation_scope& scope) {
  scope.rows.prefetch(inode_key(op.directory));
  if (auto ok = check_name(op.name); !ok)
    return ok.error();
  auto entry = scope.entry(op.directory, op.name);
  auto directory = scope.directory(op.directory);
  if (!directory)
    return directory.error();
  if (!entry)
    return entry.error();
  entry_found found{entry->child, entry->kind, {}, {}};
  if (scope.is_local(entry->child)) {
    auto child = scope.inode(entry->child);
    if (!child)
      return error{errc::corrupt,
                   object_of(op.directory, op.name) + ": no inode " + object_of(entry->child)};
    found.attributes = attributes_of(entry->child, *child);
  }
  return meta_result{std::move(found)};
}

expected<meta_result> run(const op_create& op, evaluation_scope& scope) {
  scope.rows.prefetch(slot_key(slot_of(op.directory)));
  auto name = check_name(op.name);
  if (!name)
    return name.error();
  if (auto ok = check_new_inode(op.inode, scope.context.limits); !ok)
    return ok.error();
  auto there = scope.find_entry(op.directory, op.name);
  auto directory = scope.open_directory(op.directory);
  if (!directory)
    return directory.error();
  if (!there)
    return there.error();
  if (*there)
    return error{errc::already_exists, object_of(op.directory, op.name)};
  bool is_directory = op.inode.kind == file_kind::directory;
  if (is_directory && directory->link_count >= scope.context.limits.links_max)
    return error{errc::too_many_links, object_of(op.directory)};

  auto inode = op.inode;
  if ((directory->mode & set_gid_bit) != 0) { // as every Unix file system does
    inode.gid = directory->gid;
    if (is_directory)
      inode.mode |= set_gid_bit;
  }
  auto id = take_lin(scope, slot_of(op.directory), inode.kind);
  if (!id)
    return id.error();
  if (auto ok = scope.add_entry(op.directory, op.name, *id, inode.kind); !ok)
    return ok.error();
  if (!is_directory)
    scope.put_parent(*id, op.directory, op.name);
  auto row = put_new_inode(scope, *id, inode, op.directory, 0);
  change_entries(scope, *directory, {1, is_directory ? 1 : 0});
  scope.put_inode(op.directory, *directory);
  return meta_result{entry_found{*id, inode.kind, attributes_of(*id, row), {}}};
}

expected<meta_result> run(const op_create_detached_directory& op, evaluation_scope& scope) {
  if (op.inode.kind != file_kind::directory || !op.parent)
    return error{errc::invalid_argument, "detached directory"};
  if (auto ok = check_new_inode(op.inode, scope.context.limits); !ok)
    return ok.error();
  auto id = take_lin(scope, op.slot, file_kind::directory);
  if (!id)
    return id.error();
  auto row = put_new_inode(scope, *id, op.inode, op.parent, inode_flag::detached);
  return meta_result{entry_found{*id, file_kind::directory, attributes_of(*id, row), {}}};
}

expected<meta_result> run(const op_link_directory& op, evaluation_scope& scope) {
  if (auto ok = check_name(op.name); !ok)
    return ok.error();
  if (!op.child)
    return error{errc::invalid_argument, "no child"};
  auto there = scope.find_entry(op.directory, op.name);
  auto directory = scope.open_directory(op.directory);
  if (!directory)
    return directory.error();
  if (!there)
    return there.error();
  if (*there)
    return error{errc::already_exists, object_of(op.directory, op.name)};
  if (directory->link_count >= scope.context.limits.links_max)
    return error{errc::too_many_links, object_of(op.directory)};
  entry_found found{op.child, file_kind::directory, {}, {}};
  if (scope.is_local(op.child)) {
    auto child = scope.open_directory(op.child);
    if (!child)
      return child.error();
    if (!child->has(inode_flag::detached) || child->parent != op.directory)
      return error{errc::invalid_argument, object_of(op.child) + " has a place"};
    child->flags = static_cast<std::uint8_t>(child->flags & ~inode_flag::detached);
    scope.put_inode(op.child, *child);
    found.attributes = attributes_of(op.child, *child);
  }
  if (auto ok = scope.add_entry(op.directory, op.name, op.child, file_kind::directory); !ok)
    return ok.error();
  change_entries(scope, *directory, {1, 1});
  scope.put_inode(op.directory, *directory);
  return meta_result{std::move(found)};
}

expected<meta_result> run(const op_link& op, evaluation_scope& scope) {
  if (auto ok = check_name(op.name); !ok)
    return ok.error();
  if (!scope.is_local(op.target))
    return cross_partition(op.directory, op.name);
  scope.rows.prefetch(inode_key(op.target));
  auto there = scope.find_entry(op.directory, op.name);
  auto directory = scope.open_directory(op.directory);
  auto target = scope.inode(op.target);
  if (!directory)
    return directory.error();
  if (!there)
    return there.error();
  if (!target)
    return target.error();
  if (*there)
    return error{errc::already_exists, object_of(op.directory, op.name)};
  if (target->kind == file_kind::directory)
    return error{errc::permission_denied, object_of(op.target) + " is a directory"};
  if (target->link_count == 0)
    return error{errc::not_found, object_of(op.target) + " is unlinked"};
  if (target->link_count >= scope.context.limits.links_max)
    return error{errc::too_many_links, object_of(op.target)};
  if (auto ok = scope.add_entry(op.directory, op.name, op.target, target->kind); !ok)
    return ok.error();
  scope.put_parent(op.target, op.directory, op.name);
  ++target->link_count;
  scope.touch(*target);
  scope.put_inode(op.target, *target);
  change_entries(scope, *directory, {1, 0});
  scope.put_inode(op.directory, *directory);
  return meta_result{entry_found{op.target, target->kind, attributes_of(op.target, *target), {}}};
}

expected<meta_result> run(const op_unlink& op, evaluation_scope& scope) {
  if (auto ok = check_name(op.name); !ok)
    return ok.error();
  auto entry = scope.entry(op.directory, op.name);
  auto directory = scope.directory(op.directory);
  if (!directory)
    return directory.error();
  if (!entry)
    return entry.error();
  if (entry->kind == file_kind::directory)
    return error{errc::is_directory, object_of(op.directory, op.name)};
  if (!scope.is_local(entry->child))
    return cross_partition(op.directory, op.name);
  scope.rows.prefetch(slot_key(slot_of(entry->child)));
  scope.rows.prefetch(inline_key(entry->child));
  auto child = scope.inode(entry->child);
  scope.rows.erase(parent_key(entry->child, op.directory, op.name));
  if (!child)
    return error{errc::corrupt,
                 object_of(op.directory, op.name) + ": no inode " + object_of(entry->child)};
  scope.rows.erase(entry_key(op.directory, op.name));
  change_entries(scope, *directory, {-1, 0});
  scope.put_inode(op.directory, *directory);
  bool held = op.held && op.held == entry->child;
  if (auto ok = drop_link(scope, entry->child, std::move(*child), held); !ok)
    return ok.error();
  return meta_result{done{}};
}

expected<meta_result> run(const op_release_orphan& op, evaluation_scope& scope) {
  scope.rows.prefetch(inode_key(op.id));
  auto orphan = scope.find(orphan_key(op.id), decode_orphan);
  if (!orphan)
    return orphan.error();
  if (!*orphan || !(*orphan)->holder) // gone, or the cleaner's already
    return meta_result{done{}};
  if ((*orphan)->holder != scope.context.client
      || (*orphan)->holder_incarnation != scope.context.client_incarnation)
    return error{errc::permission_denied, object_of(op.id) + " is held by another client"};
  auto inode = scope.inode(op.id);
  if (!inode)
    return error{errc::corrupt, "orphan " + object_of(op.id) + " without inode"};
  if (inode->physical_blocks == 0) {
    scope.rows.erase(orphan_key(op.id));
    if (auto ok = erase_inode(scope, op.id, *inode); !ok)
      return ok.error();
    return meta_result{done{}};
  }
  (*orphan)->holder = {};
  (*orphan)->holder_incarnation = {};
  scope.rows.put(orphan_key(op.id), encode(**orphan));
  return meta_result{done{}};
}

} // namespace troupe
