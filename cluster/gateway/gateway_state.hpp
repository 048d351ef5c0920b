#pragma once

#include "cluster/gateway/file_calls.hpp"
#include "cluster/gateway/gateway_effects.hpp"
#include "cluster/gateway/gateway_options.hpp"
#include "messages/cluster_view.hpp"
#include "storage/base/clock.hpp"

#include <memory>
#include <optional>
#include <string>

namespace troupe {

/// Both clocks, as the owner read them for one input.
struct instant {
  boot_time boot;
  wall_time wall;
};

/// What a gateway shows of itself; sums since it was made.
struct gateway_report {
  std::uint64_t open_handles = 0;
  std::uint64_t leases_held = 0;
  std::uint64_t dirty_bytes = 0;
  std::uint64_t read_cache_bytes = 0;
  std::uint64_t calls = 0;
  std::uint64_t meta_requests = 0;
  std::uint64_t meta_retries = 0;
  std::uint64_t drive_requests = 0;
  std::uint64_t stripes_stored = 0;
  std::uint64_t units_replaced = 0;  ///< A drive failed mid-write: another one took the unit.
  std::uint64_t stripes_at_risk = 0; ///< Written below the level asked for (hazards F29).
  std::uint64_t commits = 0;
  std::uint64_t units_reconstructed = 0; ///< On read.
  std::uint64_t units_repaired = 0;      ///< Behind reads.
  std::uint64_t bytes_written = 0;
  std::uint64_t bytes_read = 0;
};

/// The client side of the file system, in a mount, a command or a node: turns calls into requests
/// to partitions and drives, holds write leases, buffers, lays out, encodes, commits, reads back,
/// reconstructs. The same inputs give the same effects; they are appended to `out`, never executed.
/// Not thread-safe. Cost of an input: what it does at once, the encoding of a stripe included
/// (0.1 ms per MiB).
///
/// Every call is answered exactly once, at the latest when the bounded waits inside it are over.
/// Destroying the state answers nothing; what was not flushed is lost.
class gateway_state {
public:
  gateway_state(gateway_options options, cluster_view view);
  gateway_state(gateway_state&&) noexcept;
  ~gateway_state();

  /// A door asks. A token that is in use is a bug.
  void call(call_token token, file_call what, instant now, gateway_effects& out);
  /// The caller gave up (FUSE INTERRUPT): a call that only waits for a lease is answered
  /// errc::interrupted; any other one takes its course.
  void interrupt(call_token token, instant now, gateway_effects& out);

  /// Answers to `send_meta` and `send_drive`; one for a request that was given up is ignored.
  /// `meta_failed`: errc::unavailable if it was certainly not sent, else may_have_happened.
  void meta_answered(meta_token token, meta_response response, instant now, gateway_effects& out);
  void meta_failed(meta_token token, error cause, instant now, gateway_effects& out);
  void drive_answered(drive_token token, expected<drive_answer> answer, instant now,
                      gateway_effects& out);

  /// The newest configuration; an older one than it has is ignored.
  void update_view(cluster_view view, instant now, gateway_effects& out);
  /// The link to a node broke or is back: nothing is sent to it meanwhile, and what waits for its
  /// drives goes elsewhere at once.
  void link_changed(node_id node, bool up, instant now, gateway_effects& out);

  /// Time passes. To be called at `next_tick` at the latest; earlier and more often is fine.
  void tick(instant now, gateway_effects& out);
  /// When it wants to be called next; nothing if it waits for nothing.
  std::optional<boot_time> next_tick() const;

  /// Stores everything that is buffered and gives all leases back; the token is answered with
  /// `done` or the first error. For an orderly end of the process.
  void shut_down(call_token token, instant now, gateway_effects& out);

  gateway_report report() const;

private:
  class parts;
  std::unique_ptr<parts> parts_;
};

} // namespace troupe
