#pragma once

#include "messages/admin.hpp"
#include "messages/bytes.hpp"
#include "messages/metadata.hpp"
#include "storage/base/clock.hpp"
#include "storage/meta/table_types.hpp"

#include <map>
#include <string>
#include <variant>
#include <vector>

namespace troupe {

/// Names a request until its reply; given by the owner.
using partition_token = std::uint64_t;
/// Names a batch of entries until consensus says what became of it.
using batch_number = strong_id<struct batch_number_tag, std::uint64_t>;
/// Names one sending of frees to a drive; never used again, whoever leads.
using free_number = strong_id<struct free_number_tag, std::uint64_t>;
/// Names a load of rows until they are there.
using load_token = strong_id<struct load_token_tag, std::uint64_t>;

/// What time it is, and what this replica may do now. Given with every input.
struct partition_now {
  boot_time boot;
  wall_time wall;
  boot_time read_lease_until;    ///< consensus::read_lease_until
  boot_time node_lease_until;    ///< node_lease_holder_state::valid_until
  bool store_overloaded = false; ///< table_store::overloaded
  bool metadata_full = false;    ///< replica_volume::metadata_full

  /// May it propose, and answer what was committed (hazards F6)?
  bool may_act() const { return boot < node_lease_until; }
  /// May it answer from applied state, and grant leases?
  bool may_read() const { return may_act() && boot < read_lease_until; }
};

/// Who leads, as consensus says.
struct partition_role {
  bool leads = false;
  bool ready = false; ///< Leads and has applied its own-term barrier.
  std::uint64_t term = 0;
  replica_id leader; ///< 0 if unknown.
};

// Effects, to be executed in this order.

/// Propose these entries as one batch. Answer with `proposal_finished` or `proposal_refused`.
struct propose_entries {
  batch_number batch;
  std::vector<shared_bytes> entries;
};
/// The answer to a request.
struct reply_meta {
  partition_token token = 0;
  meta_response response;
};
/// The answer to `raise_floor`.
struct reply_floor {
  partition_token token = 0;
  expected<void> outcome;
};
/// Load rows of this partition's table. Answer with `rows_loaded`.
struct load_rows {
  load_token token;
  row_needs needs;
};
/// Free these runs on their drive. Answer with `frees_sent`.
struct send_frees {
  free_number number;
  drive_uuid drive;
  std::vector<run_ref> runs;
};
/// Ask the cluster group for a configuration of at least this version; `adopt` it when it comes.
struct fetch_newer_config {
  config_version at_least;
};
/// Something that an operator may want to know.
struct partition_event {
  event_severity severity = event_severity::info;
  std::string name;
  std::map<std::string, std::string> fields;
};
using partition_effect = std::variant<propose_entries, reply_meta, reply_floor, load_rows,
                                      send_frees, fetch_newer_config, partition_event>;
using partition_effects = std::vector<partition_effect>;

/// What the partition did since it was opened here.
struct operation_counters {
  std::uint64_t received = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t refused = 0; ///< Every other answer.
};
struct partition_counters {
  std::map<std::string, operation_counters> operations; ///< By `name_of`.
  std::uint64_t batches = 0;                            ///< Proposed.
  std::uint64_t entries = 0;                            ///< In them.
  std::uint64_t entry_bytes = 0;                        ///< Of them.
  std::uint64_t changes = 0;                            ///< Evaluations that went into them.
  std::uint64_t restarts = 0;                           ///< Evaluations that had to wait for rows.
  std::uint64_t elections = 0;                          ///< Times this replica began to serve.
  std::uint64_t cleaned = 0;                            ///< Cleaning steps committed.
  std::uint64_t freed_runs = 0;                         ///< Frees acknowledged by their drives.
  std::uint64_t clients = 0;                            ///< Registered now.
  std::uint64_t leases = 0;                             ///< Held now.
  std::uint64_t waiting = 0;                            ///< Requests in any stage now.
};

} // namespace troupe
