#include "cluster/gateway/sequence_table.hpp"

#include "storage/base/assert.hpp"

namespace troupe {

std::uint64_t sequence_table::begin(slot_id slot) {
  auto& record = slots_[slot];
  record.outstanding.insert(++record.last);
  return record.last;
}

void sequence_table::finish(slot_id slot, std::uint64_t sequence) {
  auto erased = slots_[slot].outstanding.erase(sequence);
  TROUPE_ASSERT(erased == 1);
}

std::uint64_t sequence_table::low_water(slot_id slot) const {
  auto it = slots_.find(slot);
  if (it == slots_.end())
    return 0;
  const auto& record = it->second;
  return record.outstanding.empty() ? record.last : *record.outstanding.begin() - 1;
}

} // namespace troupe
