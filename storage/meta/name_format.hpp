#pragma once

#include "messages/error.hpp"
#include "messages/metadata.hpp"

#include <string>
#include <string_view>

namespace troupe {

/// A directory entry as stored. `v1`: header of versioned rows, then
///
///   9  u64 child   17  u8 kind   18  u8 disambiguator
struct entry_row {
  snapshot_epoch written;
  lin child;
  file_kind kind = file_kind::none;
  std::uint8_t disambiguator = 0; ///< Lowest byte of the cookie; tells equal hashes apart.
  bool operator==(const entry_row&) const = default;
};
std::string encode(const entry_row& x);
expected<entry_row> decode_entry(std::string_view value);

/// "This file has this name there"; everything is in the key. `v1`: header only.
struct parent_row {
  snapshot_epoch written;
  bool operator==(const parent_row&) const = default;
};
std::string encode(const parent_row& x);
expected<parent_row> decode_parent(std::string_view value);

} // namespace troupe
