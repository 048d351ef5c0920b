#pragma once

#include "cluster/partition/entry_pipeline_state.hpp"
#include "cluster/partition/lease_table_state.hpp"
#include "storage/meta/evaluate.hpp"

namespace troupe {

/// Bounds and times of the leader of one metadata partition.
struct partition_options {
  lease_options leases;
  entry_pipeline_options pipeline;
  meta_limits limits;                 ///< `lease_ms` is set from `leases`.
  std::uint32_t requests_max = 2048;  ///< In all stages together; then errc::busy.
  std::uint32_t restarts_max = 200;   ///< Loads for one request; then errc::busy.
  std::uint32_t wait_ms_max = 8000;   ///< For lease, majority, rows; then a refusal that says why.
  std::uint32_t behind_ms_max = 2000; ///< For a newer configuration; then errc::behind.
  std::uint32_t fetch_ms = 500;       ///< Between two questions for a configuration.
  std::uint32_t leaderless_ms = 6000; ///< Without a leader this long: errc::unavailable.
  std::uint32_t client_forget_ms = 600'000; ///< Silent this long: its session is forgotten.
  std::uint32_t background_ms = 100; ///< Least distance of background steps while clients wait.
  /// Before a drive that did not take its frees is asked again.
  std::uint32_t frees_retry_ms = 5000;
  std::uint32_t frees_batches_max = 16; ///< Entries whose frees go to a drive together.
  std::uint32_t clean_rows_max = 64;    ///< Candidates looked at for cleaning at once.
  std::uint32_t root_mode = 0755;       ///< Of the root directory when the cluster is made.
};

} // namespace troupe
