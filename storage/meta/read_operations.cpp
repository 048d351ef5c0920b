#include "storage/meta/operations.hpp"

#include <algorithm>

// Operations on one inode or on the entries of one directory, and attributes.

namespace troupe {

namespace {

constexpr std::uint32_t mode_mask = 07777;
/// Names of one hash are one group, and a page never ends inside one.
constexpr std::uint32_t group_entries_max = 256;

struct decoded_entry {
  entry_key_parts key;
  entry_row row;
  std::uint64_t cookie() const { return cookie_of(key.hash, row.disambiguator); }
};

expected<std::vector<decoded_entry>> decode_entries(const std::vector<table_row>& rows) {
  std::vector<decoded_entry> out;
  for (const auto& r : rows) {
    auto key = parse_entry_key(r.key);
    auto entry = decode_entry(r.value);
    if (!key)
      return error{errc::corrupt, "entry key " + evaluation_scope::describe_key(r.key)};
    if (!entry)
      return entry.error();
    out.push_back({std::move(*key), *entry});
  }
  return out;
}

/// Entries behind a cookie in cookie order, whole groups; `more` if the directory has others.
struct entry_page {
  std::vector<decoded_entry> entries;
  bool more = false;
};
expected<entry_page> read_entries(evaluation_scope& scope, lin directory, std::uint64_t after,
                                  std::uint32_t count) {
  // The group of the cookie may hold one more entry behind it.
  auto range = entry_keys_from(directory, after >> 8);
  for (auto rows_max = count + 2;; rows_max += group_entries_max) {
    auto page = scope.rows.scan(range.begin, range.end, rows_max);
    if (scope.rows.blocked())
      return entry_page{};
    auto entries = decode_entries(page.rows);
    if (!entries)
      return entries.error();
    if (page.more) { // the last group may be cut
      auto last = entries->back().key.hash;
      while (!entries->empty() && entries->back().key.hash == last)
        entries->pop_back();
    }
    std::erase_if(*entries, [&](const auto& e) { return e.cookie() <= after; });
    if (entries->empty() && page.more && rows_max < count + 4 * group_entries_max)
      continue;
    std::sort(entries->begin(), entries->end(),
              [](const auto& a, const auto& b) { return a.cookie() < b.cookie(); });
    bool more = page.more || entries->size() > count;
    if (entries->size() > count)
      entries->resize(count);
    return entry_page{std::move(*entries), more};
  }
}

} // namespace

expected<meta_result> run(const op_read_directory& op, evaluation_scope& scope) {
  auto directory = scope.directory(op.directory);
  if (!directory)
    return directory.error();
  if (op.entries_max == 0)
    return error{errc::invalid_argument, "a page of 0 entries"};
  auto count = std::min(op.entries_max, scope.context.limits.page_entries_max);
  auto found = read_entries(scope, op.directory, op.after_cookie, count);
  if (!found)
    return found.error();
  if (op.with_attributes)
    for (const auto& e : found->entries)
      if (scope.is_local(e.row.child))
        scope.rows.prefetch(inode_key(e.row.child));
  directory_page page;
  page.end = !found->more;
  for (auto& e : found->entries) {
    directory_entry entry{std::move(e.key.name), e.row.child, e.row.kind, e.cookie(), {}};
    if (op.with_attributes && scope.is_local(e.row.child)) {
      auto inode = scope.find_inode(e.row.child);
      if (!inode)
        return inode.error();
      if (*inode) // else fsck names it; listing the directory must still work
        entry.attributes = attributes_of(e.row.child, **inode);
    }
    page.entries.push_back(std::move(entry));
  }
  return meta_result{std::move(page)};
}

expected<meta_result> run(const op_get_attributes& op, evaluation_scope& scope) {
  auto row = scope.inode(op.id);
  if (!row)
    return row.error();
  return meta_result{attributes_are{attributes_of(op.id, *row)}};
}

expected<meta_result> run(const op_set_attributes& op, evaluation_scope& scope) {
  auto row = scope.inode(op.id);
  if (!row)
    return row.error();
  if (op.mode)
    row->mode = static_cast<std::uint16_t>(*op.mode & mode_mask);
  if (op.uid)
    row->uid = *op.uid;
  if (op.gid)
    row->gid = *op.gid;
  if (op.access_time)
    row->access_time = *op.access_time;
  if (op.modify_time)
    row->modify_time = *op.modify_time;
  scope.touch(*row);
  scope.put_inode(op.id, *row);
  return meta_result{attributes_are{attributes_of(op.id, *row)}};
}

expected<meta_result> run(const op_read_symlink& op, evaluation_scope& scope) {
  scope.rows.prefetch(inline_key(op.id));
  auto row = scope.inode(op.id);
  if (!row)
    return row.error();
  if (row->kind != file_kind::symlink)
    return error{errc::invalid_argument, object_of(op.id) + " is no symlink"};
  auto target = scope.find(inline_key(op.id), decode_inline);
  if (!target)
    return target.error();
  if (!*target)
    return error{errc::corrupt, object_of(op.id) + " has no target"};
  return meta_result{symlink_target_is{std::move((*target)->bytes)}};
}

} // namespace troupe
