#include "actors/node/node_drives.hpp"

#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

namespace troupe {

node_drives::node_drives(node_base* owner, const node_services& services,
                         std::function<void(const drive_record&)> changed)
  : owner_(owner), services_(services), changed_(std::move(changed)) {
  for (const auto& where : services.config.drives) {
    auto& e = drives_.try_emplace(where.id).first->second;
    e.where = where;
    e.record.id = where.id;
    e.record.node = services.config.node;
    e.record.bay = where.bay;
    e.report.drive = where.id;
    e.restarts = restart_state{services.options.restarts};
  }
}

std::string node_drives::path_of(const entry& e) const {
  return "node/" + std::to_string(services_.config.node.value) + "/drive/"
         + std::to_string(e.where.bay.value);
}

void node_drives::mount_all() {
  for (auto& [id, e] : drives_)
    start(e);
}

void node_drives::start(entry& e) {
  e.wants_start = false;
  auto mounted = mount_drive(services_.files, e.where.directory,
                             {services_.config.cluster, e.where.id}, services_.options.drives);
  auto before = e.record.state;
  if (!mounted && mounted.error().code == errc::busy) {
    // The kernel still works for the mount before this one: it ends soon.
    e.wants_start = true;
    e.start_at = e.restarts.died(services_.loop.now());
    return;
  }
  if (!mounted) {
    e.trouble = mounted.error().context;
    e.record.state =
      mounted.error().code == errc::not_found ? drive_state::gone : drive_state::dead;
    e.report.state = e.record.state;
    services_.raise(event_severity::error, "drive_not_mounted",
                    {{"drive", path_of(e)}, {"why", describe(mounted.error())}});
  } else {
    e.trouble.clear();
    e.record.state = drive_state::healthy;
    e.report = mounted->state.report();
    e.report.state = drive_state::healthy;
    e.record.mount = e.report.mount;
    e.record.blocks_total = mounted->superblock.geometry.block_count;
    if (mounted->found.tail_cut || mounted->found.damaged_pages > 0)
      services_.raise(event_severity::warn, "drive_recovered",
                      {{"drive", path_of(e)},
                       {"tail_cut", mounted->found.tail_cut ? "yes" : "no"},
                       {"damaged_pages", std::to_string(mounted->found.damaged_pages)}});
    e.restarts.started(services_.loop.now());
    e.actor = owner_->spawn<caf::monitored>(
      drive_actor, path_of(e), std::make_shared<mounted_drive>(std::move(*mounted)), &services_.io,
      [this, id = e.where.id](const error& why) { died(id, why); });
  }
  if (e.record.state != before)
    changed_(e.record);
}

void node_drives::died(const drive_uuid& drive, const error& why) {
  auto& e = drives_.at(drive);
  e.trouble = why.context;
  e.record.state = drive_state::dead;
  services_.raise(event_severity::error, "drive_failed",
                  {{"drive", path_of(e)}, {"why", why.context}});
  changed_(e.record);
}

void node_drives::fail(const drive_uuid& drive, const error& why) {
  auto it = drives_.find(drive);
  if (it == drives_.end() || it->second.record.state == drive_state::dead)
    return;
  died(drive, why);
  it->second.wants_start = false;
  if (it->second.actor)
    caf::anon_send_exit(it->second.actor, caf::exit_reason::kill);
}

bool node_drives::ended(const caf::actor_addr& who, boot_time now) {
  for (auto& [id, e] : drives_) {
    if (e.actor.address() != who)
      continue;
    e.actor = drive_interface{};
    if (e.record.state != drive_state::dead) { // a dead drive is not used again in this process
      e.wants_start = true;
      e.start_at = e.restarts.died(now);
    }
    services_.raise(event_severity::warn, "actor_down", {{"actor", path_of(e)}});
    return true;
  }
  return false;
}

void node_drives::tick(boot_time now) {
  for (auto& [id, e] : drives_) {
    if (e.wants_start && now >= e.start_at)
      start(e);
    if (e.actor)
      ask_actor<drive_report>(owner_, e.actor, get_drive_report{id},
                              [this, key = id](expected<drive_report> report) {
                                if (!report)
                                  return; // it ended: `ended` hears of it
                                auto& mine = drives_.at(key);
                                mine.report = std::move(*report);
                                mine.report.state = mine.record.state;
                              });
  }
}

expected<drive_interface> node_drives::find(const drive_uuid& drive) const {
  auto it = drives_.find(drive);
  if (it == drives_.end())
    return error{errc::not_found, "drive " + to_string(drive) + " is not here"};
  if (!it->second.actor)
    return error{errc::unavailable, path_of(it->second) + " does not run: " + it->second.trouble};
  return it->second.actor;
}

std::vector<drive_record> node_drives::records() const {
  std::vector<drive_record> out;
  for (const auto& [id, e] : drives_)
    out.push_back(e.record);
  return out;
}

std::vector<drive_report> node_drives::reports() const {
  std::vector<drive_report> out;
  for (const auto& [id, e] : drives_)
    out.push_back(e.report);
  return out;
}

std::vector<actor_report> node_drives::actors() const {
  std::vector<actor_report> out;
  for (const auto& [id, e] : drives_) {
    actor_report a;
    a.path = path_of(e);
    a.kind = "drive";
    a.state = e.actor ? to_string(e.record.state) : "not running: " + e.trouble;
    a.messages = e.report.stores + e.report.reads + e.report.frees;
    a.restarts = e.restarts.restarts();
    out.push_back(std::move(a));
  }
  return out;
}

bool node_drives::kill(const std::string& path) {
  for (auto& [id, e] : drives_)
    if (e.actor && path_of(e) == path) {
      caf::anon_send_exit(e.actor, caf::exit_reason::kill);
      return true;
    }
  return false;
}

} // namespace troupe
