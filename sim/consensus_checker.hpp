#pragma once

#include "messages/consensus.hpp"
#include "storage/consensus/consensus.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <string>

namespace troupe {

/// A command of the simulated state machine: an absolute put (id != 0) or delete of one row.
struct sim_command {
  std::uint64_t id = 0; ///< Unique; what the row then holds, unless `erase`.
  std::uint32_t row = 0;
  bool erase = false;
  bool operator==(const sim_command&) const = default;
};
shared_bytes encode_command(const sim_command& x);
sim_command decode_command(byte_view bytes);

/// The tables of the simulated state machine; 0 is an absent row.
struct sim_tables {
  static constexpr std::size_t row_count = 24;
  std::array<std::uint64_t, row_count> rows{};
  void apply(const sim_command& x) { rows.at(x.row) = x.erase ? 0 : x.id; }
  bool operator==(const sim_tables&) const = default;
};

/// Watches everything that leaves the replicas and knows what must hold. It drives nothing. The
/// first violation stays.
class consensus_checker {
public:
  /// A replica, in its `opening`-th life, acted as leader of `term`: it is ready to answer, or a
  /// leader's message left it.
  void led(replica_id replica, std::uint64_t opening, std::uint64_t term);
  /// A message left a replica.
  void sent(replica_id from, std::uint64_t opening, const send_message& x);
  /// A replica applied a command.
  void applied(replica_id replica, std::uint64_t index, std::uint64_t term,
               const sim_command& command);
  /// The command `id` was acknowledged to its client.
  void acknowledged(std::uint64_t id);
  /// A read was served at a replica that had applied up to `last_applied`.
  void read(replica_id replica, std::uint64_t last_applied);
  /// An acknowledgement leaves a replica: its disk has the entries, and they are those of the
  /// leader, whose log is `leader` (nullptr: not known).
  void acknowledges(replica_id replica, const durable_state& disk, const append_entries_result& x,
                    const durable_state* leader);
  /// A vote leaves a replica: its disk has it.
  void votes(replica_id replica, const durable_state& disk, std::uint64_t term, replica_id vote);
  /// A record did not fit a disk.
  void misfit(replica_id replica);
  void fail(std::string what);
  void fail_liveness(std::string what);

  /// All commands up to `index`, applied in order to empty tables.
  sim_tables tables_at(std::uint64_t index) const;
  std::uint64_t last_acknowledged() const { return last_acknowledged_; }
  std::uint64_t acknowledged_count() const { return acknowledged_count_; }
  std::uint64_t elections() const { return leaders_.size(); }
  std::uint64_t last_command() const { return log_.empty() ? 0 : log_.rbegin()->first; }
  std::uint64_t digest() const { return digest_; }
  const std::string& violation() const { return violation_; }
  bool stuck() const { return stuck_; }

private:
  void mix(std::uint64_t x) { digest_ = (digest_ ^ x) * 0x100000001b3ULL; }
  struct leadership {
    replica_id replica;
    std::uint64_t opening;
  };
  struct logged {
    std::uint64_t term;
    sim_command command;
  };
  std::map<std::uint64_t, leadership> leaders_;                      // by term
  std::map<std::pair<replica_id, std::uint64_t>, replica_id> votes_; // by voter and term
  std::map<std::uint64_t, logged> log_;                              // by index
  std::map<std::uint64_t, std::uint64_t> index_of_;                  // by command id
  std::uint64_t last_acknowledged_ = 0;
  std::uint64_t acknowledged_count_ = 0;
  std::uint64_t digest_ = 0xcbf29ce484222325ULL;
  std::string violation_;
  bool stuck_ = false;
};

} // namespace troupe
