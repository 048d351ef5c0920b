#pragma once

#include "messages/ids.hpp"
#include "messages/units.hpp"

#include <cstdint>

namespace troupe {

/// Limits and times of one gateway. Tests run with small ones.
struct gateway_options {
  client_id client;             ///< Given by the cluster group, for this process alone.
  incarnation first_session{1}; ///< Of the client's sessions; grows when a group forgot one.

  std::uint64_t write_buffer_bytes_max = 64 * mib; ///< Dirty data; beyond it writers wait.
  std::uint64_t read_cache_bytes_max = 32 * mib;   ///< Units kept for the readers of open files.
  std::uint64_t readahead_bytes_max = 4 * mib;     ///< Ahead of one sequential reader.
  std::uint32_t stripes_in_flight_max = 16;        ///< Being stored at once.
  std::uint32_t commit_stripes_min = 16;           ///< So many stripes are committed at once…
  std::uint32_t commit_stripes_max = 64;
  std::uint64_t commit_delay_ms_max = 100;  ///< …or when the first has waited so long.
  std::uint64_t dirty_age_ms_max = 5000;    ///< Then buffered data is stored without being asked.
  std::uint32_t layout_extents_max = 256;   ///< Asked for in one request.
  std::uint32_t cached_extents_max = 16384; ///< Per open file; beyond it they are forgotten.

  std::uint64_t file_bytes_max = 1ull << 52; ///< As partitions allow.

  std::uint64_t wait_ms_max = 30'000;      ///< For a partition or drives, before it is an error.
  std::uint64_t meta_attempt_ms = 2500;    ///< Then another replica is asked.
  std::uint64_t backoff_ms_min = 10;       ///< After a refusal; doubles…
  std::uint64_t backoff_ms_max = 500;      ///< …up to this.
  std::uint64_t lease_retry_ms = 50;       ///< While another client holds the write lease.
  std::uint64_t lease_renew_ms = 1000;     ///< In a group where files are held.
  std::uint64_t lease_attempt_ms = 800;    ///< For one renewal; several must fit into a lease.
  std::uint64_t idle_renew_ms = 60'000;    ///< In others, so that they do not forget the client.
  std::uint64_t store_timeout_ms = 2000;   ///< Then another drive is tried, if there is one.
  std::uint64_t drive_timeout_ms = 10'000; ///< Then the request has failed.
  std::uint64_t read_hedge_ms = 400;       ///< Then the unit is reconstructed meanwhile.
  std::uint64_t drive_rest_ms = 5000;      ///< A drive that failed is left alone for so long.

  std::uint32_t repairs_at_once_max = 2;   ///< Damaged units that are being repaired.
  std::uint32_t repairs_waiting_max = 256; ///< Others; beyond it a later read reports them again.
  std::uint64_t repair_delay_ms = 50;      ///< The read that found the damage goes first.
  std::uint64_t repair_again_ms = 60'000;  ///< Before the same unit is reported and tried again.
  /// Only the simulator sets it, as a planted bug: units are believed without their checksums.
  bool planted_unchecked_reads = false;
};

} // namespace troupe
