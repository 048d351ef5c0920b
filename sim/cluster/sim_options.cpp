#include "sim/cluster/sim_options.hpp"

namespace troupe {

namespace {

constexpr std::uint64_t ms = 1'000'000;

void set_storage(sim_options& o) {
  o.drive_bytes = 2 * mib + 512 * kib;
  o.drive_log_bytes = 128 * kib;
  o.drives.requests_max = 256;
  o.drives.tasks_max = 4;
  o.drives.batch_bytes_max = 8 * kib;
  o.drives.abandoned_keys_max = 64;
  o.drives.done_keys_max = 256;
  o.drives.dirty_pages_max = 64;
  o.drives.cache_pages_max = 512;
  o.journal.segment_bytes = 256 * kib;
  o.journal.segment_count = 7;
  o.journal.batch_bytes_max = 56 * kib;
  o.journal.queue_bytes_max = 2 * mib;
  o.volume.tables.cache_bytes = 256 * kib;
  o.volume.tables.overlay_bytes_max = mib;
  o.volume.tables.write_bytes = 16 * kib;
  o.volume.tables.write_delay_bytes = 4 * kib;
  o.volume.tables.chunk_bytes = 4 * kib;
  o.volume.tables.load_bytes_max = 16 * kib;
  o.volume.laggard_segments = 2;
}

/// A third of the times of a real cluster, with the same relations between them.
void set_times(sim_options& o) {
  auto& c = o.replicas.consensus;
  c.election_timeout_ms = 1000;
  c.heartbeat_ms = 170;
  c.install_timeout_ms = 4000;
  c.message_bytes_max = 64 * kib;
  c.tail_bytes_max = 24 * kib;
  c.lagging_bytes_max = 64 * kib;
  c.batch_bytes_max = 48 * kib;
  o.replicas.preference = {1000 * ms, 5000 * ms};
  o.replicas.checkpoint_bytes = 32 * kib;
  o.replicas.journal_margin_bytes = 96 * kib;
  o.cluster.lease = {2700 * ms, 340 * ms, 340 * ms};
  o.restarts = {30 * ms, 1000 * ms, 10'000 * ms};
  auto& p = o.partitions_options;
  p.leases.lease_ms = 1340;
  p.leases.slack_ms = 134;
  p.leases.reserve_ms = 340;
  p.pipeline = {16 * kib, 40 * kib, 128 * kib};
  p.limits.entry_bytes_max = 40 * kib;
  p.wait_ms_max = 2700;
  p.behind_ms_max = 700;
  p.fetch_ms = 170;
  p.leaderless_ms = 2000;
  p.frees_retry_ms = 1700;
}

void set_gateway(gateway_options& o) {
  o.write_buffer_bytes_max = 512 * kib;
  o.read_cache_bytes_max = 256 * kib;
  o.readahead_bytes_max = 64 * kib;
  o.stripes_in_flight_max = 4;
  o.commit_stripes_min = 2;
  o.commit_stripes_max = 8;
  o.commit_delay_ms_max = 30;
  o.dirty_age_ms_max = 1200;
  o.wait_ms_max = 8000;
  o.meta_attempt_ms = 850;
  o.backoff_ms_max = 170;
  o.lease_retry_ms = 17;
  o.lease_renew_ms = 330;
  o.lease_attempt_ms = 260;
  o.idle_renew_ms = 20'000;
  o.store_timeout_ms = 700;
  o.drive_timeout_ms = 3300;
  o.read_hedge_ms = 130;
  o.drive_rest_ms = 1700;
}

} // namespace

sim_options draw_options(const cluster_run& run, random_source& random) {
  struct shape {
    std::uint32_t nodes;
    std::uint32_t drives;
    const char* level;
  };
  static constexpr shape shapes[] = {{5, 2, "+2d:1n"}, {3, 3, "+2d:1n"}, {3, 2, "+1n"},
                                     {4, 2, "+2d:1n"}, {5, 2, "+2n"},    {3, 2, "2x"}};
  const auto& s = shapes[random.below(std::size(shapes))];
  sim_options o;
  o.nodes = s.nodes;
  o.drives_per_node = s.drives;
  if (auto level = parse_protection_level(s.level))
    o.level = *level;
  o.partitions = static_cast<std::uint32_t>(random.between(1, 3));
  o.clients = static_cast<std::uint32_t>(random.between(2, 3));
  o.pause_between_calls_ms = random.between(20, 120);
  set_storage(o);
  if (run.planted == planted_bug::late_write)
    o.drive_bytes = mib + 256 * kib; // blocks are used again soon
  set_times(o);
  set_gateway(o.gateway);
  o.drives.planted_unchecked_reads = run.planted == planted_bug::unchecked_data;
  o.gateway.planted_unchecked_reads = run.planted == planted_bug::unchecked_data;
  o.partitions_options.leases.planted_no_grace = run.planted == planted_bug::lost_lease_table;
  return o;
}

} // namespace troupe
