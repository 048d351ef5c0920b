#pragma once

// Internal to storage/consensus: what stands behind the class `consensus`.

#include "storage/consensus/consensus.hpp"
#include "storage/consensus/lease.hpp"
#include "storage/consensus/log_mirror.hpp"
#include "storage/consensus/raft_library.hpp"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace troupe {

/// The library instance with its backend and the guards. Every public call is one step: feed the
/// library, let it fill the queues below (its callbacks never do more than queue), then settle:
/// complete what may be completed, feed what was waiting, and turn the queues into effects.
class consensus::engine {
public:
  engine(replica_id self, durable_state state, const consensus_options& options, boot_time now,
         consensus_effects& out);
  ~engine();
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  void receive(boot_time now, replica_id from, consensus_message message, consensus_effects& out);
  void tick(boot_time now, consensus_effects& out);
  void durable(boot_time now, store_token token, consensus_effects& out);
  void failed(consensus_effects& out);
  expected<proposal_token> propose(boot_time now, std::span<const shared_bytes> commands,
                                   consensus_effects& out);
  expected<void> transfer_leadership(boot_time now, replica_id to, consensus_effects& out);
  expected<void> add_learner(boot_time now, replica_id replica, consensus_effects& out);
  expected<void> promote(boot_time now, replica_id replica, consensus_effects& out);
  expected<void> remove(boot_time now, replica_id replica, consensus_effects& out);
  void checkpointed(std::uint64_t index, consensus_effects& out);
  bool rewrite_log(consensus_effects& out);
  void install_done(boot_time now, install_token token, std::uint64_t state_id,
                    consensus_effects& out);
  void install_failed(install_token token);

  replica_id self() const { return self_; }
  consensus_role role() const;
  std::uint64_t term() const { return raft_.current_term; }
  replica_id leader() const;
  std::uint64_t last_index() const { return mirror_.last_index(); }
  std::uint64_t commit_index() const { return raft_.commit_index; }
  std::uint64_t last_applied() const { return raft_.last_applied; }
  bool leader_ready() const;
  boot_time read_lease_until() const;
  bool proposal_in_flight() const { return !proposals_.empty(); }
  const group_configuration& members() const { return mirror_.newest_configuration(); }
  bool membership_changing() const {
    return is_leader()
           && (change_ || raft_.configuration_uncommitted_index != 0
               || raft_.leader_state.promotee_id != 0);
  }
  std::vector<follower_progress> followers(boot_time now) const;
  std::uint64_t checkpoint_index() const { return checkpoint_.index; }
  std::uint64_t bytes_since_checkpoint() const { return mirror_.bytes_since_checkpoint(); }
  std::uint64_t tail_bytes() const { return tail_bytes_; }

private:
  // engine.cpp: the step
  void begin(boot_time now, consensus_effects& out);
  void settle();
  void complete_callbacks();
  bool drain_one();
  bool must_wait(const consensus_message& message) const;
  void on_leadership();
  void finish_proposals();
  void report_changes();
  void flush();
  void stop(const char* reason);
  bool is_leader() const { return raft_.state == RAFT_LEADER; }
  bool appends_in_flight() const { return !appends_.empty() || install_put_ != nullptr; }
  std::uint64_t now_ms() const { return now_.ns / 1'000'000; }
  std::uint64_t election_ns() const {
    return std::uint64_t{options_.election_timeout_ms} * 1'000'000;
  }
  error not_leader() const;

  // engine_input.cpp: messages and time
  void deliver(replica_id from, consensus_message& message);
  void deliver_message(replica_id from, append_entries& x);
  void deliver_message(replica_id from, const append_entries_result& x);
  void deliver_message(replica_id from, const request_vote& x);
  void deliver_message(replica_id from, const request_vote_result& x);
  void deliver_message(replica_id from, const install_offer& x);
  void deliver_message(replica_id from, const timeout_now& x);
  static bool well_formed(const consensus_message& message);
  bool is_leader_of(std::uint64_t term) const;
  std::uint64_t library_term_of(std::uint64_t index) const;
  unsigned index_of_member(replica_id replica) const;
  struct ::raft_message library_message(int type, replica_id from);
  void feed(struct ::raft_message& message);
  void avoid_rollback(const append_entries& x);
  void tick_follower();
  void take_new_term();
  bool sole_voter() const;

  // engine_storage.cpp: opening, closing, log, checkpoint, install
  void open(durable_state state, bool from_memory);
  void close();
  void reopen_from_memory(std::uint64_t term, replica_id vote, std::uint64_t truncate_from);
  bool has_entry(std::uint64_t index, std::uint64_t term) const;
  void try_install();
  void complete_install();
  void drop_pull();
  void trim_tail();
  void complete_trim();
  void complete_get(struct ::raft_io_snapshot_get* request, ::raft_io_snapshot_get_cb cb);
  std::uint64_t needed_by_followers() const;
  log_checkpoint offer_for(replica_id to);

  // engine_members.cpp: membership and transfer
  expected<void> may_change(const group_configuration& next) const;
  expected<void> may_start_change() const;
  void begin_change(replica_id replica, bool add);
  expected<void> changed(int rv);
  void continue_change();
  void continue_transfer();
  void stand_again();
  follower_progress progress_of(const group_member& member, boot_time now) const;

