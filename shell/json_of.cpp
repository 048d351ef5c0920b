#include "shell/json_of.hpp"

#include "shell/render.hpp"

namespace troupe::shell {

using nlohmann::json;

json json_of(const error& x) {
  json out = {{"code", to_string(x.code)}, {"context", x.context}};
  if (const auto* entry = find_error(x.id)) {
    out["id"] = "TRP-" + std::to_string(entry->id.value);
    out["title"] = entry->title;
    out["cause"] = entry->cause;
    out["next_step"] = entry->next_step;
  }
  return out;
}

json json_of(const plan& x) {
  json steps = json::array();
  for (const auto& step : x.steps) {
    json s = {{"action", step.action}, {"object", step.object}};
    for (const auto& [name, value] : step.details)
      s[name] = value;
    steps.push_back(std::move(s));
  }
  return {{"command", x.command}, {"steps", std::move(steps)}};
}

json json_of(const inode_attributes& x) {
  return {{"lin", to_string(x.id)},
          {"kind", render_kind(x.kind)},
          {"mode", x.mode},
          {"uid", x.uid},
          {"gid", x.gid},
          {"links", x.link_count},
          {"size", x.size},
          {"physical_bytes", x.physical_blocks * block_bytes},
          {"device", x.device},
          {"accessed", render_time(x.access_time)},
          {"modified", render_time(x.modify_time)},
          {"changed", render_time(x.change_time)},
          {"born", render_time(x.birth_time)}};
}

json json_of(const drive_report& x) {
  return {{"uuid", to_string(x.drive)},
          {"state", to_string(x.state)},
          {"bytes_total", x.blocks_total * block_bytes},
          {"bytes_free", x.blocks_free * block_bytes},
          {"stores", x.stores},
          {"reads", x.reads},
          {"frees", x.frees},
          {"syncs", x.syncs},
          {"journal_syncs", x.journal_syncs},
          {"bytes_written", x.bytes_written},
          {"bytes_read", x.bytes_read},
          {"checksum_errors", x.checksum_errors},
          {"io_errors", x.io_errors}};
}

json json_of(const replica_report& x) {
  json missing = json::array();
  for (auto id : x.missing)
    missing.push_back(id.value);
  return {{"group", x.group.value},
          {"replica", x.replica.value},
          {"drive", to_string(x.drive)},
          {"role", to_string(x.role)},
          {"leader", x.leader.value},
          {"preferred_leader", x.preferred_leader.value},
          {"term", x.term},
          {"commit_index", x.commit_index},
          {"applied_index", x.applied_index},
          {"checkpoint_index", x.checkpoint_index},
          {"commits", x.commits},
          {"requests", x.requests},
          {"serving", x.serving},
          {"missing", std::move(missing)}};
}

json json_of(const link_report& x) {
  return {{"peer", x.peer},
          {"connected", x.connected},
          {"encrypted", x.encrypted},
          {"round_trip_us", x.round_trip_us},
          {"sent_bytes", x.sent_bytes},
          {"received_bytes", x.received_bytes},
          {"checksum_errors", x.checksum_errors}};
}

json json_of(const actor_report& x) {
  return {{"path", x.path},
          {"kind", x.kind},
          {"state", x.state},
          {"messages", x.messages},
          {"restarts", x.restarts}};
}

json json_of(const event_record& x) {
  return {{"node", x.node.value},
          {"number", x.number},
          {"time", render_time(x.time)},
          {"severity", to_string(x.severity)},
          {"event", x.name},
          {"fields", x.fields}};
}

json json_of(const file_layout& x) {
  json extents = json::array();
  for (const auto& e : x.extents)
    extents.push_back({{"offset", e.file_offset},
                       {"bytes", e.bytes},
                       {"stripe", to_string(lin{e.stripe.value})},
                       {"stripe_offset", e.stripe_offset}});
  json stripes = json::array();
  for (const auto& s : x.stripes) {
    json units = json::array();
    for (const auto& u : s.layout.units)
      units.push_back({{"drive", to_string(u.run.drive)},
                       {"start_block", u.run.start_block},
                       {"blocks", u.run.block_count},
                       {"birth", u.run.born.value},
                       {"checksum", u.checksum}});
    stripes.push_back({{"stripe", to_string(lin{s.id.value})},
                       {"data_units", s.layout.shape.data_units},
                       {"parity_units", s.layout.shape.parity_units},
                       {"per_node", s.layout.shape.per_node},
                       {"unit_blocks", s.layout.unit_blocks},
                       {"at_risk", s.layout.at_risk},
                       {"units", std::move(units)}});
  }
  return {{"path", x.path},
          {"attributes", json_of(x.attributes)},
          {"level", x.level},
          {"level_is_default", x.level_is_default},
          {"layout", x.layout},
          {"inline_bytes", x.inline_bytes},
          {"extents", std::move(extents)},
          {"stripes", std::move(stripes)}};
}

json json_of(const fsck_report& x) {
  json findings = json::array();
  for (const auto& f : x.findings)
    findings.push_back(
      {{"kind", f.kind}, {"object", f.object}, {"detail", f.detail}, {"leak", f.leak}});
  return {{"inodes", x.inodes},
          {"directories", x.directories},
          {"stripes", x.stripes},
          {"findings", std::move(findings)}};
}

} // namespace troupe::shell
