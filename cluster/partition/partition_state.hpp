#pragma once

#include "cluster/partition/free_queue_state.hpp"
#include "cluster/partition/partition_effects.hpp"
#include "cluster/partition/partition_options.hpp"
#include "storage/meta/cleaner.hpp"

#include <deque>

namespace troupe {

/// Who sent a request, in which of his lives.
client_ref client_of(const meta_request& body);

/// One replica of a metadata partition, as far as it decides: around `evaluate` and `consensus`.
/// Followers apply entries without logic, so this is mostly the leader's part:
///
///     request ──> waiting ──> evaluated against the state with all that is in flight ──> collected
///                  │   ^  rows                                                              │ one
///                  v   │ loaded                                     propose_entries <───────┘
///                  batch
///                 loads                                                                     │
///     reply_meta <── promises <── proposal_finished, after `applied` of every entry <───────┘
///
/// - A change is answered when its entry is committed; a refusal that depends on uncommitted rows
///   too. A read sees applied rows only, and is answered at a moment when the leader holds its
///   read lease and the node its lease.
/// - Leadership lost: what was proposed "may have happened", the rest is definitely not done.
/// - The floor (hazards M1): `adopt` entries in the partition's own log. A leader with an older
///   configuration than the floor, or than a request, fetches it first; a commit prepared below
///   the floor is refused. A higher snapshot epoch is adopted before anything acts under it.
/// - Write leases: see lease_table_state.
///
/// The owner executes the effects in order and does not call back inside a call. Pure and
/// deterministic; not thread-safe.
class partition_state {
public:
  /// @param applied  the rows of this replica's table, as of the last `applied`; must live longer.
  partition_state(group_id group, replica_id self, const table_view& applied,
                  partition_options options = {});

  /// A client asks. Answered with exactly one `reply_meta`, at once or later.
  void request(partition_token token, meta_request body, const partition_now& now,
               partition_effects& out);
  /// Appends `adopt(version)` and answers with `reply_floor` when it is committed: from then on no
  /// change that was prepared under an older configuration happens here (hazards M1).
  void raise_floor(partition_token token, config_version version, const partition_now& now,
                   partition_effects& out);
  /// The rows of a `load_rows` are in memory, or cannot be read.
  void rows_loaded(load_token token, const expected<void>& outcome, const partition_now& now,
                   partition_effects& out);
  /// A committed entry is in the applied rows now. For every entry, on every replica.
  void applied(const table_batch& rows, const partition_now& now, partition_effects& out);
  /// What became of a batch. `committed`: all its entries were `applied` before; else leadership
  /// was lost and it may have happened.
  void proposal_finished(batch_number batch, bool committed, const partition_now& now,
                         partition_effects& out);
  /// Consensus did not take the batch (errc::busy, errc::not_leader): it is not in the log.
  void proposal_refused(batch_number batch, const partition_now& now, partition_effects& out);
  void role_changed(const partition_role& role, const partition_now& now, partition_effects& out);
  /// A configuration arrived; older ones than the present are passed over.
  void adopt(const cluster_config& config, const partition_now& now, partition_effects& out);
  /// The drive freed the runs of that `send_frees`, or did not answer in time.
  void frees_sent(free_number number, bool taken, const partition_now& now, partition_effects& out);
  /// Time passes; call it a few times a second.
  /// @param missing  replicas that this leader does not hear (consensus::followers).
  void tick(std::vector<replica_id> missing, const partition_now& now, partition_effects& out);

  /// Evaluates and answers.
  bool serving() const { return phase_ == phase::serving; }
  const partition_role& role() const { return role_; }
  config_version floor() const { return floor_; }
  snapshot_epoch epoch() const { return epoch_; }
  const partition_facts& facts() const { return facts_; }
  partition_counters counters() const;

private:
  enum class phase : std::uint8_t {
    following, ///< Refuses, with a hint.
    elected,   ///< Leads, but may not have applied everything yet: requests wait.
    opening,   ///< Reads what a leader must know: requests wait.
    serving,
  };
  /// Why a request waits.
  enum class obstacle : std::uint8_t { none, opening, lease, configuration, room, rows };
  struct waiting_request {
    partition_token token = 0;
    meta_request body;
    boot_time arrived;
    std::uint32_t restarts = 0;
    obstacle why = obstacle::none;
  };
  struct waiting_floor {
    partition_token token = 0;
    config_version version;
    boot_time arrived;
  };
  enum class load_purpose : std::uint8_t { request, opening, background };
  struct load_record {
    load_purpose purpose = load_purpose::request;
    waiting_request request;
  };
  enum class promise_kind : std::uint8_t { answer, floor, forget_client, cleaning, frees, other };
  /// What to do when a change is committed.
  struct promise {
    std::uint64_t number = 0; ///< Of the change in the pipeline.
    promise_kind kind = promise_kind::answer;
    waiting_request request; ///< Answers and floors: the token.
    std::variant<meta_result, error> outcome;
    bool definite = false;
    bool changed = false;     ///< It added rows; else it only waits for those it depends on.
    bool under_lease = false; ///< A commit that pins its write lease.
    bool answered = false;    ///< Given up on: "may have happened" was said.
    std::uint64_t count = 0;  ///< Frees: runs.
  };
  /// What a new leader reads first.
  struct opening_rows {
    config_version floor;
    snapshot_epoch epoch{1};
    std::map<client_id, incarnation> clients;
    bool root_exists = true; ///< Or it is not ours.
  };
  /// How far it has read the records of clients: memory need not hold all of them at once. They do
  /// not change before the leader serves.
  struct client_reading {
    std::string next; ///< Empty: at the beginning.
    std::map<client_id, incarnation> clients;
  };
  /// What decides whether held requests can go on.
  struct conditions {
    bool may_act = false;
    bool may_read = false;
    bool full = false;
    config_version config;
    config_version floor;
    bool operator==(const conditions&) const = default;
  };

