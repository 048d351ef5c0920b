#pragma once

#include "messages/units.hpp"

#include <compare>
#include <cstdint>

namespace troupe {

/// Nanoseconds since the machine booted, suspend included; never goes back. What leases count.
struct boot_time {
  std::uint64_t ns = 0;
  constexpr auto operator<=>(const boot_time&) const = default;
};

/// The only source of time. States get ticks or values read from it; they never hold one.
class clock {
public:
  virtual ~clock() = default;
  /// CLOCK_BOOTTIME: goes on in suspend, where CLOCK_MONOTONIC stops (hazards F25).
  virtual boot_time boot() const = 0;
  /// CLOCK_REALTIME: for people and inode times; may jump.
  virtual wall_time wall() const = 0;
};

/// The machine's clocks. Thread-safe.
const clock& system_clock();

} // namespace troupe
