#pragma once

#include "messages/consensus.hpp"
#include "messages/error.hpp"
#include "messages/units.hpp"
#include "storage/base/clock.hpp"
#include "storage/consensus/durable_state.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace troupe {

/// The guards around the library's known defects, by the letters of README.md. All stay on; tests
/// switch one off to prove that the simulator notices.
struct consensus_guards {
  bool own_term_first = true;       ///< A: commit nothing before the own barrier is stored.
  bool clamp_results = true;        ///< B: acknowledge only what is proven to match the leader.
  bool serial_follower = true;      ///< C: no input while an append is in flight.
  bool committed_membership = true; ///< D: committed configurations only; re-open on rollback.
  bool one_vote = true;             ///< E: one vote per term, also for a transferee.
  bool true_pre_vote_term = true;   ///< F: a rejected pre-vote tells the voter's term.
  bool forgetting_learner = true;   ///< G: a learner forgets a dead leader, and votes.
  bool one_batch = true;            ///< H: one batch in flight.
  bool reopen = true;               ///< I: a dead library instance is re-opened.
  bool sole_voter_term = true;      ///< J: a sole voter that elects itself takes a new term.
  bool votes_before_sends = true;   ///< K: nothing leaves before term and vote are durable.
  bool quiet_start = true;          ///< L: no vote for one election timeout after an opening.
  bool transfer_drops_lease = true; ///< M: no lease in a term after TimeoutNow.
};

/// Limits and times of one replica. Every replica of a group has the same election timeout and
/// slack: the lease of one counts on the patience of the others.
struct consensus_options {
  std::uint32_t election_timeout_ms = 3000;
  std::uint32_t heartbeat_ms = 500;       ///< < election_timeout_ms; tick at least 4 times in it.
  std::uint32_t lease_slack_percent = 10; ///< Of the election timeout; clock rate and rounding.
  std::uint32_t install_timeout_ms = 30'000;  ///< Then the leader offers its state again.
  std::uint32_t catch_up_round_ms = 5000;     ///< A promotion gives up on a slower replica.
  std::uint64_t message_bytes_max = mib;      ///< Entries per message; longer runs are split.
  std::uint64_t tail_bytes_max = 4 * mib;     ///< Applied entries kept in memory for followers.
  std::uint32_t tail_entries_max = 8192;      ///< The same, by number.
  std::uint64_t lagging_bytes_max = 32 * mib; ///< The same while a healthy follower needs them.
  std::uint64_t batch_bytes_max = mib;        ///< Of one propose.
  std::uint32_t batch_entries_max = 4096;     ///< Of one propose.
  std::uint32_t input_queue_max = 256;        ///< Messages that wait for the disk; then dropped.
  std::uint64_t seed = 1; ///< For election timeouts; must differ between replicas of a group.
  bool pre_vote = true;
  consensus_guards guards{};                    ///< Only tests change it.
  std::uint32_t backend_errors_per_million = 0; ///< Only tests: appends that fail.
};

/// One storage order; completes in the order given.
using store_token = strong_id<struct store_token_tag, std::uint64_t>;
/// One batch of commands.
using proposal_token = strong_id<struct proposal_token_tag, std::uint64_t>;
/// One pull of a streamed state.
using install_token = strong_id<struct install_token_tag, std::uint64_t>;

enum class consensus_role : std::uint8_t {
  follower = 0,
  candidate = 1,
  leader = 2,
  stopped = 3, ///< Storage failed or `reopen_group` was ordered: dead until opened anew.
};

// Effects: what the owner must do after a call, in this order.

