#pragma once

#include "cluster/gateway/gateway_context.hpp"
#include "cluster/gateway/metadata_exchange.hpp"

#include <functional>
#include <map>
#include <optional>

namespace troupe {

/// The write leases of this client: acquires, renews all of a group with one request each second,
/// re-asserts them at once when a group has a new leader (hazards F14), gives them back. A lease is
/// good from the moment its grant or renewal was *sent*, for as long as the partition said.
class lease_keeper {
public:
  /// What happens to leases without being asked for.
  struct listener {
    std::function<void(lin)> recalled; ///< Somebody waits: flush and release soon.
    std::function<void(lin)> lost;     ///< It is somebody else's now, or nobody's.
  };

  lease_keeper(gateway_context& context, metadata_exchange& partitions)
    : ctx_(context), partitions_(partitions) {}
  void listen(listener x) { listener_ = std::move(x); }

  /// The lease to commit under, as long as it was not lost; good or not.
  std::optional<lease_id> held(lin file) const;
  /// True if no other client can have it now.
  bool good(lin file) const;
  bool recalled(lin file) const;
  std::size_t count() const { return leases_.size(); }

  /// Gets the lease, waiting up to the bounded wait while another client has it. The answer has
  /// the attributes of that moment. `give_up` ends the wait early with errc::interrupted.
  procedure<expected<lease_granted>> acquire(lin file, const bool* give_up = nullptr);
  /// Takes a lease that came with another answer, whose request was sent then, and waits until it
  /// is certain that the present leader knows it. @returns false if it is not ours: then it is as
  /// if it had not come along.
  procedure<bool> adopt(lin file, granted_lease lease, boot_time sent_at);
  /// Waits until the lease is good again. @returns errc::stale if it was lost meanwhile,
  /// errc::unavailable if the partition did not answer in the bounded wait.
  procedure<expected<void>> wait_until_good(lin file);
  /// Gives it back; waits until the partition has heard, so that the next `acquire` of the file
  /// cannot be overtaken. Nothing to do if it is not held.
  procedure<void> release(lin file);
  /// A commit gave it back.
  void released(lin file) { leases_.erase(file); }
  /// Asks the partition now whether the leases of this file's group are still ours.
  procedure<void> confirm(lin file);

  // what the metadata exchange and the view found out
  void session_ready(group_id group, slot_id slot);
  void session_lost(group_id group);
  /// Names the leases to the new leader at once; "none" is news to it, too.
  void leader_changed(group_id group);

private:
  struct lease_record {
    lease_id lease;
    std::uint32_t lease_ms = 0;
    boot_time runs_out;    ///< Counted from sending.
    bool doubtful = false; ///< The present leader may not know it: not good before it was named.
    bool recalled = false;
  };
  struct group_record {
    slot_id slot;
    boot_time renewed_at;
    bool renewing = false;
    bool again = false;     ///< The leader changed while a renewal was under way.
    std::uint64_t term = 0; ///< The highest of a lease.
  };

  procedure<void> renew_for_ever();
  procedure<void> renew_group(group_id group);
  op_renew_leases renewal_of(group_id group) const;
  bool may_name(const lease_record& record) const;
  void lose_run_out(group_id group);
  bool is_doubtful(group_id group, lease_id lease, boot_time sent_at);
  void take_news(const std::vector<held_lease>& named, const leases_renewed& news,
                 boot_time sent_at);
  void lose(lin file);

  gateway_context& ctx_;
  metadata_exchange& partitions_;
  listener listener_;
  std::map<lin, lease_record> leases_;
  std::map<group_id, group_record> groups_; ///< Where the client is registered.
  std::map<lin, std::uint32_t> releasing_;
  wait_list released_;
  wait_list renewed_;
  wait_list more_; ///< A first lease, or a first group.
  bool running_ = false;
};

} // namespace troupe
