#include "cluster/partition/partition_facts.hpp"
#include "sim/cluster/cluster_world.hpp"
#include "storage/codec/unit_checksum.hpp"
#include "storage/meta/data_format.hpp"
#include "storage/meta/map_view.hpp"
#include "storage/meta/meta_check.hpp"
#include "storage/meta/meta_keys.hpp"

namespace troupe {

namespace {

constexpr std::uint64_t ms = 1'000'000;
constexpr std::uint32_t rows_max = 1 << 20;

} // namespace

/// All faults end; who is down comes back; nobody asks anything new.
void cluster_world::heal() {
  if (!fine())
    return;
  world_.note("healing");
  world_.chaos = false;
  work_.stop();
  net_.set_rates(0, 0, 0);
  net_.heal_split();
  for (auto& [id, machine] : machines_)
    for (auto& [drive, disk] : machine->disks)
      disk->heal();
  for (auto& [id, machine] : machines_)
    start_node(id);
  std::string what;
  if (!run_while_waiting(world_.run.heal_ms, [&] { return whole(what) && work_.under_way() == 0; }))
    world_.violate("not whole again after healing: " + what + ", "
                   + std::to_string(work_.under_way()) + " calls under way");
}

void cluster_world::note_replicas() {
  for (auto& [id, node] : running_)
    for (const auto& r : node->replica_reports())
      world_.note("node " + std::to_string(id.value) + " group " + std::to_string(r.group.value)
                  + " replica " + std::to_string(r.replica.value) + " " + to_string(r.role)
                  + " term " + std::to_string(r.term) + " leader " + std::to_string(r.leader.value)
                  + " commit " + std::to_string(r.commit_index) + " applied "
                  + std::to_string(r.applied_index) + (r.serving ? " serving" : "") + " missing "
                  + std::to_string(r.missing.size()));
}

/// Everybody runs, every group has a leader that serves and replicas that have what he has.
bool cluster_world::whole(std::string& why) {
  std::map<group_id, std::uint64_t> applied;
  for (auto& [id, machine] : machines_) {
    auto it = running_.find(id);
    why = "node " + std::to_string(id.value);
    if (it == running_.end())
      return false;
    if (it->second->has_dead_drive()) { // somebody puts it in order
      stop_node(id, false);
      start_node(id);
      return false;
    }
    if (!it->second->settled())
      return false;
    for (const auto& report : it->second->replica_reports())
      if (report.serving)
        applied[report.group] = std::max(applied[report.group], report.commit_index);
  }
  for (auto& [id, node] : running_)
    for (const auto& report : node->replica_reports()) {
      why = "replica " + std::to_string(report.replica.value);
      if (!applied.contains(report.group) || report.applied_index != applied[report.group]
          || !report.leader)
        return false;
    }
  return true;
}

void cluster_world::verify() {
  if (!fine())
    return;
  std::size_t open = 0;
  for (auto& [id, client] : clients_) {
    if (!client->admitted())
      continue;
    ++open;
    client->shut_down([this, &open, id = id](const expected<call_result>& answer) {
      world_.note("client " + std::to_string(id)
                  + " ends: " + (answer ? std::string{"ok"} : describe(answer.error())));
      --open;
    });
  }
  if (!run_while_waiting(world_.run.heal_ms, [&] { return open == 0; }))
    return world_.violate("a client does not come to its end");
  for (auto& [id, client] : clients_)
    net_.stop(id);
  world_.note("reading everything");
  auto& reader = add_client();
  bool read = false;
  work_.read_all(reader, [&read] { read = true; });
  if (!run_while_waiting(world_.run.heal_ms, [&] { return read; }))
    return world_.violate("not everything can be read after healing");
  work_.judge();
  // What is cleaned and freed behind the answers comes to its end.
  run_until(world_.events.now() + 1000 * ms);
  if (std::string why; !run_while_waiting(world_.run.heal_ms, [&] { return whole(why); }))
    return world_.violate("not whole at the end: " + why);
  check_replicas();
  check_metadata();
}

/// Every row of a partition, from the leader.
std::vector<std::pair<std::string, std::string>> cluster_world::rows_of(group_id group) {
  std::vector<std::pair<std::string, std::string>> rows;
  partition_replica* leader = nullptr;
  for (auto& [id, node] : running_)
    if (auto* replica = node->partition(group); replica != nullptr && replica->report().serving)
      leader = replica;
  if (leader == nullptr) {
    world_.violate("partition " + std::to_string(group.value) + " has no leader at the end");
    return rows;
  }
  for (bool end = false; !end && fine();) {
    std::optional<expected<partition_rows>> answer;
    leader->read_rows(rows.empty() ? std::string{} : rows.back().first,
                      [&](expected<partition_rows> got) { answer = std::move(got); });
    if (!run_while_waiting(2000, [&] { return answer.has_value(); }) || !*answer) {
      world_.violate("rows of partition " + std::to_string(group.value) + " cannot be read");
      return rows;
    }
    end = (*answer)->end;
    for (auto& row : (*answer)->rows)
      rows.push_back(std::move(row));
  }
  return rows;
}

/// Replicas of a group hold the same rows, once what they applied has reached the tables.
void cluster_world::check_replicas() {
  std::string difference;
  if (!run_while_waiting(5000, [&] { return same_rows(difference); }))
    world_.violate(difference);
}

bool cluster_world::same_rows(std::string& difference) {
  using row_map = std::map<std::string, std::string>;
  for (const auto& [group_number, group] : first_config_->groups) {
    std::optional<row_map> first;
    for (const auto& replica : group.replicas) {
      auto& engine = *machines_.at(replica.node)->disks.at(replica.drive)->tables();
      auto tables = engine.tables();
      table_id mine{};
      if (tables)
        for (auto table : *tables)
          if (table.value >> 16 == replica.id.value)
            mine = std::max(mine, table);
      auto found = engine.scan(mine, {"", "", rows_max, false}, UINT64_MAX, nullptr);
      row_map rows;
      if (found)
        for (auto& row : found->rows)
          rows[row.key] = std::move(row.value);
      if (!first) {
        first = std::move(rows);
        continue;
      }
      if (rows == *first)
        continue;
      difference = "replicas " + std::to_string(group.replicas.front().id.value) + " and "
                   + std::to_string(replica.id.value) + " of group "
                   + std::to_string(group_number.value) + " hold different rows: "
                   + std::to_string(first->size()) + " and " + std::to_string(rows.size());
      for (const auto& [key, value] : *first)
        if (auto it = rows.find(key); it == rows.end() || it->second != value)
          difference += ", table " + std::to_string(static_cast<int>(key.empty() ? 0 : key[0]));
      return false;
    }
  }
  return true;
}

void cluster_world::check_metadata() {
  std::vector<check_report> parts;
  std::set<run_ref> runs;
  for (const auto& [group, record] : first_config_->groups) {
    if (group == group_id{0} || !fine())
      continue;
    map_view view;
    std::vector<std::pair<std::string, std::string>> stripes;
    for (auto& [key, value] : rows_of(group)) {
      if (table_of_key(key) == meta_table::stripe)
        stripes.emplace_back(key, value);
      view.put(std::move(key), std::move(value));
    }
    if (!fine())
      return;
    auto facts = facts_for(running_.begin()->second->config(), group);
    auto report = check_partition(view, &facts.slots);
    for (const auto& f : report.findings)
      if (!is_leak(f.kind))
        return world_.violate("metadata of partition " + std::to_string(group.value) + ": "
                              + to_string(f.kind) + " " + f.object + " " + f.detail);
    report.findings.clear();
    parts.push_back(std::move(report));
    for (const auto& [key, value] : stripes)
      check_units(key, value, runs);
  }
  for (const auto& f : check_across(parts))
    if (!is_leak(f.kind))
      return world_.violate(std::string{"metadata across partitions: "} + to_string(f.kind) + " "
                            + f.object + " " + f.detail);
}

/// Every unit of a stripe is where its record says, whole, on a drive of its own.
void cluster_world::check_units(const std::string& key, const std::string& value,
                                std::set<run_ref>& runs) {
  auto row = decode_stripe(value);
  auto id = parse_stripe_key(key);
  if (!row || !id)
    return world_.violate("a stripe cannot be decoded");
  auto name = "stripe " + to_string(lin{id->value});
  std::set<drive_uuid> drives;
  std::map<node_id, std::uint32_t> per_node;
  for (std::size_t u = 0; u < row->layout.units.size() && fine(); ++u) {
    const auto& unit = row->layout.units[u];
    auto place = first_config_->drives.at(unit.run.drive).node;
    if (!runs.insert(unit.run).second)
      return world_.violate(name + " shares a run with another stripe");
    if (!drives.insert(unit.run.drive).second)
      return world_.violate(name + " has two units on one drive");
    if (++per_node[place] > row->layout.shape.per_node && !row->layout.at_risk)
      return world_.violate(name + " has too many units on node " + std::to_string(place.value));
    auto* drive = running_.at(place)->drive(unit.run.drive);
    std::optional<any_drive_answer> answer;
    drive->read({unit.run, 0, unit.run.block_count},
                [&](any_drive_answer got) { answer = std::move(got); });
    run_while_waiting(2000, [&] { return answer.has_value(); });
    const auto* data = answer ? std::get_if<run_data>(&*answer) : nullptr;
    ++world_.verdict.units_checked;
    bool good = data != nullptr && unit_checksum(data->checksums) == unit.checksum
                && block_checksums(data->data.view()) == data->checksums;
    const auto* why = answer ? std::get_if<error>(&*answer) : nullptr;
    bool rotten = unit.run.drive == rotten_ && world_.verdict.bits_flipped > 0;
    // Bits were flipped there; but no flipped bit makes a run disappear.
    if (!good && !(rotten && (why == nullptr || why->code == errc::corrupt)))
      return world_.violate(name + " unit " + std::to_string(u) + " on node "
                            + std::to_string(place.value) + ": "
                            + (why != nullptr ? describe(*why) : "other bytes than were stored"));
  }
}

} // namespace troupe
