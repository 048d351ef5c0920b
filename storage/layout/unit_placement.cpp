#include "storage/layout/unit_placement.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

namespace troupe {

namespace {

/// A seeded sequence that is the same on every machine (SplitMix64, Steele et al. 2014).
class sequence {
public:
  explicit sequence(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    auto z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

private:
  std::uint64_t state_;
};

/// One member of `tied`, with a chance in proportion to its free blocks.
std::size_t draw(std::span<const drive_candidate> candidates, std::span<const std::size_t> tied,
                 sequence& random) {
  // Scaled so that the sum of any number of drives fits: 2^40 blocks are 8 PiB.
  auto weight = [&](std::size_t i) {
    return std::min<std::uint64_t>(candidates[i].free_blocks, std::uint64_t{1} << 40) + 1;
  };
  std::uint64_t sum = 0;
  for (auto i : tied)
    sum += weight(i);
  auto at = random.next() % sum;
  for (auto i : tied) {
    if (at < weight(i))
      return i;
    at -= weight(i);
  }
  return tied.back();
}

std::vector<std::uint32_t> units_per_node(std::span<const placed_unit> units) {
  std::map<node_id, std::uint32_t> counts;
  for (const auto& x : units)
    ++counts[x.node];
  std::vector<std::uint32_t> out;
  for (const auto& [node, n] : counts)
    out.push_back(n);
  return out;
}

} // namespace

std::vector<pool_node> pool_of(std::span<const drive_candidate> candidates,
                               std::span<const pool_node> others) {
  std::map<node_id, pool_node> nodes;
  for (const auto& x : others)
    nodes[x.node] = x;
  for (const auto& x : candidates) {
    auto& node = nodes[x.node];
    node.node = x.node;
    ++node.drives;
    node.drives_up += x.free_blocks >= unit_blocks ? 1 : 0;
  }
  std::vector<pool_node> out;
  for (const auto& [id, node] : nodes)
    out.push_back(node);
  return out;
}

expected<std::vector<std::size_t>> place_units(const layout_choice& layout,
                                               std::span<const drive_candidate> candidates,
                                               std::uint64_t seed) {
  std::vector<std::size_t> order; // by drive, so that the caller's order does not matter
  for (std::size_t i = 0; i < candidates.size(); ++i)
    if (candidates[i].free_blocks >= layout.unit_blocks)
      order.push_back(i);
  std::sort(order.begin(), order.end(),
            [&](auto a, auto b) { return candidates[a].drive < candidates[b].drive; });
  sequence random{seed};
  std::map<node_id, std::uint32_t> on_node;
  std::vector<std::size_t> out;
  while (out.size() < layout.units()) {
    using rank = std::tuple<std::uint32_t, bool>;
    rank best{layout.units_per_node_max, false};
    std::vector<std::size_t> tied;
    for (auto i : order) {
      rank mine{on_node[candidates[i].node], candidates[i].busy};
      if (std::get<0>(mine) >= layout.units_per_node_max || (!tied.empty() && mine > best))
        continue;
      if (mine < best || tied.empty())
        tied.clear();
      best = mine;
      tied.push_back(i);
    }
    if (tied.empty())
      return error{errc::no_space, to_string(layout.notation()) + ": room for "
                                     + std::to_string(out.size()) + " of "
                                     + std::to_string(layout.units()) + " units"};
    auto chosen = draw(candidates, tied, random);
    ++on_node[candidates[chosen].node];
    order.erase(std::find(order.begin(), order.end(), chosen));
    out.push_back(chosen);
  }
  return out;
}

expected<void> check_placement(const stripe_notation& shape, std::span<const placed_unit> units) {
  auto wanted = shape.data_units + shape.parity_units;
  if (units.size() != wanted)
    return error{errc::invalid_argument, to_string(shape) + ": " + std::to_string(units.size())
                                           + " units instead of " + std::to_string(wanted)};
  std::set<drive_uuid> drives;
  std::map<node_id, std::uint32_t> on_node;
  for (std::size_t i = 0; i < units.size(); ++i) {
    auto name = to_string(shape) + ": unit " + std::to_string(i) + " on drive "
                + to_string(units[i].drive) + " of node " + std::to_string(units[i].node.value);
    if (!drives.insert(units[i].drive).second)
      return error{errc::invalid_argument, name + ": the drive has a unit of this stripe already"};
    if (++on_node[units[i].node] > shape.units_per_node_max)
      return error{errc::invalid_argument, name + ": more than "
                                             + std::to_string(shape.units_per_node_max)
                                             + " units on the node"};
    if (!units[i].writable)
      return error{errc::stale, name + ": the drive is not writable"};
  }
  return {};
}

bool attains(protection_level level, std::uint32_t data_units, std::span<const placed_unit> units) {
  auto counts = units_per_node(units);
  return units.size() >= data_units + worst_loss(shape_of(level), counts);
}

bool readable(std::uint32_t data_units, std::span<const placed_unit> units,
              std::span<const drive_uuid> drives_lost, std::span<const node_id> nodes_lost) {
  auto whole = std::count_if(units.begin(), units.end(), [&](const placed_unit& x) {
    return std::find(drives_lost.begin(), drives_lost.end(), x.drive) == drives_lost.end()
           && std::find(nodes_lost.begin(), nodes_lost.end(), x.node) == nodes_lost.end();
  });
  return static_cast<std::uint32_t>(whole) >= data_units;
}

std::uint32_t node_losses_max(std::uint32_t data_units, std::span<const placed_unit> units) {
  if (units.size() < data_units)
    return 0;
  auto counts = units_per_node(units);
  std::sort(counts.begin(), counts.end(), std::greater<>{});
  auto spare = static_cast<std::uint32_t>(units.size()) - data_units;
  std::uint32_t nodes = 0;
  for (auto n : counts) {
    if (n > spare)
      break;
    spare -= n;
    ++nodes;
  }
  return nodes;
}

} // namespace troupe
