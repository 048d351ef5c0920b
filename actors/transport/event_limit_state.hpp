#pragma once

#include "storage/base/clock.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace troupe {

/// Keeps a flood of refusals from becoming a flood of events: of each kind a burst is told, then
/// one per interval, and each tells how many were left out since the one before.
class event_limit_state {
public:
  explicit event_limit_state(std::uint32_t burst_max = 20,
                             std::uint64_t interval_ns = 1'000'000'000)
    : burst_max_(burst_max), interval_ns_(interval_ns) {}

  /// @returns how many of this kind were left out, or nothing if this one is left out, too.
  std::optional<std::uint64_t> tell(const std::string& kind, boot_time now);

private:
  struct kind_record {
    std::uint32_t left = 0;
    boot_time refilled;
    std::uint64_t left_out = 0;
  };
  std::uint32_t burst_max_;
  std::uint64_t interval_ns_;
  std::map<std::string, kind_record> kinds_; // a handful of names of events
};

} // namespace troupe
