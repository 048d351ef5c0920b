#pragma once

#include "messages/error.hpp"
#include "messages/units.hpp"

#include <cstdint>

namespace troupe {

/// Limits of one mounted drive. The defaults keep it below about 8 MiB plus the bytes of the
/// requests under way and one bit per block; tests use tiny values.
struct block_store_options {
  /// Requests accepted and not answered; beyond it errc::busy.
  std::uint32_t requests_max = 1024;
  /// Changes (stores, abandons, runs of a `free_runs`) worked on at once, and reads likewise; the
  /// others wait their turn.
  std::uint32_t tasks_max = 64;
  /// Bytes that reads under way may bring in at once (one read may always go on).
  std::uint64_t read_bytes_max = 16 * mib;
  /// Runs in one `free_runs`; beyond it errc::too_large.
  std::uint32_t free_runs_max = 16384;
  /// Pages of the run table held in memory, 4 KiB each (one page describes 168 blocks).
  std::uint32_t cache_pages_max = 1024;
  /// Of those, changed and not yet in place; a change that needs more waits for the checkpoint.
  std::uint32_t dirty_pages_max = 512;
  /// Bytes of one log batch; what does not fit goes into the next round.
  std::uint32_t batch_bytes_max = 64 * kib;
  /// Finished writes whose keys are remembered, so that a repeat gives the same run. The oldest is
  /// forgotten first: a repeat is then a second run, a leak that Collect finds.
  std::uint32_t done_keys_max = 8192;
  /// Abandoned writes that are remembered, durably. The oldest is forgotten first: if its write
  /// arrives even later, that is a leak.
  std::uint32_t abandoned_keys_max = 1024;
  /// Blocks kept for repair, in thousandths of the drive (hazards F31).
  std::uint32_t reserve_permille = 10;
  /// Only the simulator sets it, as a planted bug: bytes are given without a look at their
  /// checksums.
  bool planted_unchecked_reads = false;
};

/// Checks the limits against each other and against a log of `log_bytes`.
/// @returns errc::invalid_argument naming the first that does not fit.
expected<void> check(const block_store_options& options, std::uint64_t log_bytes);

} // namespace troupe
