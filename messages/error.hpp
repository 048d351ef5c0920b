#pragma once

#include "messages/error_ids.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace troupe {

/// What code can act on. Numbers are stored and sent: append, never reuse or change.
enum class errc : std::uint8_t {
  none = 0,
  invalid_argument = 1,   ///< Bad input; repeating it gives the same answer.
  not_found = 2,          ///< The named object does not exist.
  already_exists = 3,     ///< The named object exists.
  corrupt = 4,            ///< Bytes do not have the checksum or shape they must have.
  io_error = 5,           ///< A device or file failed.
  no_space = 6,           ///< No room; the object and state before are intact.
  busy = 7,               ///< A bounded resource is in use; try again later.
  timeout = 8,            ///< No answer in time: may have happened.
  unavailable = 9,        ///< Peer, drive or majority not reachable; definitely not done here.
  not_leader = 10,        ///< Ask the leader; the context names it if known.
  may_have_happened = 11, ///< Sent, answer lost; repeat under the same sequence.
  stale = 12,             ///< The caller's fence (lease, incarnation, version) is out of date.
  behind = 13,            ///< The receiver must fetch a newer configuration first.
  permission_denied = 14, ///< The caller's role or rights do not allow it.
  not_directory = 15,
  is_directory = 16,
  not_empty = 17,
  name_too_long = 18,
  cross_partition = 19, ///< The two names live in different partitions (EXDEV).
  too_many_links = 20,
  too_large = 21,
  wrong_version = 22,  ///< Format or protocol of another version.
  wrong_cluster = 23,  ///< Belongs to another cluster.
  not_supported = 24,  ///< Not available yet, or not in this environment.
  quarantined = 25,    ///< Valid records behind a bad one: not used until replaced.
  shutdown = 26,       ///< The receiver is stopping.
  stale_handle = 27,   ///< The file behind this handle is gone (ESTALE).
  unknown_client = 28, ///< The session was forgotten; never executed.
  below_floor = 29,    ///< Prepared under an older configuration: redo it.
  interrupted = 30,    ///< The caller gave up.
};

/// The name of the code, e.g. "not_found".
const char* to_string(errc code);

/// Why something did not work: a code for programs, words for people.
struct error {
  errc code = errc::none;
  std::string context; ///< Names the object: "drive 3 block 8812".
  error_id id{};       ///< Cause and next step for a person; 0 if the code says it all.

  error() = default;
  error(errc c, std::string text, error_id i = {}) : code(c), context(std::move(text)), id(i) {}
  bool operator==(const error& other) const { return code == other.code; }
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, error& x) {
  return f(x.code, x.context, x.id);
}

/// "TRP-1042 not_found: drive 3 block 8812 (cause) -- next step"; parts that are absent are left
/// out.
std::string describe(const error& x);

/// A value or the error that prevented it. Reading the absent one is a bug.
template <class T>
class [[nodiscard]] expected {
public:
  expected(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  expected(troupe::error err) : state_(std::in_place_index<1>, std::move(err)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const troupe::error& error() const { return std::get<1>(state_); }

private:
  std::variant<T, troupe::error> state_;
};

template <>
class [[nodiscard]] expected<void> {
public:
  expected() = default;
  expected(troupe::error err) : error_(std::move(err)) {}

  explicit operator bool() const { return error_.code == errc::none; }
  const troupe::error& error() const { return error_; }

private:
  troupe::error error_;
};

} // namespace troupe
