#pragma once

#include "sim/cluster/cluster_run.hpp"
#include "sim/event_queue.hpp"
#include "sim/random.hpp"
#include "storage/base/clock.hpp"

#include <algorithm>
#include <ostream>
#include <string>
#include <string_view>

namespace troupe {

/// What all parts of a simulated cluster share: one seed, one queue, one digest, one verdict.
struct surroundings {
  explicit surroundings(const cluster_run& r)
    : run(r), random(r.seed * 0x2545f4914f6cdd1dULL + r.seed) {}

  cluster_run run;
  random_source random;
  event_queue events;
  cluster_verdict verdict;
  bool chaos = true; ///< Faults happen.

  /// Adds a number to the digest. Source: the mixing step of splitmix64.
  void mix(std::uint64_t x) {
    auto z = verdict.digest + 0x9e3779b97f4a7c15ULL + x;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    verdict.digest = z ^ (z >> 31);
  }
  void mix(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325ULL; // FNV-1a
    for (unsigned char c : text)
      hash = (hash ^ c) * 0x100000001b3ULL;
    mix(hash);
  }
  /// One thing that happened: into the digest, and into the trace if there is one.
  void note(std::string_view what) {
    mix(events.now());
    mix(what);
    trace(what);
  }
  /// For readers of the trace only: no part of the digest.
  void trace(std::string_view what) {
    if (run.trace != nullptr)
      *run.trace << events.now() / 1'000'000 << "." << events.now() / 1000 % 1000 << " ms " << what
                 << "\n";
  }
  /// A checker is not content. The first one counts.
  void violate(const std::string& why) {
    note("VIOLATION " + why);
    if (verdict.violation.empty())
      verdict.violation = "at " + std::to_string(events.now() / 1'000'000) + " ms: " + why;
  }
  bool planted(planted_bug bug) const { return run.planted == bug; }
};

/// The clocks of one machine: they run a little fast or slow, and begin anywhere.
class sim_clock final : public clock {
public:
  explicit sim_clock(const event_queue& events) : events_(events) {}

  /// The machine boots.
  void start(std::uint64_t offset_ns, std::int64_t rate_ppm) {
    since_ = events_.now();
    offset_ = offset_ns;
    rate_ppm_ = rate_ppm;
  }
  boot_time boot() const override { return {offset_ + scaled(events_.now() - since_)}; }
  wall_time wall() const override {
    return {1'700'000'000'000'000'000 + static_cast<std::int64_t>(events_.now())
            + rate_ppm_ * 1'000'000};
  }
  /// How long it really takes until this clock shows `then`.
  std::uint64_t until(boot_time then) const {
    auto now = boot();
    if (then <= now)
      return 0;
    auto local = std::min<std::uint64_t>(then.ns - now.ns, 3'600'000'000'000);
    return local * 1'000'000 / static_cast<std::uint64_t>(1'000'000 + rate_ppm_) + 1000;
  }

private:
  std::uint64_t scaled(std::uint64_t ns) const {
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(ns)
                                      + static_cast<std::int64_t>(ns) / 1'000'000 * rate_ppm_);
  }

  const event_queue& events_;
  std::uint64_t since_ = 0;
  std::uint64_t offset_ = 0;
  std::int64_t rate_ppm_ = 0;
};

} // namespace troupe