struct send_message {
  replica_id to;
  consensus_message body;
};
/// Write the records behind everything stored before, sync, then call `durable(token)`. Several
/// orders may be in flight; `durable` of a token covers all before it.
struct store_records {
  store_token token;
  std::vector<log_record> records;
};
/// A committed command, in index order, each once per opening. Barriers and configurations have
/// indices but no effect, so indices have gaps.
struct apply_command {
  std::uint64_t index = 0;
  std::uint64_t term = 0;
  shared_bytes command;
};
enum class proposal_outcome : std::uint8_t {
  committed = 0,         ///< Every command of the batch was applied here, just before.
  may_have_happened = 1, ///< Leadership was lost in between.
};
struct proposal_finished {
  proposal_token token;
  proposal_outcome outcome = proposal_outcome::committed;
};
/// Role, term, leader or readiness are not what they were.
struct role_changed {
  consensus_role role = consensus_role::follower;
  std::uint64_t term = 0;
  replica_id leader;         ///< 0 if unknown.
  bool leader_ready = false; ///< This is the leader and has applied its own-term barrier.
};
/// A committed configuration took effect here.
struct members_changed {
  group_configuration configuration;
  std::uint64_t index = 0;
};
/// What `add_learner`, `promote` or `remove` came to.
struct change_finished {
  replica_id replica;
  bool done = false; ///< false: given up (too slow, leadership lost); it may still have happened.
};
/// A transfer of leadership ended; whether it worked, `role_changed` tells.
struct transfer_finished {
  replica_id to;
};
/// Pull a state at `index` or later from `from` into new tables; then `install_done`, or
/// `install_failed` if the source is gone. Nothing is promised to anybody meanwhile.
struct install_state {
  install_token token;
  replica_id from;
  std::uint64_t index = 0;
};
/// The pulled state is in force, durably: apply what follows to it. The old tables are garbage.
struct switch_state {
  install_token token;
  std::uint64_t state_id = 0;
  std::uint64_t index = 0;
};
/// The pulled state is not needed (any more): stop the pull, its tables are garbage.
struct drop_state {
  install_token token;
};
/// This object is finished (guard I): when everything stored is durable, construct a new one from
/// the durable state. A second one within minutes for the same reason means damage: quarantine.
struct reopen_group {
  std::string reason;
};
using consensus_effect =
  std::variant<send_message, store_records, apply_command, proposal_finished, role_changed,
               members_changed, change_finished, transfer_finished, install_state, switch_state,
               drop_state, reopen_group>;
using consensus_effects = std::vector<consensus_effect>;

/// What the leader knows about another member.
struct follower_progress {
  group_member member;
  std::uint64_t match_index = 0; ///< Durable there up to this, as far as known.
  boot_time last_contact;        ///< Last answer in this term; 0 if none.
  bool healthy = false;          ///< Answered within one election timeout.
  bool caught_up = false;        ///< Has what was committed at the last heartbeat.
};

/// One replica of one consensus group: the raft library as a stepping machine, inside the guards
/// of README.md. Inputs append effects to `out`; nothing is called back, no clock, thread, file or
/// randomness is used. `now` never goes back. Deterministic: the same calls give the same effects.
/// Not thread-safe; many instances per thread are fine. Memory: about 17 KiB idle, plus the tail.
class consensus {
public:
  /// Opens a replica from what the journal kept. A replica with an empty state waits for a leader
  /// that knows it. Replays nothing by itself: commands behind the checkpoint are applied as soon
  /// as they are known to be committed.
  consensus(replica_id self, durable_state state, const consensus_options& options, boot_time now,
            consensus_effects& out);
  /// Proposals in flight are forgotten: they may have happened.
  ~consensus();
  consensus(consensus&&) noexcept;
  consensus& operator=(consensus&&) noexcept;

  /// A message came from another member. Malformed, outdated and unexpected ones are dropped.
  void receive(boot_time now, replica_id from, consensus_message message, consensus_effects& out);
  /// Time passes: elections, heartbeats, limits. Call it for all groups of a node in one burst,
  /// at least four times per heartbeat.
  void tick(boot_time now, consensus_effects& out);
  /// Everything stored up to `token` is durable.
  void durable(boot_time now, store_token token, consensus_effects& out);
  /// Storage failed: the drive is dead (hazards F23a). The object stops for good.
  void failed(store_token token, consensus_effects& out);

