#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace troupe {

/// Bugs that a run can be given, to see that the checkers notice (hazards, section F). Most lie in
/// the surroundings that the simulator makes; the others are test-only options of a state.
enum class planted_bug : std::uint8_t {
  none,
  lying_drive,       ///< A drive says "synced" before its block file is.
  lying_journal,     ///< The same of the journal.
  free_by_old_birth, ///< F2: a drive frees what lies at that place now, whatever its birth.
  late_write,        ///< F3: a write to a block file is done again, much later.
  no_node_lease,     ///< F6: a node acts as if its lease never ran out.
  lost_lease_table,  ///< F14: a new leader grants at once what its predecessor had granted.
  unchecked_data,    ///< Nobody looks at the checksums of what a drive gives.
  forgotten_retry,   ///< F20: a repeated change is another change.
  amnesiac_drive,    ///< F23d: after a power cut a drive that hosts replicas is made anew.
  no_overlay,        ///< F24: a state that is pulled lacks what is not in the engine yet.
};

/// How hostile the world of a cluster is. Times are virtual; "every" is a mean. Each run draws its
/// own share of each.
struct cluster_faults {
  std::uint32_t loss_per_mille_max = 50; ///< Of consensus parcels, as the next three.
  std::uint32_t duplicate_per_mille_max = 30;
  std::uint32_t late_per_mille_max = 20;
  std::uint32_t late_ms_max = 1500;
  std::uint32_t delay_ms_max = 6;      ///< Of what is in time.
  std::uint32_t break_every_ms = 1200; ///< A connection is lost.
  std::uint32_t split_every_ms = 2500;
  std::uint32_t split_ms_max = 4500;
  std::uint32_t power_cut_every_ms = 4000;  ///< Of one node.
  std::uint32_t kill_every_ms = 4000;       ///< Of a node's process.
  std::uint32_t blackout_every_ms = 12'000; ///< Power cut of all nodes.
  std::uint32_t down_ms_max = 3000;
  std::uint32_t replica_kill_every_ms = 2500;
  std::uint32_t drive_kill_every_ms = 4000;
  std::uint32_t hand_over_every_ms = 1000; ///< A leader hands over to a follower that is well.
  std::uint32_t pause_every_ms = 4000;     ///< A process stands still.
  std::uint32_t pause_ms_max = 4000;
  std::uint32_t slow_disk_every_ms = 4000;
  std::uint32_t slow_disk_ms_max = 300;
  std::uint32_t io_error_every_ms = 12'000; ///< A sync of a block file fails: the drive is dead.
  std::uint32_t bit_flip_every_ms = 900;    ///< On data blocks of one drive.
  std::uint32_t client_crash_every_ms = 8000;
  std::uint32_t free_again_per_mille = 200;  ///< Frees that come again, seconds later.
  std::uint32_t clock_rate_ppm_max = 20'000; ///< Clocks run up to this much fast or slow.
};

/// One run of the cluster simulator.
struct cluster_run {
  std::uint64_t seed = 1;
  std::uint32_t chaos_ms = 12'000; ///< Then everything heals.
  std::uint32_t heal_ms = 60'000;  ///< Until then everything must have answered.
  cluster_faults faults;
  planted_bug planted = planted_bug::none;
  std::ostream* trace = nullptr; ///< One line per event, if not null.
};

/// What came of it. `violation` is empty if every checker was content.
struct cluster_verdict {
  std::string violation;
  std::uint64_t digest = 0; ///< Over everything that was sent, stored, asked and answered.
  std::uint64_t events = 0;
  std::uint64_t virtual_ms = 0;
  std::uint64_t calls = 0;     ///< Of the workload.
  std::uint64_t succeeded = 0; ///< Of those.
  std::uint64_t refused = 0;   ///< Answered with an error that says what is.
  std::uint64_t unsure = 0;    ///< Answered with one after which anything may be.
  std::uint64_t reads_checked = 0;
  std::uint64_t names_checked = 0;
  std::uint64_t units_checked = 0;
  std::uint64_t elections = 0;
  std::uint64_t power_cuts = 0;
  std::uint64_t kills = 0;
  std::uint64_t installs = 0;
  std::uint64_t hand_overs = 0;
  std::uint64_t bits_flipped = 0;

  bool ok() const { return violation.empty(); }
};

/// Runs one seed. The same `run` gives the same verdict, digest included.
cluster_verdict simulate_cluster(const cluster_run& run);

/// "lying_drive", …; `none` is "none".
const char* to_string(planted_bug bug);
/// All that can be planted, in order, without `none`.
const std::vector<planted_bug>& planted_bugs();

} // namespace troupe
