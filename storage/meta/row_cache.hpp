#pragma once

#include "storage/meta/table_types.hpp"

#include <functional>
#include <list>
#include <map>

namespace troupe {

/// What memory knows of the tables of a store: rows, absent rows, and stretches between rows that
/// are known to be empty, so that it also answers range reads. It always tells the newest applied
/// state or "unknown", never an older one. Rows of the overlay (not yet in the engine) are held;
/// others are evicted, least recently used first, when they exceed the bound. Not thread-safe.
///
/// Each entry is chained to the next one if nothing lies between them:
///
///     "a"=1 ──chained── "c"=absent ──chained── "k"=7    "p"=unknown
///      └ known: a, nothing in (a, k), k        └ not chained: (k, p) must be loaded
class row_cache {
public:
  /// @param clean_bytes_max  bound of the rows that are not held.
  explicit row_cache(std::uint64_t clean_bytes_max) : clean_bytes_max_(clean_bytes_max) {}
  row_cache(const row_cache&) = delete;
  row_cache& operator=(const row_cache&) = delete;

  row_lookup get(table_id table, std::string_view key) const;
  range_lookup scan(table_id table, const table_range& range) const;

  /// A change was applied as write `sequence` (not below earlier ones): it holds from now on, and
  /// stays until `release`.
  void put(table_id table, const table_change& change, std::uint64_t sequence);
  /// Writes up to `sequence` are in the engine, and no load is under way that began before they
  /// were: their rows may be evicted.
  void release(std::uint64_t sequence);
  /// The engine was asked and gave this. What is known already is newer and stays.
  void learn(table_id table, const std::string& key, const std::optional<std::string>& value);
  /// The engine gave all rows in [begin, end), ascending.
  void learn_range(table_id table, const std::string& begin, const std::string& end,
                   const std::vector<table_row>& rows);
  /// Forgets a table.
  void erase(table_id table);

  /// Evicts until the bound holds.
  void trim();
  std::uint64_t bytes() const { return clean_bytes_ + held_bytes_; }
  std::uint64_t held_bytes() const { return held_bytes_; }

private:
  struct entry;
  using entry_list = std::list<entry*>;
  using entry_map = std::map<std::string, entry, std::less<>>;
  struct entry {
    row_state state = row_state::unknown;
    bool chained = false;       ///< Nothing lies between this entry and the next.
    std::uint64_t sequence = 0; ///< Of the write that holds it; 0: clean.
    std::string value;
    entry_map* home = nullptr;
    const std::string* key = nullptr;
    entry_list::iterator place; ///< In `held_` or `clean_`.
  };

  static std::uint64_t size_of(const entry& x);
  entry_map::iterator insert(entry_map& rows, const std::string& key);
  void set(entry& x, const std::optional<std::string>& value);
  void remove(entry_map& rows, entry_map::iterator at);
  void touch(const entry& x) const;
  range_lookup scan_forward(const entry_map& rows, const table_range& range) const;
  range_lookup scan_reverse(const entry_map& rows, const table_range& range) const;

  std::uint64_t clean_bytes_max_;
  std::uint64_t clean_bytes_ = 0;
  std::uint64_t held_bytes_ = 0;
  std::map<table_id, entry_map> tables_;
  mutable entry_list clean_; ///< Least recently used first.
  entry_list held_;          ///< Ascending by sequence.
};

} // namespace troupe
