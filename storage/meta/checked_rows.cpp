#include "storage/meta/checked_rows.hpp"

#include "storage/base/assert.hpp"
#include "storage/meta/evaluation_scope.hpp"

namespace troupe {

namespace {

/// Takes rows one by one into `checked_rows`.
class row_loader {
public:
  row_loader(checked_rows& rows, check_report& report) : rows_(rows), report_(report) {}

  void load(const table_row& r) {
    if (r.key.empty() || !take(r))
      report_.findings.push_back({finding_kind::damaged_row,
                                  {},
                                  evaluation_scope::describe_key(r.key),
                                  r.key.empty() ? "empty key" : to_string(table_of_key(r.key))});
  }

private:
  /// False if key or value cannot be decoded.
  bool take(const table_row& r) {
    switch (table_of_key(r.key)) {
    case meta_table::inode: return keep(parse_lin_key(r.key), decode_inode(r.value), rows_.inodes);
    case meta_table::inline_data: return take_inline(r);
    case meta_table::extent: return take_extent(r);
    case meta_table::stripe:
      return keep(parse_stripe_key(r.key), decode_stripe(r.value), rows_.stripes);
    case meta_table::entry: return take_entry(r);
    case meta_table::parent_link: return take_parent(r);
    case meta_table::version: return take_version(r);
    case meta_table::session: return take_session(r);
    case meta_table::slot: return keep(parse_slot_key(r.key), decode_slot(r.value), rows_.slots);
    case meta_table::orphan:
      return keep(parse_lin_key(r.key), decode_orphan(r.value), rows_.orphans);
    case meta_table::trim: return take_trim(r);
    case meta_table::at_risk:
      return keep(parse_stripe_key(r.key), decode_at_risk(r.value), rows_.at_risk);
    case meta_table::here: return parse_here_key(r.key) && decode_here(r.value);
    case meta_table::pending_free: return take_pending(r);
    case meta_table::drive_frees:
      return keep_any(parse_drive_frees_key(r.key), decode_drive_frees(r.value), rows_.drive_frees);
    case meta_table::floor:
      return (r.key == floor_config_key() || r.key == floor_epoch_key()) && decode_floor(r.value);
    case meta_table::intent:
    case meta_table::change_log:
    case meta_table::domain_usage: return false; // reserved: nobody writes them yet
    }
    return false;
  }

  bool check_slot(slot_id slot, const std::string& object) {
    if (!rows_.is_local(slot))
      report_.findings.push_back(
        {finding_kind::foreign_slot, {}, object, "slot " + std::to_string(slot.value)});
    return true;
  }
  static slot_id slot_in(slot_id x) { return x; }
  static slot_id slot_in(lin x) { return slot_of(x); }
  static slot_id slot_in(stripe_id x) { return slot_of(x); }

  template <class Key, class Row, class Map>
  bool keep_any(std::optional<Key> key, expected<Row> row, Map& map) {
    if (!key || !row)
      return false;
    map[*key] = std::move(*row);
    return true;
  }
  template <class Key, class Row, class Map>
  bool keep(std::optional<Key> key, expected<Row> row, Map& map) {
    return keep_any(key, std::move(row), map) && check_slot(slot_in(*key), "a row");
  }

  bool take_inline(const table_row& r) {
    auto id = parse_lin_key(r.key);
    auto row = decode_inline(r.value);
    if (!id || !row)
      return false;
    rows_.inline_bytes[*id] = row->bytes.size();
    return check_slot(slot_of(*id), "inline data of " + to_string(*id));
  }
  bool take_extent(const table_row& r) {
    auto key = parse_extent_key(r.key);
    auto row = decode_extent(r.value);
    if (!key || !row || row->bytes > key->end_offset)
      return false;
    rows_.extents.push_back({key->id, key->end_offset, *row});
    return check_slot(slot_of(key->id), "an extent of " + to_string(key->id));
  }
  bool take_entry(const table_row& r) {
    auto key = parse_entry_key(r.key);
    auto row = decode_entry(r.value);
    if (!key || !row)
      return false;
    rows_.entries.push_back({key->directory, key->name, key->hash, *row});
    return check_slot(slot_of(key->directory), object_of(key->directory, key->name));
  }
  bool take_parent(const table_row& r) {
    auto key = parse_parent_key(r.key);
    if (!key || !decode_parent(r.value))
      return false;
    rows_.parent_links[{key->child, key->directory, key->name}] = false;
    return check_slot(slot_of(key->child), "a link of " + to_string(key->child));
  }
  bool take_version(const table_row& r) {
    auto key = parse_version_key(r.key);
    if (!key || !is_versioned(table_of_key(key->live_key)))
      return false;
    if (!decodes(table_of_key(key->live_key), r.value))
      return false;
    if (table_of_key(key->live_key) == meta_table::extent)
      ++rows_.version_references[decode_extent(r.value)->stripe];
    rows_.versions[key->live_key].push_back({written_epoch_of(r.value), key->suffix});
    return true;
  }
  static bool decodes(meta_table table, std::string_view value) {
    switch (table) {
    case meta_table::inode: return static_cast<bool>(decode_inode(value));
    case meta_table::inline_data: return static_cast<bool>(decode_inline(value));
    case meta_table::extent: return static_cast<bool>(decode_extent(value));
    case meta_table::entry: return static_cast<bool>(decode_entry(value));
    case meta_table::parent_link: return static_cast<bool>(decode_parent(value));
    default: return false;
    }
  }
  bool take_session(const table_row& r) {
    auto key = parse_session_key(r.key);
    auto row = decode_session(r.value);
    if (!key || !row)
      return false;
    if (!row->results.empty() && row->results.begin()->first <= row->low_water)
      report_.findings.push_back({finding_kind::wrong_session,
                                  {},
                                  "client " + std::to_string(key->client.value),
                                  "a result below the low-water mark"});
    return check_slot(key->slot, "a session");
  }
  bool take_trim(const table_row& r) {
    auto id = parse_lin_key(r.key);
    if (!id || !decode_trim(r.value))
      return false;
    rows_.trims[*id] = true;
    return check_slot(slot_of(*id), "trim of " + to_string(*id));
  }
  bool take_pending(const table_row& r) {
    auto key = parse_pending_free_key(r.key);
    auto row = decode_pending_free(r.value);
    if (!key || !row)
      return false;
    rows_.pending[{key->drive, key->batch}] = std::move(*row);
    return true;
  }

  checked_rows& rows_;
  check_report& report_;
};

} // namespace

checked_rows load_rows(const table_view& view, const slot_set* slots, check_report& report) {
  checked_rows rows;
  rows.own = slots;
  row_loader loader{rows, report};
  constexpr std::uint32_t page_rows = 1024;
  table_range range{std::string{}, std::string(1, '\xff'), page_rows, false};
  while (true) {
    auto page = view.scan(range);
    TROUPE_ASSERT(!page.missing);
    for (const auto& r : page.rows)
      loader.load(r);
    if (!page.more)
      break;
    range.begin = page.rows.back().key + '\0';
  }
  for (const auto& [key, versions] : rows.versions) {
    auto live = view.get(key);
    if (live.state == row_state::found)
      rows.written[key] = written_epoch_of(live.value);
  }
  return rows;
}

} // namespace troupe
