#include "cluster/replica_placement.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace troupe {

namespace {

struct drive_load {
  drive_uuid drive;
  std::uint32_t replicas = 0; ///< of all groups
  bool home = false;          ///< Hosts replicas of new groups.
};

struct node_load {
  node_id node;
  std::vector<drive_load> drives; ///< ascending
  std::uint32_t replicas = 0;     ///< of all groups
};

/// One group while it is being placed.
struct group_work {
  replica_count count;
  std::vector<std::vector<drive_uuid>> kept; ///< per node, in the order of the request
  std::vector<std::uint32_t> wanted;         ///< replicas per node
};

expected<std::vector<node_load>> nodes_of(std::span<const replica_drive> drives) {
  std::map<node_id, std::set<drive_uuid>> sorted;
  std::set<drive_uuid> seen;
  for (const auto& x : drives) {
    if (!seen.insert(x.drive).second)
      return error{errc::invalid_argument, "drive " + to_string(x.drive) + " is named twice"};
    sorted[x.node].insert(x.drive);
  }
  std::vector<node_load> out;
  for (const auto& [node, uuids] : sorted) {
    out.push_back({node, {}, 0});
    for (const auto& x : uuids)
      out.back().drives.push_back({x, 0, false});
  }
  return out;
}

std::vector<std::vector<drive_uuid>> kept_per_node(const std::vector<node_load>& nodes,
                                                   const replica_request& request) {
  std::vector<std::vector<drive_uuid>> out(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (const auto& uuid : request.kept) {
      bool here = std::any_of(nodes[i].drives.begin(), nodes[i].drives.end(),
                              [&](const auto& x) { return x.drive == uuid; });
      if (here && std::find(out[i].begin(), out[i].end(), uuid) == out[i].end())
        out[i].push_back(uuid);
    }
  return out;
}

/// Replicas per node: every node gets as many as every other as far as it has drives; the last
/// round goes to nodes that have such a replica already, then to those with the fewest of all
/// groups.
std::vector<std::uint32_t> spread(const std::vector<node_load>& nodes, const group_work& work) {
  std::vector<std::uint32_t> out(nodes.size());
  auto left = work.count.replicas;
  while (left > 0) {
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (out[i] < nodes[i].drives.size())
        open.push_back(i);
    TROUPE_ASSERT(!open.empty());
    if (open.size() > left) {
      std::stable_sort(open.begin(), open.end(), [&](auto a, auto b) {
        bool has_a = work.kept[a].size() > out[a];
        bool has_b = work.kept[b].size() > out[b];
        return has_a != has_b ? has_a : nodes[a].replicas < nodes[b].replicas;
      });
      open.resize(left);
    }
    for (auto i : open)
      ++out[i];
    left -= static_cast<std::uint32_t>(open.size());
  }
  return out;
}

/// The kept drives of one group on one node, as many as stay.
std::vector<drive_uuid> staying(const group_work& work, std::size_t node) {
  const auto& kept = work.kept[node];
  auto count = std::min<std::size_t>(kept.size(), work.wanted[node]);
  return {kept.begin(), kept.begin() + static_cast<long>(count)};
}

/// Marks the drives of each node that host replicas: as few as the groups force or the options ask
/// for, those first that host most of them already.
void choose_homes(std::vector<node_load>& nodes, const std::vector<group_work>& groups,
                  replica_placement_options options) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    auto homes = std::max<std::size_t>(options.journal_drives_per_node, 1);
    std::map<drive_uuid, std::uint32_t> kept;
    for (const auto& work : groups) {
      homes = std::max<std::size_t>(homes, work.wanted[i]);
      for (const auto& x : staying(work, i))
        ++kept[x];
    }
    std::vector<drive_load*> order;
    for (auto& x : nodes[i].drives)
      order.push_back(&x);
    std::stable_sort(order.begin(), order.end(),
                     [&](auto* a, auto* b) { return kept[a->drive] > kept[b->drive]; });
    for (std::size_t k = 0; k < std::min(homes, order.size()); ++k)
      order[k]->home = true;
  }
}

void count_load(node_load& node, const std::vector<drive_uuid>& taken) {
  for (auto& x : node.drives)
    if (std::find(taken.begin(), taken.end(), x.drive) != taken.end())
      ++x.replicas;
}

/// The least loaded homes of a node that the group does not use yet.
std::vector<drive_uuid> least_loaded(const node_load& node, const std::vector<drive_uuid>& used,
                                     std::size_t count) {
  std::vector<const drive_load*> order;
  for (const auto& x : node.drives)
    if (std::find(used.begin(), used.end(), x.drive) == used.end())
      order.push_back(&x);
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) {
    return a->home != b->home ? a->home : a->replicas < b->replicas;
  });
  TROUPE_ASSERT(order.size() >= count);
  std::vector<drive_uuid> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back(order[i]->drive);
  return out;
}

