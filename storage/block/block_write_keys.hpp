#pragma once

#include "messages/drive.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace troupe {

/// What a drive remembers of writes by their keys, bounded: the runs of finished ones, so that a
/// repeat gets the same answer, and the abandoned ones, so that a late one is refused.
/// Forgetting costs a leak at worst, never a block in use.
class block_write_keys {
public:
  block_write_keys(std::uint32_t done_max, std::uint32_t abandoned_max)
    : done_max_(done_max), abandoned_max_(abandoned_max) {}

  void remember_done(const write_key& key, const run_ref& run);
  /// The record of the run survived a crash, its bytes perhaps not: a repeat is stored anew, which
  /// costs a leak, but who abandons the write gets this run freed.
  void remember_unsure(const write_key& key, const run_ref& run);
  /// The run was freed: a repeat of its write, if one comes, is stored anew. (It may be the repeat
  /// of one who was never answered, while Collect took the run for a leak.)
  void forget_run(birth born);
  /// The run that answers a repeat.
  std::optional<run_ref> find_done(const write_key& key) const;
  /// The run that the write made, be it unsure.
  std::optional<run_ref> find_run(const write_key& key) const;
  /// `lsn` is that of the newest batch that says so, 0 while there is none.
  void remember_abandoned(const write_key& key, std::uint64_t lsn);
  bool is_abandoned(const write_key& key) const { return abandoned_.contains(key); }
  /// Abandoned keys whose newest record is older than `lsn`, oldest first.
  std::vector<write_key> abandoned_before(std::uint64_t lsn) const;
  /// The log is needed from here on for the abandoned keys; UINT64_MAX if not at all.
  std::uint64_t oldest_lsn() const;
  /// Drops what belongs to incarnations of the client up to `last`.
  void forget(client_id client, incarnation last);

private:
  struct finished_write {
    run_ref run;
    bool sure = true; ///< Its bytes are durable.
  };
  void remember(const write_key& key, const finished_write& write);
  void drop_abandoned(const write_key& key);

  std::uint32_t done_max_;
  std::uint32_t abandoned_max_;
  std::map<write_key, finished_write> done_;
  std::map<birth, write_key> done_by_birth_;     ///< In the order in which they were finished.
  std::map<write_key, std::uint64_t> abandoned_; ///< To its LSN.
  std::set<std::pair<std::uint64_t, write_key>> abandoned_by_lsn_;
};

} // namespace troupe
