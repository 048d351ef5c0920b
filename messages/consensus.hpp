#pragma once

#include "messages/bytes.hpp"
#include "messages/ids.hpp"

#include <cstdint>
#include <variant>
#include <vector>

namespace troupe {

/// What a replica is in its group. Stored and sent: never change the numbers.
enum class member_role : std::uint8_t {
  learner = 0, ///< Gets the log, does not count in majorities.
  voter = 1,   ///< Gets the log, votes, counts.
  joining = 2, ///< Named, gets nothing yet; a step on the way to `learner`.
};

struct group_member {
  replica_id replica;
  member_role role = member_role::voter;
  bool operator==(const group_member&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, group_member& x) {
  return f(x.replica, x.role);
}

/// The members of one consensus group, in the order in which they came. Neighbouring
/// configurations of a group differ in one member, so their majorities intersect.
struct group_configuration {
  std::vector<group_member> members;
  bool operator==(const group_configuration&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, group_configuration& x) {
  return f(x.members);
}

/// Kind of a log entry. Stored and sent: never change the numbers.
enum class entry_kind : std::uint8_t {
  command = 1,       ///< For the state machine.
  barrier = 2,       ///< Empty: a leader's first entry in its term.
  configuration = 3, ///< A `group_configuration` in `configuration_format`.
};

/// One entry of a group's log. (index, term) names its content for ever; the index is known from
/// where it stands.
struct log_entry {
  std::uint64_t term = 0;
  entry_kind kind = entry_kind::command;
  shared_bytes payload;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, log_entry& x) {
  return f(x.term, x.kind, x.payload);
}

/// Leader to follower: append `entries` behind the entry (prev_index, prev_term); without entries a
/// heartbeat. Any message of consensus may be lost, delayed, repeated or overtaken.
struct append_entries {
  std::uint64_t term = 0;
  std::uint64_t prev_index = 0;
  std::uint64_t prev_term = 0;
  std::uint64_t commit_index = 0; ///< Never above prev_index + number of entries.
  std::uint64_t sent_at_ns = 0;   ///< The leader's boot clock, echoed: what its lease counts from.
  std::vector<log_entry> entries;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, append_entries& x) {
  return f(x.term, x.prev_index, x.prev_term, x.commit_index, x.sent_at_ns, x.entries);
}

/// Follower to leader: what became of an `append_entries` or an installed state.
struct append_entries_result {
  std::uint64_t term = 0;
  std::uint64_t rejected_index = 0; ///< Not 0: no entry (prev_index, prev_term) here.
  std::uint64_t last_index = 0;     ///< Durable here and the same as the leader's, up to this.
  std::uint64_t sent_at_ns = 0;     ///< From the newest message of this leader and term; 0 if none.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, append_entries_result& x) {
  return f(x.term, x.rejected_index, x.last_index, x.sent_at_ns);
}

/// Candidate to voters.
struct request_vote {
  std::uint64_t term = 0;
  std::uint64_t last_index = 0;
  std::uint64_t last_term = 0;
  bool disrupt_leader = false; ///< The leader itself asked for this election (a transfer).
  bool pre_vote = false;       ///< Only asks whether a real election could be won.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, request_vote& x) {
  return f(x.term, x.last_index, x.last_term, x.disrupt_leader, x.pre_vote);
}

struct request_vote_result {
  std::uint64_t term = 0;
  bool granted = false;
  bool pre_vote = false; ///< As in the request.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, request_vote_result& x) {
  return f(x.term, x.granted, x.pre_vote);
}

/// Leader to a follower that is behind the leader's log: "pull a state at `index` or later from
/// replica `source`, out of band, then go on with the log behind `index`" (hazards F24).
struct install_offer {
  std::uint64_t term = 0; ///< The leader's.
  replica_id source;      ///< Who has the state.
  std::uint64_t index = 0;
  std::uint64_t index_term = 0;
  group_configuration configuration; ///< In force at `index`.
  std::uint64_t configuration_index = 0;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, install_offer& x) {
  return f(x.term, x.source, x.index, x.index_term, x.configuration, x.configuration_index);
}

/// Leader to the follower that shall take over: start an election now.
struct timeout_now {
  std::uint64_t term = 0;
  std::uint64_t last_index = 0;
  std::uint64_t last_term = 0;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, timeout_now& x) {
  return f(x.term, x.last_index, x.last_term);
}

/// What replicas of a group say to each other. Sender and group travel beside it.
using consensus_message = std::variant<append_entries, append_entries_result, request_vote,
                                       request_vote_result, install_offer, timeout_now>;

/// A `consensus_message` on its way between nodes. One-way; may be lost.
struct consensus_parcel {
  group_id group;
  replica_id from;
  replica_id to;
  consensus_message message;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, consensus_parcel& x) {
  return f(x.group, x.from, x.to, x.message);
}

} // namespace troupe
