#pragma once

#include "storage/base/clock.hpp"

#include <cstdint>
#include <optional>

namespace troupe {

struct restart_options {
  std::uint64_t delay_first_ns = 100'000'000;  ///< After the first death.
  std::uint64_t delay_max_ns = 10'000'000'000; ///< The delay doubles up to this…
  std::uint64_t stable_ns = 30'000'000'000;    ///< …until something has lived so long.
};

/// When to start again something that died: at once at first, later and later while it keeps
/// dying. For node processes (failsafe) and actors alike. Not thread-safe.
class restart_state {
public:
  explicit restart_state(restart_options options = {}) : options_(options) {}

  void started(boot_time now);
  /// It died. @returns when to start it again.
  boot_time died(boot_time now);
  std::uint64_t restarts() const { return restarts_; }

private:
  restart_options options_;
  std::optional<boot_time> started_at_;
  std::uint64_t delay_ns_ = 0;
  std::uint64_t restarts_ = 0;
};

} // namespace troupe
