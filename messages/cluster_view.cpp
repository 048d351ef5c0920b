#include "messages/cluster_view.hpp"

#include <algorithm>

namespace troupe {

namespace {

template <class T, class Pred>
const T* find_in(const std::vector<T>& list, Pred pred) {
  auto it = std::find_if(list.begin(), list.end(), pred);
  return it != list.end() ? &*it : nullptr;
}

} // namespace

group_id group_of(const cluster_view& view, slot_id slot) {
  auto it = std::upper_bound(view.slots.begin(), view.slots.end(), slot.value,
                             [](std::uint16_t s, const slot_range& r) { return s < r.end; });
  return it != view.slots.end() && it->first <= slot.value ? it->group : group_id{0};
}

const node_view* find_node(const cluster_view& view, node_id id) {
  return find_in(view.nodes, [&](const node_view& x) { return x.id == id; });
}

const drive_view* find_drive(const cluster_view& view, const drive_uuid& uuid) {
  return find_in(view.drives, [&](const drive_view& x) { return x.uuid == uuid; });
}

const group_view* find_group(const cluster_view& view, group_id id) {
  return find_in(view.groups, [&](const group_view& x) { return x.id == id; });
}

} // namespace troupe
