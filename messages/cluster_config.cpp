#include "messages/cluster_config.hpp"

#include <algorithm>

namespace troupe {

const char* to_string(node_state state) {
  switch (state) {
  case node_state::unknown: return "UNKNOWN";
  case node_state::up: return "UP";
  case node_state::down: return "DOWN";
  case node_state::removed: return "REMOVED";
  }
  return "UNKNOWN";
}

const group_record* group_of(const cluster_config& config, slot_id slot) {
  auto it = std::upper_bound(config.slots.begin(), config.slots.end(), slot,
                             [](slot_id s, const slot_range& r) { return s.value < r.first; });
  if (it == config.slots.begin())
    return nullptr;
  --it;
  if (slot.value >= it->end)
    return nullptr;
  auto group = config.groups.find(it->group);
  return group == config.groups.end() ? nullptr : &group->second;
}

const replica_record* replica_of(const group_record& group, replica_id id) {
  for (const auto& r : group.replicas)
    if (r.id == id)
      return &r;
  return nullptr;
}

} // namespace troupe