  // engine_backend.cpp: what the library calls
  void bind_backend();
  int backend_load(::raft_term* term, ::raft_id* vote, struct ::raft_snapshot** snapshot,
                   ::raft_index* start, struct ::raft_entry** entries, std::size_t* count);
  int backend_send(struct ::raft_io_send* request, const struct ::raft_message* message,
                   ::raft_io_send_cb cb);
  int backend_append(struct ::raft_io_append* request, const struct ::raft_entry* entries,
                     unsigned count, ::raft_io_append_cb cb);
  int backend_snapshot_put(struct ::raft_io_snapshot_put* request,
                           const struct ::raft_snapshot* snapshot, ::raft_io_snapshot_put_cb cb);
  int backend_random(int min, int max);
  int backend_apply(const struct ::raft_buffer* buffer);
  struct ::raft_buffer to_library_buffer(const log_entry& entry);
  log_entry incoming_entry(std::uint64_t index, const struct ::raft_entry& from);
  void record_vote(std::uint64_t term, replica_id vote);
  void drop_from(std::uint64_t from);
  void send_entries(replica_id to, const struct ::raft_append_entries& x);
  void queue(replica_id to, consensus_message message) {
    sends_.push_back({to, std::move(message)});
  }
  log_entry copy_entry(std::uint64_t index, const struct ::raft_entry& from) const;

  replica_id self_;
  consensus_options options_;
  boot_time now_;
  boot_time opened_at_;
  std::uint64_t random_state_;
  bool stopped_ = false;
  consensus_effects* out_ = nullptr; ///< Only during a call.

  struct ::raft raft_ = {};
  struct ::raft_io io_ = {};
  struct ::raft_fsm fsm_ = {};
  ::raft_io_tick_cb tick_cb_ = nullptr;
  ::raft_io_recv_cb recv_cb_ = nullptr;
  ::raft_io_close_cb close_cb_ = nullptr;
  std::optional<durable_state> loading_; ///< Only while the library starts.

  // What the library does not tell, kept beside it.
  log_mirror mirror_;
  log_checkpoint checkpoint_;     ///< As stored or being stored.
  std::uint64_t tail_bytes_ = 0;  ///< Of the entries in the library's memory.
  std::uint64_t stored_term_ = 0; ///< As last recorded; ahead of the library's inside set_vote.
  replica_id stored_vote_;
  std::uint64_t matched_term_ = 0;  ///< Guard B: in this term ...
  std::uint64_t matched_index_ = 0; ///< ... the log is proven equal to the leader's up to here.
  std::uint64_t heard_term_ = 0;    ///< Newest message of the leader of this term ...
  std::uint64_t heard_ns_ = 0;      ///< ... was sent at this time of its clock.

  std::span<const log_entry> arriving_; ///< Entries that this step feeds; first of them at:
  std::uint64_t arriving_first_ = 0;

  // Queues that the library's callbacks fill in a step.
  std::vector<log_record> records_;
  std::vector<send_message> sends_;
  std::vector<std::pair<struct ::raft_io_send*, ::raft_io_send_cb>> send_callbacks_;
  std::vector<std::pair<struct ::raft_io_snapshot_get*, ::raft_io_snapshot_get_cb>> gets_;
  struct ::raft_io_snapshot_put* trim_put_ = nullptr; ///< A trim of the tail, not an install.
  ::raft_io_snapshot_put_cb trim_cb_ = nullptr;

  // Storage in flight.
  struct pending_append {
    store_token token; ///< 0 until the records of this step have one.
    boot_time since;
    struct ::raft_io_append* request;
    ::raft_io_append_cb cb;
  };
  std::deque<pending_append> appends_;
  std::uint64_t last_token_ = 0;
  std::uint64_t durable_token_ = 0;
  std::uint64_t vote_token_ = 0; ///< The newest order with a term or vote in it.
  bool vote_unflushed_ = false;
  struct held_send {
    std::uint64_t until_token;
    send_message message;
  };
  std::deque<held_send> held_; ///< Guard K.

  // Input that waits (guards A and C).
  struct waiting_input {
    replica_id from;
    consensus_message message;
  };
  std::deque<waiting_input> inputs_;
  std::deque<waiting_input> results_;

  // Leadership.
  leader_lease lease_;
  std::uint64_t lease_term_ = 0; ///< The term that `lease_` speaks of.
  struct ::raft_barrier barrier_ = {};
  std::uint64_t barrier_term_ = 0; ///< The term in which the barrier was submitted.
  std::uint64_t barrier_index_ = 0;
  std::uint64_t commit_at_heartbeat_ = 0; ///< Commit index about one heartbeat ago, ...
  std::uint64_t commit_now_ = 0;          ///< ... and at the last turn,
  boot_time heartbeat_turn_;              ///< which was here.
  struct proposal {
    proposal_token token;
    std::uint64_t term;
    std::uint64_t last_index;
    struct ::raft_apply request;
  };
  std::deque<proposal> proposals_;
  std::uint64_t last_proposal_ = 0;
  struct membership_change {
    replica_id replica;
    bool add = false; ///< Added as joining, then made a learner.
    bool reported = false;
    int status = 0;
    struct ::raft_change request = {};
  };
  std::unique_ptr<membership_change> change_;
  struct leadership_transfer {
    replica_id to;
    std::uint64_t term = 0;
    bool ended = false;
    struct ::raft_transfer request = {};
  };
  std::unique_ptr<leadership_transfer> transfer_;
  bool stand_again_ = false;                    ///< The transfer failed after TimeoutNow.
  std::map<replica_id, log_checkpoint> offers_; ///< What each follower was last offered.

  // Install.
  struct pull {
    install_token token;
    install_offer offer;
    bool done = false;
    std::uint64_t state_id = 0;
  };
  std::optional<pull> pull_;
  std::uint64_t last_install_ = 0;
  bool feeding_install_ = false;
  std::string feed_address_;
  struct ::raft_io_snapshot_put* install_put_ = nullptr;
  ::raft_io_snapshot_put_cb install_cb_ = nullptr;
  store_token install_stored_;

  // As last reported.
  role_changed reported_;
  std::uint64_t reported_configuration_ = 0;
};

} // namespace troupe
