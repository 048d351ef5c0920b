#include "cluster/gateway/cluster_map.hpp"

#include <algorithm>

namespace troupe {

bool takes_data(drive_state state) {
  return state == drive_state::healthy || state == drive_state::suspect;
}

cluster_map::cluster_map(cluster_view view) {
  update(std::move(view));
}

bool cluster_map::update(cluster_view view) {
  if (view.version < view_.version)
    return false;
  view_ = std::move(view);
  drive_index_.clear();
  for (std::size_t i = 0; i < view_.drives.size(); ++i)
    drive_index_[view_.drives[i].uuid] = i;
  for (const auto& group : view_.groups) {
    auto known = leaders_.find(group.id);
    bool still_there = known != leaders_.end()
                       && std::any_of(group.replicas.begin(), group.replicas.end(),
                                      [&](const auto& r) { return r.id == known->second; });
    if (!still_there)
      leaders_[group.id] = group.leader;
  }
  return true;
}

void cluster_map::set_link(node_id node, bool up) {
  if (up)
    broken_links_.erase(node);
  else
    broken_links_.insert(node);
}

std::optional<replica_view> cluster_map::replica_to_ask(group_id id) const {
  const auto* group = find_group(view_, id);
  if (!group || group->replicas.empty())
    return std::nullopt;
  auto known = leaders_.find(id);
  for (const auto& r : group->replicas)
    if (known != leaders_.end() && r.id == known->second)
      return r;
  for (const auto& r : group->replicas)
    if (link_up(r.node))
      return r;
  return group->replicas.front();
}

void cluster_map::leader_found(group_id group, replica_id leader) {
  leaders_[group] = leader;
}

void cluster_map::leader_lost(group_id id, replica_id replica, replica_id hint) {
  const auto* group = find_group(view_, id);
  if (!group || group->replicas.empty())
    return;
  auto& guess = leaders_[id];
  if (guess != replica && guess != replica_id{0})
    return; // somebody else found out more meanwhile
  const auto& all = group->replicas;
  auto is = [](replica_id wanted) { return [=](const auto& r) { return r.id == wanted; }; };
  if (hint && hint != replica && std::any_of(all.begin(), all.end(), is(hint))) {
    guess = hint;
    return;
  }
  auto at = std::find_if(all.begin(), all.end(), is(replica));
  auto from = at == all.end() ? 0 : static_cast<std::size_t>(at - all.begin()) + 1;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& next = all[(from + i) % all.size()];
    if (link_up(next.node) || i + 1 == all.size()) {
      guess = next.id;
      return;
    }
  }
}

const drive_view* cluster_map::drive(const drive_uuid& uuid) const {
  auto it = drive_index_.find(uuid);
  return it == drive_index_.end() ? nullptr : &view_.drives[it->second];
}

void cluster_map::full(const drive_uuid& uuid) {
  auto it = drive_index_.find(uuid);
  if (it != drive_index_.end())
    view_.drives[it->second].blocks_free = 0;
}

bool cluster_map::readable(const drive_uuid& uuid) const {
  const auto* d = drive(uuid);
  return d && link_up(d->node) && !lost(uuid);
}

bool cluster_map::lost(const drive_uuid& uuid) const {
  const auto* d = drive(uuid);
  return d && (d->state == drive_state::dead || d->state == drive_state::gone);
}

bool cluster_map::writable(const drive_uuid& uuid) const {
  const auto* d = drive(uuid);
  return d && takes_data(d->state);
}

std::vector<drive_candidate> cluster_map::candidates(boot_time now) const {
  auto runs_on = [&](const auto& times, const drive_uuid& id) {
    auto it = times.find(id);
    return it != times.end() && now < it->second;
  };
  std::vector<drive_candidate> out;
  for (const auto& d : view_.drives) {
    const auto* node = find_node(view_, d.node);
    if (!node || !node->up || !link_up(d.node) || !takes_data(d.state) || runs_on(resting_, d.uuid))
      continue;
    out.push_back({d.uuid, d.node, d.blocks_free, runs_on(slow_, d.uuid)});
  }
  return out;
}

std::vector<pool_node> cluster_map::left_out(std::span<const drive_candidate> candidates) const {
  std::map<node_id, pool_node> nodes;
  for (const auto& d : view_.drives) {
    auto& node = nodes[d.node];
    node.node = d.node;
    ++node.drives;
  }
  for (const auto& c : candidates)
    --nodes[c.node].drives;
  std::vector<pool_node> out;
  for (const auto& [id, node] : nodes)
    out.push_back(node);
  return out;
}

std::pair<std::uint64_t, std::uint64_t> cluster_map::space() const {
  std::pair<std::uint64_t, std::uint64_t> sum{0, 0};
  for (const auto& d : view_.drives) {
    if (!takes_data(d.state))
      continue;
    sum.first += d.blocks_total;
    sum.second += d.blocks_free;
  }
  return sum;
}

} // namespace troupe
