#include "cluster/replica_count.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>

namespace troupe {

namespace {

/// What a number of replicas must do for one level, from strong to weak.
enum class promise {
  every_loss,           ///< a majority after every tolerated loss
  majority_of_nodes_up, ///< after those that leave a majority of nodes up
  one_kind,             ///< after those of them that take only nodes or only drives
  none,
};

struct level_promise {
  protection_level level{};
  promise kind = promise::every_loss;
};

/// The most of `count` members that leave a majority when they are lost.
std::uint32_t minority(std::uint32_t count) {
  return count == 0 ? 0 : (count - 1) / 2;
}

/// The most replicas that `count` nodes hold.
std::uint32_t on_fullest(std::span<const replica_node> nodes, std::uint32_t count) {
  std::vector<std::uint32_t> held;
  for (const auto& x : nodes)
    held.push_back(x.replicas);
  std::sort(held.begin(), held.end(), std::greater<>{});
  held.resize(std::min<std::size_t>(held.size(), count));
  return std::accumulate(held.begin(), held.end(), std::uint32_t{0});
}

bool keeps(const level_promise& x, std::span<const replica_node> nodes, std::uint32_t replicas) {
  auto shape = shape_of(x.level);
  auto count = static_cast<std::uint32_t>(nodes.size());
  switch (x.kind) {
  case promise::every_loss: return replicas_lost_max(shape, nodes, count) <= minority(replicas);
  case promise::majority_of_nodes_up:
    return replicas_lost_max(shape, nodes, minority(count)) <= minority(replicas);
  case promise::one_kind: {
    auto down = std::min(minority(count), shape.parity_units / shape.units_per_node_max);
    return replicas_lost_max(shape, nodes, 0) <= minority(replicas)
           && on_fullest(nodes, down) <= minority(replicas);
  }
  case promise::none: return true;
  }
  return false;
}

/// The smallest odd number that keeps all promises.
std::optional<std::uint32_t> smallest(std::span<const level_promise> promises,
                                      std::span<const std::uint32_t> drives_per_node,
                                      std::uint32_t replicas_max) {
  for (std::uint32_t r = 1; r <= replicas_max; r += 2) {
    auto nodes = spread_evenly(drives_per_node, r);
    if (std::all_of(promises.begin(), promises.end(),
                    [&](const auto& x) { return keeps(x, nodes, r); }))
      return r;
  }
  return std::nullopt;
}

/// For levels that get no promise: as many replicas as 2m+1 that fit and keep the other promises.
std::uint32_t more_if_harmless(std::span<const level_promise> promises,
                               std::span<const std::uint32_t> drives_per_node, std::uint32_t found,
                               std::uint32_t drives) {
  std::uint32_t wanted = found;
  for (const auto& x : promises)
    if (x.kind == promise::none)
      wanted = std::max(wanted, 2 * shape_of(x.level).parity_units + 1);
  for (auto r = std::min(wanted, drives - (drives + 1) % 2); r > found; r -= 2) {
    auto nodes = spread_evenly(drives_per_node, r);
    if (std::all_of(promises.begin(), promises.end(),
                    [&](const auto& x) { return keeps(x, nodes, r); }))
      return r;
  }
  return found;
}

/// The best promise that any number of replicas keeps for a level by itself.
level_promise best_promise(protection_level level, std::span<const std::uint32_t> drives_per_node,
                           std::uint32_t drives) {
  for (auto kind : {promise::every_loss, promise::majority_of_nodes_up, promise::one_kind}) {
    level_promise x{level, kind};
    auto most =
      kind == promise::majority_of_nodes_up ? std::min(drives, weaker_replicas_max) : drives;
    if (smallest({&x, 1}, drives_per_node, most))
      return x;
  }
  return {level, promise::none};
}

/// The sentence for one level whose losses are not all covered.
std::string sentence(const level_promise& x, std::uint32_t replicas, std::size_t nodes) {
  auto out =
    to_string(x.level) + " on " + std::to_string(nodes) + (nodes == 1 ? " node: " : " nodes: ");
  auto with = std::to_string(replicas);
  if (x.kind == promise::none)
    return out + "too few drives for the metadata replicas that the level needs; " + with
           + " are kept, so data within the level can be unavailable until a majority of replicas "
             "returns.\n";
  return out + "no number of metadata replicas outlives every loss of " + tolerance_text(x.level)
         + "; with " + with + " the level holds while a majority of nodes is up ("
         + std::to_string(nodes / 2 + 1) + " of " + std::to_string(nodes) + ")"
         + (x.kind == promise::one_kind ? " and only nodes or only drives are lost" : "") + ".\n";
}

} // namespace

std::uint32_t replicas_lost_max(const level_shape& shape, std::span<const replica_node> nodes,
                                std::uint32_t nodes_down_max) {
  auto budget = shape.parity_units;
  auto down_max = std::min<std::uint32_t>(nodes_down_max, budget);
  // worst[down * (budget + 1) + cost]: the most replicas lost with at most that many nodes and
  // cost.
  std::vector<std::uint32_t> worst((down_max + 1) * (budget + 1));
  auto at = [=](std::uint32_t down, std::uint32_t cost) { return down * (budget + 1) + cost; };
  for (const auto& node : nodes) {
    if (node.drives == 0)
      continue;
    auto whole = std::min(shape.units_per_node_max, node.drives);
    auto single_max = std::min(node.replicas, node.drives - 1);
    for (std::uint32_t down = down_max + 1; down-- > 0;)
      for (std::uint32_t cost = budget + 1; cost-- > 0;) {
        auto best = worst[at(down, cost)];
        for (std::uint32_t k = 1; k <= std::min(single_max, cost); ++k)
          best = std::max(best, worst[at(down, cost - k)] + k);
        if (down > 0 && cost >= whole)
          best = std::max(best, worst[at(down - 1, cost - whole)] + node.replicas);
        worst[at(down, cost)] = best;
      }
  }
  return worst[at(down_max, budget)];
}

std::vector<replica_node> spread_evenly(std::span<const std::uint32_t> drives_per_node,
                                        std::uint32_t replicas) {
  std::vector<replica_node> out;
  for (auto x : drives_per_node)
    out.push_back({x, 0});
  std::sort(out.begin(), out.end(), [](auto a, auto b) { return a.drives > b.drives; });
  for (bool more = true; more && replicas > 0;) {
    more = false;
    for (auto& x : out)
      if (replicas > 0 && x.replicas < x.drives) {
        ++x.replicas;
        --replicas;
        more = true;
      }
  }
  return replicas == 0 ? out : std::vector<replica_node>{};
}

expected<replica_count> count_replicas(std::span<const protection_level> levels,
                                       std::span<const std::uint32_t> drives_per_node) {
  std::vector<std::uint32_t> nodes;
  for (auto x : drives_per_node)
    if (x > 0)
      nodes.push_back(x);
  if (levels.empty() || nodes.empty())
    return error{errc::invalid_argument,
                 levels.empty() ? "no protection level is in use" : "no drive can host a replica"};
  auto drives = std::accumulate(nodes.begin(), nodes.end(), std::uint32_t{0});
  std::vector<level_promise> promises;
  for (auto level : levels)
    if (std::none_of(promises.begin(), promises.end(), [=](auto x) { return x.level == level; }))
      promises.push_back(best_promise(level, nodes, drives));
  auto found = smallest(promises, nodes, drives);
  for (auto weaker : {promise::majority_of_nodes_up, promise::one_kind, promise::none})
    if (!found) { // each level could, but not with one number
      for (auto& x : promises)
        x.kind = std::max(x.kind, weaker);
      found = smallest(promises, nodes, drives);
    }
  TROUPE_ASSERT(found); // 1 keeps no promise at all
  replica_count out{more_if_harmless(promises, nodes, *found, drives), true, {}};
  auto spread = spread_evenly(nodes, out.replicas);
  for (auto x : promises) {
    x.kind = promise::every_loss;
    while (!keeps(x, spread, out.replicas))
      x.kind = static_cast<promise>(static_cast<int>(x.kind) + 1);
    if (x.kind == promise::every_loss)
      continue;
    out.every_loss = false;
    out.statement += sentence(x, out.replicas, nodes.size());
  }
  return out;
}

} // namespace troupe
