#include "storage/meta/meta_check.hpp"

#include "storage/meta/checked_rows.hpp"
#include "storage/meta/evaluation_scope.hpp"

#include <algorithm>
#include <set>

namespace troupe {

const char* to_string(finding_kind kind) {
  switch (kind) {
  case finding_kind::damaged_row: return "damaged_row";
  case finding_kind::foreign_slot: return "foreign_slot";
  case finding_kind::dangling_entry: return "dangling_entry";
  case finding_kind::entry_without_directory: return "entry_without_directory";
  case finding_kind::wrong_entry: return "wrong_entry";
  case finding_kind::duplicate_cookie: return "duplicate_cookie";
  case finding_kind::directory_linked_twice: return "directory_linked_twice";
  case finding_kind::wrong_parent: return "wrong_parent";
  case finding_kind::wrong_parent_link: return "wrong_parent_link";
  case finding_kind::wrong_link_count: return "wrong_link_count";
  case finding_kind::wrong_entry_count: return "wrong_entry_count";
  case finding_kind::lost_inode: return "lost_inode";
  case finding_kind::detached_directory: return "detached_directory";
  case finding_kind::unfinished_removal: return "unfinished_removal";
  case finding_kind::stray_orphan: return "stray_orphan";
  case finding_kind::stray_trim: return "stray_trim";
  case finding_kind::wrong_inline_data: return "wrong_inline_data";
  case finding_kind::wrong_extent: return "wrong_extent";
  case finding_kind::overlapping_extents: return "overlapping_extents";
  case finding_kind::wrong_references: return "wrong_references";
  case finding_kind::wrong_stripe: return "wrong_stripe";
  case finding_kind::shared_run: return "shared_run";
  case finding_kind::wrong_physical_blocks: return "wrong_physical_blocks";
  case finding_kind::wrong_slot_counts: return "wrong_slot_counts";
  case finding_kind::sequence_reused: return "sequence_reused";
  case finding_kind::wrong_pending_frees: return "wrong_pending_frees";
  case finding_kind::wrong_version: return "wrong_version";
  case finding_kind::wrong_session: return "wrong_session";
  }
  return "unknown";
}

bool is_leak(finding_kind kind) {
  switch (kind) {
  case finding_kind::lost_inode:
  case finding_kind::detached_directory:
  case finding_kind::unfinished_removal:
  case finding_kind::stray_orphan: return true;
  default: return false;
  }
}

namespace {

/// What a directory that no entry names is.
finding_kind kind_of_unnamed(std::uint8_t flags) {
  if ((flags & inode_flag::removing) != 0)
    return finding_kind::unfinished_removal;
  if ((flags & inode_flag::detached) != 0)
    return finding_kind::detached_directory;
  return finding_kind::lost_inode;
}

/// How often entries of this partition name an inode, and how many entries a directory has.
struct name_counts {
  std::map<lin, std::uint64_t> links;
  std::map<lin, std::uint64_t> entries;
  std::map<lin, std::uint64_t> subdirectories;
};

class name_checker {
public:
  name_checker(checked_rows& rows, check_report& report) : rows_(rows), report_(report) {}

  void run() {
    for (const auto& e : rows_.entries)
      check_entry(e);
    check_cookies();
    for (const auto& [key, found] : rows_.parent_links)
      if (!found)
        add(finding_kind::wrong_parent_link, std::get<0>(key),
            object_of(std::get<1>(key), std::get<2>(key)), "link without entry");
    for (const auto& [id, inode] : rows_.inodes) {
      if (inode.kind == file_kind::directory)
        check_directory(id, inode);
      else
        check_file(id, inode);
    }
    for (const auto& [id, orphan] : rows_.orphans) {
      auto it = rows_.inodes.find(id);
      if (it == rows_.inodes.end() || it->second.link_count != 0)
        add(finding_kind::stray_orphan, id, object_of(id), "no unlinked inode");
    }
  }

private:
  void add(finding_kind kind, lin id, std::string object, std::string detail) {
    report_.findings.push_back({kind, id, std::move(object), std::move(detail)});
  }