  // partition_state.cpp: inputs, life cycle, the way into the log
  void pump(const partition_now& now, partition_effects& out);
  void open(const partition_now& now, partition_effects& out);
  std::variant<opening_rows, row_needs, error> read_opening_rows();
  std::variant<std::monostate, table_range, error> read_clients();
  void opening_failed(const error& why, partition_effects& out);
  void report_damage(const error& why, partition_effects& out) const;
  void lose(partition_effects& out);
  void propose(const partition_now& now, partition_effects& out);
  void keep_promises(std::uint64_t committed, const partition_now& now, partition_effects& out);
  void keep(promise& p, const partition_now& now, partition_effects& out);
  void keep_answer(promise& p, const partition_now& now, partition_effects& out);
  void adopt_floor_and_epoch(const partition_now& now, partition_effects& out);
  void watch(const table_batch& rows, const partition_now& now, partition_effects& out);
  void expire_waiting(const partition_now& now, partition_effects& out);
  void load(row_needs needs, load_record record, partition_effects& out);
  void fetch(config_version at_least, const partition_now& now, partition_effects& out);
  std::uint64_t add(const partition_entry& change);
  void promise_at(std::uint64_t number, promise p);
  std::size_t request_count() const;

  // partition_requests.cpp: one request
  bool step(waiting_request& r, const partition_now& now, partition_effects& out);
  bool change(waiting_request& r, const partition_now& now, partition_effects& out);
  bool read(waiting_request& r, const partition_now& now, partition_effects& out);
  bool renew(waiting_request& r, const partition_now& now, partition_effects& out);
  bool acquire(waiting_request& r, const partition_now& now, partition_effects& out);
  bool hold(waiting_request& r, obstacle why) const;
  bool needs_configuration(const waiting_request& r, const partition_now& now,
                           partition_effects& out);
  bool park(waiting_request& r, row_needs needs, partition_effects& out);
  void attach_lease(promise& p, const partition_now& now);
  void answer(const waiting_request& r, std::variant<meta_result, error> outcome, bool definite,
              partition_effects& out);
  void refuse(const waiting_request& r, error why, partition_effects& out);
  error refusal_of(const waiting_request& r, const partition_now& now) const;
  evaluation_context context_of(const meta_request& body, const partition_now& now) const;

  // partition_background.cpp: what a leader does by itself
  void background(const partition_now& now, partition_effects& out);
  bool forget_clients(const partition_now& now, partition_effects& out);
  bool clean(const partition_now& now, partition_effects& out);
  bool clean_next(const partition_now& now, partition_effects& out);
  bool send_next_frees(const partition_now& now, partition_effects& out);
  void remove_frees(const partition_now& now, partition_effects& out);
  bool add_background(evaluation_result result, promise p, partition_effects& out);
  evaluation_context context_of_own(const partition_now& now) const;
  void load_for_background(row_needs needs, partition_effects& out);
  void background_failed(const error& why, partition_effects& out);

  group_id group_;
  replica_id self_;
  const table_view& applied_;
  partition_options options_;

  phase phase_ = phase::following;
  partition_role role_;
  boot_time elected_;
  std::optional<boot_time> leaderless_since_;
  std::optional<error> damage_; ///< Why it cannot serve though it leads.
  client_reading client_reading_;
  partition_facts facts_;
  config_version floor_;    ///< Adopted, as of all that is in flight.
  snapshot_epoch epoch_{1}; ///< The same.
  std::vector<replica_id> missing_;
  boot_time fetched_at_;
  config_version fetched_;

  lease_table_state leases_;
  entry_pipeline_state pipeline_;
  free_queue_state frees_;
  std::optional<pending_frees> frees_to_remove_; ///< Taken by their drive.

  std::deque<waiting_request> waiting_; ///< To be evaluated, in order.
  std::deque<waiting_request> held_;    ///< Until conditions change.
  conditions held_under_;
  std::vector<waiting_floor> floors_;
  std::map<load_token, load_record> loads_;
  std::deque<promise> promises_; ///< Ascending by number.
  batch_number batch_;           ///< The last one proposed.
  std::uint64_t load_tokens_ = 0;

  bool background_loading_ = false;
  bool background_stopped_ = false;
  bool forgetting_ = false;
  bool cleaning_ = false;
  std::deque<clean_item> clean_items_; ///< Found, to be cleaned.
  std::string clean_from_;             ///< Where to look for more.
  boot_time background_at_;
  boot_time quiet_until_; ///< No cleaning and no frees before: there was nothing to do.
  partition_counters counters_;
};

} // namespace troupe