/// Gives every group the node of its preferred leader so that nodes lead equally many: greedily,
/// then by moving leaders along chains of groups from the fullest node to an emptier one.
class leader_spread {
public:
  /// @param places  per group, the nodes that have a replica of it.
  leader_spread(std::size_t nodes, const std::vector<std::vector<std::size_t>>& places)
    : places_(places), led_(nodes), leader_(places.size()) {
    for (std::size_t g = 0; g < places.size(); ++g) {
      leader_[g] = *std::min_element(places[g].begin(), places[g].end(),
                                     [&](auto a, auto b) { return led_[a] < led_[b]; });
      ++led_[leader_[g]];
    }
    while (improve()) {
    }
  }
  std::size_t leader(std::size_t group) const { return leader_[group]; }

private:
  /// Moves one leader away from a node that leads two more than a node it can reach; each move
  /// makes the sum of squares smaller, so this ends.
  bool improve() {
    for (std::size_t from = 0; from < led_.size(); ++from)
      if (move_from(from))
        return true;
    return false;
  }
  bool move_from(std::size_t from) {
    constexpr auto none = static_cast<std::size_t>(-1);
    std::vector<std::size_t> by_group(led_.size(), none); // how a node was reached
    std::vector<std::size_t> queue{from};
    for (std::size_t at = 0; at < queue.size(); ++at) {
      auto node = queue[at];
      if (led_[node] + 2 <= led_[from]) {
        for (auto to = node; to != from;) {
          auto group = by_group[to];
          auto previous = leader_[group];
          leader_[group] = to;
          to = previous;
        }
        --led_[from];
        ++led_[node];
        return true;
      }
      for (std::size_t g = 0; g < leader_.size(); ++g)
        if (leader_[g] == node)
          for (auto to : places_[g])
            if (to != from && by_group[to] == none) {
              by_group[to] = g;
              queue.push_back(to);
            }
    }
    return false;
  }

  const std::vector<std::vector<std::size_t>>& places_;
  std::vector<std::uint32_t> led_; ///< per node
  std::vector<std::size_t> leader_;
};

/// Puts kept drives first, in the order of the request.
void sort_drives(std::vector<drive_uuid>& drives, const std::vector<drive_uuid>& kept) {
  std::sort(drives.begin(), drives.end(), [&](const auto& a, const auto& b) {
    auto at = [&](const auto& x) { return std::find(kept.begin(), kept.end(), x) - kept.begin(); };
    return std::tuple{at(a), a} < std::tuple{at(b), b};
  });
}

} // namespace

expected<std::vector<replica_set>> place_replicas(std::span<const replica_drive> drives,
                                                  std::span<const replica_request> requests,
                                                  replica_placement_options options) {
  auto nodes = nodes_of(drives);
  if (!nodes)
    return nodes.error();
  std::vector<std::uint32_t> drives_per_node;
  for (const auto& x : *nodes)
    drives_per_node.push_back(static_cast<std::uint32_t>(x.drives.size()));
  std::vector<group_work> groups;
  std::vector<std::vector<std::size_t>> places;
  for (const auto& request : requests) {
    auto count = count_replicas(request.levels, drives_per_node);
    if (!count)
      return error{count.error().code,
                   "group " + std::to_string(request.group.value) + ": " + count.error().context};
    groups.push_back({*count, kept_per_node(*nodes, request), {}});
    for (std::size_t i = 0; i < nodes->size(); ++i)
      (*nodes)[i].replicas += static_cast<std::uint32_t>(groups.back().kept[i].size());
  }
  for (auto& work : groups) {
    work.wanted = spread(*nodes, work);
    places.emplace_back();
    for (std::size_t i = 0; i < nodes->size(); ++i) {
      (*nodes)[i].replicas += work.wanted[i];
      (*nodes)[i].replicas -= static_cast<std::uint32_t>(work.kept[i].size());
      if (work.wanted[i] > 0)
        places.back().push_back(i);
    }
  }
  choose_homes(*nodes, groups, options);
  for (const auto& work : groups)
    for (std::size_t i = 0; i < nodes->size(); ++i)
      count_load((*nodes)[i], staying(work, i));
  leader_spread leaders{nodes->size(), places};
  std::vector<replica_set> out;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    replica_set set{requests[g].group, {}, 0, groups[g].count};
    drive_uuid leader;
    for (std::size_t i = 0; i < nodes->size(); ++i) {
      auto here = staying(groups[g], i);
      auto added = least_loaded((*nodes)[i], here, groups[g].wanted[i] - here.size());
      count_load((*nodes)[i], added);
      here.insert(here.end(), added.begin(), added.end());
      if (i == leaders.leader(g))
        leader = here.front();
      set.drives.insert(set.drives.end(), here.begin(), here.end());
    }
    sort_drives(set.drives, requests[g].kept);
    set.preferred_leader = static_cast<std::size_t>(
      std::find(set.drives.begin(), set.drives.end(), leader) - set.drives.begin());
    out.push_back(std::move(set));
  }
  return out;
}

} // namespace troupe
