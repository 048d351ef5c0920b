#pragma once

#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "messages/metadata.hpp"

#include <map>
#include <string>
#include <string_view>

namespace troupe {

/// "Client c is here" (hazards F14), or was: an expired incarnation never comes back.
/// `v1`: u8 format, u64 incarnation, u8 state (1 here, 2 expired), i64 since.
struct here_row {
  incarnation client_incarnation;
  bool expired = false;
  wall_time since;
  bool operator==(const here_row&) const = default;
};
std::string encode(const here_row& x);
expected<here_row> decode_here(std::string_view value);

/// What a change answered, short enough to keep: the answer is rebuilt from it and from the rows
/// of that time. Alternatives and their numbers are stored; append only.
struct stored_done {
  bool operator==(const stored_done&) const = default;
};
struct stored_entry { ///< entry_found
  lin child;
  file_kind kind = file_kind::none;
  bool operator==(const stored_entry&) const = default;
};
struct stored_attributes { ///< attributes_are
  lin id;
  bool operator==(const stored_attributes&) const = default;
};
struct stored_commit { ///< write_committed; the stripes have consecutive ids
  lin id;
  stripe_id first_stripe;
  std::uint32_t stripe_count = 0;
  bool operator==(const stored_commit&) const = default;
};
struct stored_refusal { ///< An error; its words are not kept.
  errc code = errc::none;
  error_id id;
  bool operator==(const stored_refusal&) const = default;
};
/// Stored as u8 kind: 0 refusal (u8 errc, u16 error id), 1 done, 2 entry (u64 child, u8 kind),
/// 3 attributes (u64 lin), 4 commit (u64 lin, u64 first stripe, u32 count).
using stored_result =
  std::variant<stored_refusal, stored_done, stored_entry, stored_attributes, stored_commit>;

/// The changes of one client in one slot whose results it may still ask for (hazards F20).
/// `v1`: u8 format, u64 incarnation, u64 low_water, u16 count, then per result u64 sequence and
/// the result; ascending.
struct session_row {
  incarnation client_incarnation;
  std::uint64_t low_water = 0; ///< Results up to here were given up by the client.
  std::map<std::uint64_t, stored_result> results;
  bool operator==(const session_row&) const = default;
};
std::string encode(const session_row& x);
expected<session_row> decode_session(std::string_view value);

} // namespace troupe
