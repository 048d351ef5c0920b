#pragma once

#include "messages/ids.hpp"

#include <cstdint>
#include <map>
#include <set>

namespace troupe {

/// The numbers of a client's changes, per slot: each change bears its own through all repetitions,
/// and the low-water mark tells the partition which results nobody asks for any more
/// (hazards F20). Numbers only grow, also over a new session. Pure.
class sequence_table {
public:
  /// The number of a new change in this slot; outstanding until `finish`.
  std::uint64_t begin(slot_id slot);
  /// Its result is known, or nobody waits for it any more: it will not be sent again.
  void finish(slot_id slot, std::uint64_t sequence);
  /// All numbers up to this one are finished.
  std::uint64_t low_water(slot_id slot) const;

private:
  struct slot_record {
    std::uint64_t last = 0;
    std::set<std::uint64_t> outstanding;
  };
  std::map<slot_id, slot_record> slots_;
};

} // namespace troupe
