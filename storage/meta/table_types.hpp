#pragma once

#include "messages/ids.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// Names one ordered table of a store: the rows of one replica as of one state install. Its eight
/// big-endian bytes are the prefix of every key on disk; never reused (hazards F24).
using table_id = strong_id<struct table_id_tag, std::uint64_t>;

/// The table of a replica. `install` counts the state installs of that replica from 0: a new one
/// fills a fresh table beside the old, one durable journal record switches, then the old one is
/// dropped. The replica's number must be below 2^48.
constexpr table_id table_of(replica_id replica, std::uint16_t install) {
  return table_id{replica.value << 16 | install};
}
/// The replica whose table it is.
constexpr replica_id owner_of(table_id table) {
  return replica_id{table.value >> 16};
}

/// One absolute change: the new value of a key, or its removal. Keys are compared as unsigned
/// bytes. Repeating a change changes nothing: replay depends on it (hazards F1).
struct table_change {
  std::string key;
  std::optional<std::string> value; ///< Absent: the row is removed.
  bool operator==(const table_change&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, table_change& x) {
  return f(x.key, x.value);
}
/// Changes that happen together, in order; of two to one key the later counts.
using table_batch = std::vector<table_change>;

struct table_row {
  std::string key;
  std::string value;
  bool operator==(const table_row&) const = default;
};

/// Rows with keys in [begin, end), ascending, or descending from the end if `reverse`.
struct table_range {
  std::string begin;
  std::string end;
  std::uint32_t rows_max = 256; ///< >= 1
  bool reverse = false;
  bool operator==(const table_range&) const = default;
};

/// What memory knows about one row.
enum class row_state : std::uint8_t {
  unknown, ///< Must be loaded first.
  absent,
  found,
};
struct row_lookup {
  row_state state = row_state::unknown;
  std::string value; ///< If found.
};

/// What memory knows about a range.
struct range_lookup {
  std::optional<table_range> missing; ///< Load this first; then `rows` is not to be used.
  std::vector<table_row> rows;        ///< In the order asked for, at most `rows_max`.
  bool more = false;                  ///< `rows_max` was reached and rows may follow.
};

/// Rows that an evaluation could not see and that must be loaded before it runs again.
struct row_needs {
  std::vector<std::string> keys;
  std::vector<table_range> ranges;
  bool empty() const { return keys.empty() && ranges.empty(); }
};

/// The smallest key behind all keys that begin with `prefix`, the end of a prefix scan. Empty if
/// there is none (all bytes 255, or no bytes).
std::string prefix_end(std::string_view prefix);

} // namespace troupe
