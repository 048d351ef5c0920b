#include "storage/meta/evaluation_scope.hpp"

#include <algorithm>
#include <array>

namespace troupe {

namespace {
constexpr std::uint32_t entries_of_hash_max = 256; ///< As many as there are disambiguators.
}

std::string object_of(lin id) {
  return to_string(id);
}
std::string object_of(lin directory, std::string_view name) {
  return to_string(directory) + " " + std::string{name};
}

expected<void> check_name(std::string_view name) {
  if (name.size() > name_bytes_max)
    return error{errc::name_too_long, std::to_string(name.size()) + " bytes", trp::name_too_long};
  if (name.empty())
    return error{errc::invalid_argument, "empty name"};
  if (name == "." || name == "..")
    return error{errc::invalid_argument, "name " + std::string{name}};
  if (name.find('/') != std::string_view::npos || name.find('\0') != std::string_view::npos)
    return error{errc::invalid_argument, "name with '/' or NUL"};
  return {};
}

std::string evaluation_scope::describe_key(std::string_view key) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (char c : key.substr(0, 40)) {
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

expected<std::optional<inode_row>> evaluation_scope::find_inode(lin id) {
  return find(inode_key(id), decode_inode);
}
expected<std::optional<entry_row>> evaluation_scope::find_entry(lin directory,
                                                                std::string_view name) {
  auto row = find(entry_key(directory, name), decode_entry);
  if (rows.blocked()) { // whoever finds nothing makes it next, and then needs its neighbours
    auto group = entry_keys(directory, name_hash(name));
    rows.prefetch_range(group.begin, group.end, entries_of_hash_max);
  }
  return row;
}
expected<slot_row> evaluation_scope::slot(slot_id slot) {
  auto row = find(slot_key(slot), decode_slot);
  if (!row)
    return row.error();
  return row->value_or(slot_row{});
}

expected<inode_row> evaluation_scope::inode(lin id) {
  auto row = find_inode(id);
  if (!row)
    return row.error();
  if (!*row)
    return error{errc::stale_handle, object_of(id)};
  return std::move(**row);
}

expected<inode_row> evaluation_scope::directory(lin id) {
  auto row = inode(id);
  if (row && row->kind != file_kind::directory)
    return error{errc::not_directory, object_of(id)};
  return row;
}

expected<inode_row> evaluation_scope::open_directory(lin id) {
  auto row = directory(id);
  if (row && row->has(inode_flag::removing))
    return error{errc::not_found, object_of(id) + " is being removed"};
  return row;
}

expected<entry_row> evaluation_scope::entry(lin directory, std::string_view name) {
  auto row = find_entry(directory, name);
  if (!row)
    return row.error();
  if (!*row)
    return error{errc::not_found, object_of(directory, name)};
  return **row;
}

void evaluation_scope::put_inode(lin id, inode_row row) {
  row.written = rows.current();
  rows.put(inode_key(id), encode(row));
}
void evaluation_scope::put_slot(slot_id slot, const slot_row& row) {
  rows.put(slot_key(slot), encode(row));
}
void evaluation_scope::put_inline(lin id, std::string bytes) {
  rows.put(inline_key(id), encode(inline_row{rows.current(), std::move(bytes)}));
}
void evaluation_scope::put_parent(lin child, lin directory, std::string_view name) {
  rows.put(parent_key(child, directory, name), encode(parent_row{rows.current()}));
}
void evaluation_scope::put_entry(lin directory, std::string_view name, entry_row row) {
  row.written = rows.current();
  rows.put(entry_key(directory, name), encode(row));
}

expected<void> evaluation_scope::add_entry(lin directory, std::string_view name, lin child,
                                           file_kind kind) {
  auto group = entry_keys(directory, name_hash(name));
  auto page = rows.scan(group.begin, group.end, entries_of_hash_max);
  std::array<bool, entries_of_hash_max> used{};
  for (const auto& row : page.rows) {
    auto other = decode_entry(row.value);
    if (!other)
      return other.error();
    used[other->disambiguator] = true;
  }
  auto free = std::find(used.begin(), used.end(), false);
  if (page.more || free == used.end())
    return error{errc::no_space, object_of(directory, name) + ": 256 names of one hash"};
  put_entry(directory, name, {{}, child, kind, static_cast<std::uint8_t>(free - used.begin())});
  return {};
}

bool evaluation_scope::is_local(slot_id slot) const {
  return slot.value < slot_count && (context.slots == nullptr || context.slots->test(slot.value));
}

void evaluation_scope::touch(inode_row& row) const {
  row.change_time = std::max(row.change_time, context.now);
  ++row.change_count;
}

void evaluation_scope::touch_content(inode_row& row) const {
  touch(row);
  row.modify_time = row.change_time;
}

} // namespace troupe
