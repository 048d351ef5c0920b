#include "actors/client/cluster_client.hpp"
#include "cluster/partition/partition_facts.hpp"
#include "storage/meta/map_view.hpp"
#include "storage/meta/meta_check.hpp"

namespace troupe {

namespace {

/// For a partition that has no leader just now.
constexpr std::uint64_t patience_ns = 30'000'000'000;
constexpr std::uint32_t pause_ms = 200;

} // namespace

expected<std::vector<std::pair<std::string, std::string>>>
cluster_client::rows_of(const group_record& group) {
  error last{errc::unavailable, "partition " + std::to_string(group.id.value), trp::no_quorum};
  const auto end = session_->loop().time().boot().ns + patience_ns;
  for (std::size_t turn = 0; session_->loop().time().boot().ns < end; ++turn) {
    const auto& replica = group.replicas[turn % group.replicas.size()];
    if (turn > 0 && turn % group.replicas.size() == 0)
      session_->loop().run_once(pause_ms); // nobody leads just now
    std::vector<std::pair<std::string, std::string>> rows;
    std::string after;
    while (true) {
      auto answer = ask_node(replica.node, read_partition_rows{group.id, after});
      if (!answer) { // not the leader, or not any more: begin again at the next one
        last.context =
          "partition " + std::to_string(group.id.value) + ": " + answer.error().context;
        break;
      }
      auto& piece = std::get<partition_rows>(*answer);
      for (auto& row : piece.rows)
        rows.push_back(std::move(row));
      if (piece.end)
        return rows;
      after = rows.back().first;
    }
  }
  return last;
}

expected<fsck_report> cluster_client::check() {
  auto known = config();
  if (!known)
    return known.error();
  std::vector<check_report> parts;
  fsck_report out;
  auto add = [&](const finding& f) {
    auto object = f.object.empty() ? to_string(f.id) : f.object;
    out.findings.push_back({to_string(f.kind), object, f.detail, is_leak(f.kind)});
  };
  for (const auto& [id, group] : known->groups) {
    if (id == group_id{0})
      continue;
    auto rows = rows_of(group);
    if (!rows)
      return rows.error();
    map_view view;
    for (auto& [key, value] : *rows)
      view.put(std::move(key), std::move(value));
    auto facts = facts_for(*known, id);
    auto report = check_partition(view, &facts.slots);
    for (const auto& f : report.findings)
      add(f);
    out.inodes += report.inode_count;
    out.directories += report.directory_count;
    out.stripes += report.stripe_count;
    report.findings.clear();
    parts.push_back(std::move(report));
  }
  for (const auto& f : check_across(parts))
    add(f);
  return out;
}

} // namespace troupe
