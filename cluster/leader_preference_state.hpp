#pragma once

#include "messages/ids.hpp"
#include "storage/base/clock.hpp"

#include <optional>

namespace troupe {

struct leader_preference_options {
  std::uint64_t settled_ns = 3'000'000'000; ///< How long the preferred one must look well.
  std::uint64_t again_ns = 15'000'000'000;  ///< Pause after an attempt, successful or not.
};

/// Brings the leadership of a group home: each group has a preferred leader, so that all nodes
/// share the work, and whoever leads instead hands over once that replica is caught up and has
/// been well for a while. Not thread-safe.
class leader_preference_state {
public:
  explicit leader_preference_state(leader_preference_options options = {}) : options_(options) {}

  /// One look at the group, from its leader, with a few looks per second.
  /// @param preferred_is_well the preferred replica answers, has everything that is committed, and
  ///        its node is up.
  /// @returns true if leadership should be transferred to the preferred replica now.
  bool look(bool leads, replica_id self, replica_id preferred, bool preferred_is_well,
            boot_time now);

private:
  leader_preference_options options_;
  std::optional<boot_time> well_since_;
  std::optional<boot_time> last_attempt_;
};

} // namespace troupe