  void check_entry(const checked_rows::named_entry& e) {
    auto object = object_of(e.directory, e.name);
    auto directory = rows_.inodes.find(e.directory);
    if (directory == rows_.inodes.end() || directory->second.kind != file_kind::directory)
      add(finding_kind::entry_without_directory, e.directory, object, "");
    if (e.hash != name_hash(e.name) || !check_name(e.name))
      add(finding_kind::wrong_entry, e.row.child, object, "name or hash");
    ++counts_.entries[e.directory];
    bool is_directory = e.row.kind == file_kind::directory;
    if (is_directory)
      ++counts_.subdirectories[e.directory];
    if (!rows_.is_local(e.row.child)) {
      report_.outward.push_back({e.directory, e.name, e.row.child});
      if (!is_directory)
        add(finding_kind::wrong_entry, e.row.child, object, "a file in another partition");
      return;
    }
    ++counts_.links[e.row.child];
    auto child = rows_.inodes.find(e.row.child);
    if (child == rows_.inodes.end()) {
      add(finding_kind::dangling_entry, e.row.child, object, "no inode " + object_of(e.row.child));
      return;
    }
    if (child->second.kind != e.row.kind)
      add(finding_kind::wrong_entry, e.row.child, object, "kind");
    if (is_directory) {
      if (child->second.parent != e.directory)
        add(finding_kind::wrong_parent, e.row.child, object,
            "parent is " + object_of(child->second.parent));
      if (counts_.links[e.row.child] == 2)
        add(finding_kind::directory_linked_twice, e.row.child, object, "");
      return;
    }
    auto link = rows_.parent_links.find({e.row.child, e.directory, e.name});
    if (link == rows_.parent_links.end())
      add(finding_kind::wrong_parent_link, e.row.child, object, "entry without link");
    else
      link->second = true;
  }

  void check_cookies() {
    std::set<std::pair<lin, std::uint64_t>> seen;
    for (const auto& e : rows_.entries) {
      if (!seen.empty() && seen.begin()->first != e.directory)
        seen.clear(); // entries are sorted by directory
      if (!seen.insert({e.directory, cookie_of(e.hash, e.row.disambiguator)}).second)
        add(finding_kind::duplicate_cookie, e.row.child, object_of(e.directory, e.name), "");
    }
  }

  void check_directory(lin id, const inode_row& inode) {
    auto expected_links = 2 + counts_.subdirectories[id];
    if (inode.link_count != expected_links)
      add(finding_kind::wrong_link_count, id, object_of(id),
          std::to_string(inode.link_count) + " instead of " + std::to_string(expected_links));
    if (inode.entry_count != counts_.entries[id])
      add(finding_kind::wrong_entry_count, id, object_of(id),
          std::to_string(inode.entry_count) + " instead of " + std::to_string(counts_.entries[id]));
    if (inode.has(inode_flag::removing) && counts_.entries[id] > 0)
      add(finding_kind::wrong_entry, id, object_of(id), "entries in a directory being removed");
    if (id == root_lin)
      return;
    if (!rows_.is_local(inode.parent))
      report_.inward.push_back({id, inode.parent, inode.flags});
    else if (counts_.links[id] == 0)
      add(kind_of_unnamed(inode.flags), id, object_of(id), "");
  }

  void check_file(lin id, const inode_row& inode) {
    auto links = counts_.links[id];
    if (inode.link_count != links)
      add(finding_kind::wrong_link_count, id, object_of(id),
          std::to_string(inode.link_count) + " instead of " + std::to_string(links));
    if (links == 0 && !rows_.orphans.contains(id))
      add(finding_kind::lost_inode, id, object_of(id), "");
  }

  checked_rows& rows_;
  check_report& report_;
  name_counts counts_;
};

} // namespace

void check_names(checked_rows& rows, check_report& report) {
  name_checker{rows, report}.run();
}

check_report check_partition(const table_view& view, const slot_set* slots) {
  check_report report;
  auto rows = load_rows(view, slots, report);
  check_names(rows, report);
  check_data(rows, report);
  check_counts(rows, report);
  report.inode_count = rows.inodes.size();
  for (const auto& [id, inode] : rows.inodes)
    report.directory_count += inode.kind == file_kind::directory ? 1 : 0;
  report.stripe_count = rows.stripes.size();
  report.orphan_count = rows.orphans.size();
  return report;
}

std::vector<finding> check_across(const std::vector<check_report>& reports) {
  std::vector<finding> out;
  std::map<lin, std::vector<const outward_entry*>> named;
  std::map<lin, const inward_directory*> directories;
  for (const auto& report : reports) {
    for (const auto& e : report.outward)
      named[e.child].push_back(&e);
    for (const auto& d : report.inward)
      directories[d.id] = &d;
  }
  for (const auto& [id, directory] : directories) {
    auto it = named.find(id);
    if (it == named.end()) {
      out.push_back({kind_of_unnamed(directory->flags), id, object_of(id),
                     "parent " + object_of(directory->parent)});
      continue;
    }
    for (const auto* e : it->second)
      if (e->directory != directory->parent)
        out.push_back({finding_kind::wrong_parent, id, object_of(e->directory, e->name),
                       "parent is " + object_of(directory->parent)});
    if (it->second.size() > 1)
      out.push_back({finding_kind::directory_linked_twice, id,
                     object_of(it->second[1]->directory, it->second[1]->name), ""});
  }
  for (const auto& [child, entries] : named)
    if (!directories.contains(child))
      for (const auto* e : entries)
        out.push_back({finding_kind::dangling_entry, child, object_of(e->directory, e->name),
                       "no directory " + object_of(child)});
  return out;
}

} // namespace troupe
