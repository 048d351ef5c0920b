#pragma once

#include "cluster/leader_preference_state.hpp"
#include "cluster/replica/replica_services.hpp"
#include "messages/admin.hpp"
#include "storage/consensus/consensus.hpp"

#include <deque>
#include <memory>
#include <optional>

namespace troupe {

struct replica_options {
  consensus_options consensus;
  leader_preference_options preference;
  std::uint64_t checkpoint_bytes = 8 * mib; ///< Log behind the checkpoint before a new one.
  /// Of the journal's room that proposals leave to what must always fit: the first entry of a new
  /// leader, and what other nodes' leaders have agreed on already.
  std::uint64_t journal_margin_bytes = 2 * mib;
};

/// One replica of a group, without what it decides about: steps consensus and executes its orders.
/// Log records go to the drive's journal, committed commands to its tables (through the derived
/// class), messages to the peers; checkpoints are taken when the log grew or the journal asks for
/// it; a streamed state is pulled into fresh tables and switched to by one durable record (F24).
/// One thread. Destroying it while orders are under way is fine: their ends are dropped.
class replica_base {
public:
  replica_base(replica_identity self, replica_services services, const replica_options& options);
  virtual ~replica_base();
  replica_base(const replica_base&) = delete;
  replica_base& operator=(const replica_base&) = delete;

  /// Begins with what the journal kept. Called once, after construction.
  void open(durable_state state);
  void receive(replica_id from, consensus_message message);
  /// A few times per heartbeat, for all replicas of a node in one burst.
  virtual void tick();
  void set_preferred_leader(replica_id preferred, bool its_node_is_up);
  /// Hands leadership to that follower, or (0) to the first one that is well. @returns
  /// errc::not_leader, errc::busy, errc::invalid_argument: nothing happens.
  expected<void> hand_over(replica_id to);
  /// Serves a peer that pulls this replica's state.
  void serve_pull(const pull_state& request, std::function<void(expected<state_piece>)> done);
  /// Consensus wants to be opened anew from the journal (guards D and I), or its drive failed.
  bool finished() const { return finished_; }
  virtual replica_report report() const;
  const replica_identity& identity() const { return self_; }

protected:
  // What the derived class does about it. All run inside `drain`.
  virtual void on_opened() = 0; ///< Tables are open; before any command.
  virtual void on_role(const role_changed& role) = 0;
  virtual void on_command(const apply_command& command) = 0; ///< Calls `apply_rows`.
  virtual void on_proposal(const proposal_finished& result) = 0;
  virtual void on_state_replaced() = 0; ///< The tables are other ones now.

  /// The clock itself: leases and the patience of voters must not count from the begin of a turn.
  boot_time now() const { return services_.time->boot(); }
  table_store& tables() const { return services_.volume->tables(); }
  table_id table() const { return table_; }
  consensus& raft() { return *consensus_; }
  const consensus& raft() const { return *consensus_; }
  bool is_open() const { return consensus_ && !finished_; }
  /// @returns errc::busy, nothing done, while the journal has no room: checkpoints make some; the
  /// error of the drive if it failed.
  expected<proposal_token> propose(std::span<const shared_bytes> commands);
  void apply_rows(table_batch rows, std::uint64_t index);
  void raise(event_severity severity, const std::string& name,
             std::map<std::string, std::string> fields) const;
  std::vector<replica_id> missing_replicas() const;
  /// Of commands in messages that wait for the drive.
  std::uint64_t waiting_bytes() const { return waiting_bytes_; }

  replica_identity self_;
  replica_services services_;
  replica_options options_;
  std::uint64_t commits_ = 0; ///< Commands committed while this replica led.
  /// All that this replica ever applied before it was opened, it has applied again.
  bool has_replayed() {
    replayed_ = replayed_ || (consensus_ && effects_.empty() && applied_through() >= replay_until_);
    return replayed_;
  }
  /// True as long as this object lives: callbacks of other objects look at it first.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

private:
  /// Runs `step` on consensus and executes everything that follows from it, in order.
  template <class Step>
  void drive(Step step);
  void drain();
  void execute(send_message& x);
  void execute(store_records& x);
  void execute(apply_command& x);
  void execute(proposal_finished& x);
  void execute(role_changed& x);
  void execute(members_changed& x);
  void execute(change_finished& x);
  void execute(transfer_finished& x);
  void execute(install_state& x);
  void execute(switch_state& x);
  void execute(drop_state& x);
  void execute(reopen_group& x);
  void hand_over(replica_id from, consensus_message message);
  void take_waiting();
  void drop_other_tables();
  void stored(store_token token, const expected<void>& result);
  /// Has the journal room for entries of so many bytes? An entry that it refuses ends the replica.
  bool journal_admits(std::uint64_t bytes);
  /// The tables hold all commands up to this index: between orders all that consensus applied,
  /// entries without commands at the end included, which the tables never hear of.
  std::uint64_t applied_through() const;
  void checkpoint_if_due();
  void rewrite_if_fits(std::uint64_t bytes_max);
  void end_pull();
  void go_home_if_due();

  // The pull of a state, one at a time.
  struct install {
    install_token token;
    replica_id from;
    std::uint64_t index = 0;
    std::uint64_t state_id = 0;
    table_id table;
    std::uint64_t pull = 0;  ///< Its name at the source.
    std::uint64_t piece = 0; ///< The last one asked for.
    bool recorded = false;   ///< Consensus was told: the journal may name the tables already.
  };
  /// The pull that this replica serves.
  struct outgoing {
    std::uint64_t pull = 0;
    std::uint64_t piece = 0; ///< The last one given out.
    boot_time used;
  };
  void begin_outgoing(std::function<void(expected<state_piece>)> done);
  void end_outgoing(std::uint64_t pull, const std::function<void(expected<state_piece>)>& done);
  void give_piece(const pull_state& request, std::function<void(expected<state_piece>)> done);
  void begin_install();
  void next_piece();
  void take_piece(std::uint64_t state_id, expected<state_piece> piece);
  void abort_install(const error& why);

  std::optional<consensus> consensus_;
  leader_preference_state preference_;
  replica_id preferred_;
  bool preferred_node_up_ = false;
  table_id table_;
  std::uint64_t state_ids_ = 0; ///< The highest name of tables given so far.
  std::optional<install> install_;
  std::optional<outgoing> outgoing_;
  std::uint64_t replay_until_ = 0; ///< Nothing behind it can have been applied before the opening.
  std::deque<consensus_effect> effects_;
  struct waiting_message {
    replica_id from;
    consensus_message message;
  };
  /// Entries, and what came behind them, while consensus waits for orders: what the journal admits
  /// must be appended at once.
  std::deque<waiting_message> waiting_;
  std::uint64_t waiting_bytes_ = 0; ///< Of commands in them.
  std::uint64_t orders_ = 0;        ///< That consensus waits for.
  bool draining_ = false;
  bool replayed_ = false;
  bool checkpointing_ = false;
  bool rewriting_ = false;    ///< Its log, because the journal needs the room.
  bool journal_full_ = false; ///< It was said.
  bool finished_ = false;
};

} // namespace troupe
