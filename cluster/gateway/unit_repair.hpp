#pragma once

#include "cluster/gateway/drive_exchange.hpp"
#include "cluster/gateway/metadata_exchange.hpp"
#include "cluster/gateway/unit_reader.hpp"

#include <deque>
#include <functional>
#include <map>
#include <set>

namespace troupe {

/// Dynamic sector repair: a unit that a read found missing or wrong, on a drive that answers, is
/// made good behind the read. The stripe record is read again (somebody may have moved the unit),
/// the unit is read once more as a whole, computed from the others if it is still bad, stored as a
/// new run and put into the record by compare and swap (op_repair_unit); the partition frees the
/// old run.
///
/// Units on drives that only do not answer are not touched: they may come back. Those on drives
/// that the cluster has given up are, when somebody reads them; the rest of such a drive is the
/// business of a rebuild. Few repairs go on at once and few wait; a unit whose repair did not work
/// is left alone for a while, so that nothing is repeated endlessly.
class unit_repair {
public:
  /// The layouts that are known of this file are out of date.
  using moved_listener = std::function<void(lin)>;

  unit_repair(gateway_context& context, metadata_exchange& partitions, drive_exchange& drives,
              unit_reader& units)
    : ctx_(context), partitions_(partitions), drives_(drives), units_(units) {}
  void listen(moved_listener x) { moved_ = std::move(x); }

  /// A read met this. Told to the operator once, and repaired in the background if there is room.
  void report(damaged_unit damage);

private:
  using unit_key = std::pair<stripe_id, run_ref>;
  /// A unit on its way to another run.
  struct repair_job {
    damaged_unit damage;
    stripe_ptr stripe; ///< As the partition has it now.
    shared_bytes bytes;
    std::set<drive_uuid> tried;
    run_ref run; ///< The new one.
  };
  using job_ptr = std::shared_ptr<repair_job>;
  enum class next_step : std::uint8_t { done, again, go_on };

  procedure<void> work();
  procedure<void> repair(damaged_unit damage);
  procedure<next_step> look(job_ptr job);
  procedure<bool> store(job_ptr job);
  procedure<next_step> commit(job_ptr job);
  std::optional<drive_candidate> choose(const repair_job& job) const;
  void tell(const damaged_unit& damage);

  gateway_context& ctx_;
  metadata_exchange& partitions_;
  drive_exchange& drives_;
  unit_reader& units_;
  moved_listener moved_;
  std::deque<damaged_unit> waiting_;
  std::map<unit_key, boot_time> known_; ///< Reported; passed over until then.
  std::uint32_t running_ = 0;
};

} // namespace troupe