  /// Appends commands to the log as one batch. @returns errc::not_leader (the context names the
  /// leader, if known); errc::busy while a batch is in flight, a transfer runs or the own barrier
  /// is not applied yet: collect and try again after the next `proposal_finished` or
  /// `role_changed`; errc::too_large beyond the options; errc::invalid_argument for no command.
  expected<proposal_token> propose(boot_time now, std::span<const shared_bytes> commands,
                                   consensus_effects& out);

  /// Asks an up-to-date voter to take over; proposals are refused meanwhile. Ends with
  /// `transfer_finished`. @returns errc::not_leader, errc::busy, errc::invalid_argument (not
  /// another voter).
  expected<void> transfer_leadership(boot_time now, replica_id to, consensus_effects& out);

  /// The next three change the members, one step at a time, only on a ready leader, and only if a
  /// majority of the *new* voters is healthy and caught up (hazards F27); a dead voter is removed
  /// before its successor is added, a living one after. An id that was ever removed is never added
  /// again (F23). A leader is not removed: transfer first (README.md, N). They end with
  /// `change_finished`. @returns errc::not_leader, errc::busy (a change
  /// or batch is in flight), errc::unavailable (the rule says no), errc::not_found,
  /// errc::already_exists.
  expected<void> add_learner(boot_time now, replica_id replica, consensus_effects& out);
  expected<void> promote(boot_time now, replica_id replica, consensus_effects& out);
  expected<void> remove(boot_time now, replica_id replica, consensus_effects& out);

  /// The tables of the owner hold everything up to `index` durably. Stores a checkpoint record,
  /// after which the journal need not keep entries up to `index`. Ignored unless
  /// checkpoint_index() < index <= last_applied().
  void checkpointed(std::uint64_t index, consensus_effects& out);

  /// The journal needs the room where the entries behind the checkpoint stand, and no checkpoint
  /// releases it, because they are not committed: stores them once more. @returns false, nothing
  /// done, if there is nothing behind the checkpoint or something that was applied: take a
  /// checkpoint then.
  bool rewrite_log(consensus_effects& out);

  /// The pulled state is durable in tables that the owner calls `state_id` (never used before by
  /// this replica). Leads to `switch_state` or `drop_state`, at once or when a leader is known.
  void install_done(boot_time now, install_token token, std::uint64_t state_id,
                    consensus_effects& out);
  /// The pull failed; the leader will offer again.
  void install_failed(install_token token);

  replica_id self() const;
  consensus_role role() const;
  std::uint64_t term() const;
  /// The leader of this term as far as known; 0 if unknown.
  replica_id leader() const;
  std::uint64_t last_index() const;
  std::uint64_t commit_index() const;
  std::uint64_t last_applied() const;
  /// True on a leader that has applied its own-term barrier: only then it may evaluate and answer.
  bool leader_ready() const;
  /// Until when reads from this leader's applied state are linearizable; 0 if they are not.
  /// Only a ready leader has a lease.
  boot_time read_lease_until() const;
  bool read_lease_valid(boot_time now) const { return now < read_lease_until(); }
  /// A batch is in flight.
  bool proposal_in_flight() const;

  /// The newest configuration here, committed or not.
  const group_configuration& members() const;
  /// On a leader: a change of the members is under way.
  bool membership_changing() const;
  /// On a leader, the other members in order of the configuration; empty elsewhere.
  std::vector<follower_progress> followers(boot_time now) const;

  /// Index of the last durable checkpoint, stored or being stored.
  std::uint64_t checkpoint_index() const;
  /// Bytes of entries that the journal must keep: a reason to call `checkpointed`.
  std::uint64_t bytes_since_checkpoint() const;
  /// Bytes of entries in memory.
  std::uint64_t tail_bytes() const;

private:
  class engine;
  std::unique_ptr<engine> engine_;
};

/// Checks once per process that the loaded library is the one that the guards were written for.
/// @returns errc::wrong_version, naming what was found. Part of the start of every program.
expected<void> check_consensus_library();

} // namespace troupe
