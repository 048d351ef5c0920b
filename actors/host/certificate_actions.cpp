#include "actors/host/certificate_actions.hpp"

#include "actors/host/processes.hpp"
#include "storage/base/clock.hpp"

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

namespace troupe {

namespace {

/// Mounts look at their files every two seconds; then they dial again.
constexpr std::uint32_t clients_wait_ms = 6'000;
constexpr std::size_t serial_chars_min = 16;
constexpr std::int64_t far_future_ns = std::int64_t{3650} * 86'400 * 1'000'000'000;

std::string detail(const plan_step& step, const std::string& name) {
  for (const auto& [key, value] : step.details)
    if (key == name)
      return value;
  return {};
}

std::string name_of(peer_role role, std::uint64_t id) {
  return std::string{to_string(role)} + "/" + std::to_string(id);
}

/// "client/7"; false if it is not of that form.
bool parse_name(const std::string& text, peer_role& role, std::uint64_t& id) {
  certified_identity who;
  if (!parse_identity("troupe:cluster/" + to_string(uuid{}) + "/" + text, who))
    return false;
  role = who.role;
  id = who.id;
  return true;
}

error no_such(const std::string& which) {
  return {errc::not_found, "'" + which + "'", trp::certificate_not_found};
}

} // namespace

bool certificate_actions::knows(const plan_step& step) {
  static const std::set<std::string> words = {
    "export_certificate", "issue_certificate",  "reload_certificates", "revoke_certificate",
    "create_authority",   "trust_authority",    "use_authority",       "drop_old_authorities",
    "wait_for_clients",   "check_old_authority"};
  return words.contains(step.action);
}

bool certificate_actions::is_running(const std::string& directory) const {
  return living_process(cluster_files{directory}.failsafe_pid()).has_value();
}

// -- plans ----------------------------------------------------------------------------------------

expected<plan> certificate_actions::plan_issue(const std::string& directory,
                                               const certificate_wish& wish) {
  if (wish.role != peer_role::client && wish.role != peer_role::admin)
    return error{errc::not_supported, "a certificate for a node that is not in the directory",
                 trp::not_available_yet};
  certificate_store store{files_, directory};
  if (auto able = store.authority(); !able)
    return able.error();
  auto records = store.records();
  if (!records)
    return records.error();
  auto id = wish.id;
  if (id == 0) {
    for (const auto& r : *records)
      if (r.info.who.role == wish.role)
        id = std::max(id, r.info.who.id);
    ++id;
  }
  if (auto there = files_.list(wish.output); there && !there->empty())
    return error{errc::already_exists, wish.output, trp::directory_not_empty};
  plan what{"cert issue", {}};
  what.steps.push_back({"export_certificate",
                        wish.output,
                        {{"cluster", directory},
                         {"certificate", name_of(wish.role, id)},
                         {"days", std::to_string(wish.days)}}});
  return what;
}

expected<plan> certificate_actions::plan_rotate(const std::string& directory,
                                                const rotation_wish& wish) {
  certificate_store store{files_, directory};
  if (auto able = store.authority(); !able)
    return able.error();
  auto holders = store.holders();
  auto records = store.records();
  if (!holders)
    return holders.error();
  if (!records)
    return records.error();
  for (const auto& name : wish.which)
    if (wish.authority || std::none_of(holders->begin(), holders->end(), [&](const auto& h) {
          return name_of(h.role, h.id) == name;
        }))
      return wish.authority ? error{errc::invalid_argument, "a new CA renews all certificates"}
                            : no_such(name);
  plan what{"cert rotate", {}};
  bool running = is_running(directory);
  auto reload = [&](const std::string& what_for) {
    if (!running)
      return;
    what.steps.push_back({"reload_certificates", directory, {{"nodes", what_for}}});
    what.steps.push_back(
      {"wait_for_clients", directory, {{"ms", std::to_string(clients_wait_ms)}}});
  };
  if (wish.authority) {
    what.steps.push_back({"create_authority", directory, {}});
    what.steps.push_back({"trust_authority", directory, {}});
    reload("trust_newest");
    what.steps.push_back({"use_authority", directory, {}});
  }
  std::vector<plan_step> revocations;
  for (const auto& h : *holders) {
    auto name = name_of(h.role, h.id);
    if (!wish.which.empty()
        && std::find(wish.which.begin(), wish.which.end(), name) == wish.which.end())
      continue;
    what.steps.push_back({"issue_certificate", directory, {{"certificate", name}}});
    for (const auto& r : *records)
      if (wish.revoke_old && r.current && r.file == h.certificate_path)
        revocations.push_back({"revoke_certificate",
                               r.info.serial.hex,
                               {{"cluster", directory},
                                {"certificate", name},
                                {"not_after_ns", std::to_string(r.info.not_after.ns)},
                                {"reason", "replaced"}}});
  }
  reload("renew_links");
  if (!revocations.empty() && !running)
    return error{errc::unavailable, "revoking needs the running cluster", trp::cluster_not_running};
  what.steps.insert(what.steps.end(), revocations.begin(), revocations.end());
  return what;
}

expected<plan> certificate_actions::plan_retire(const std::string& directory, bool force) {
  certificate_store store{files_, directory};
  auto old = store.has_old_authorities();
  if (!old)
    return old.error();
  plan what{"cert retire", {}};
  if (!*old)
    return what;
  if (auto pending = files_.exists(store.paths().next_ca_certificate()); !pending || *pending)
    return error{errc::busy, directory + ": a rotation of the CA is not finished",
                 trp::old_authority_in_use};
  if (!force) {
    if (auto unused = check_unused(directory); !unused)
      return unused.error();
    what.steps.push_back({"check_old_authority", directory, {}});
  }
  what.steps.push_back({"drop_old_authorities", directory, {}});
  if (is_running(directory))
    what.steps.push_back({"reload_certificates", directory, {{"nodes", "renew_links"}}});
  return what;
}

expected<plan> certificate_actions::plan_revoke(const std::string& directory,
                                                const std::string& which,
                                                const std::string& reason) {
  certificate_store store{files_, directory};
  auto records = store.records();
  if (!records)
    return records.error();
  auto own = load_authorities(store.paths().admin_certificate());
  peer_role role = peer_role::none;
  std::uint64_t id = 0;
  bool by_name = parse_name(which, role, id);
  plan what{"cert revoke", {}};
  auto add = [&](const certificate_info& info) {
    what.steps.push_back({"revoke_certificate",
                          info.serial.hex,
                          {{"cluster", directory},
                           {"certificate", name_of(info.who.role, info.who.id)},
                           {"not_after_ns", std::to_string(info.not_after.ns)},
                           {"reason", reason}}});
  };
  for (const auto& r : *records) {
    bool meant =
      by_name ? r.info.who.role == role && r.info.who.id == id : r.info.serial.hex == which;
    if (!meant || r.info.not_after < system_clock().wall())
      continue;
    if (r.info.who.role == peer_role::none)
      return error{errc::invalid_argument,
                   "a CA is not revoked: `troupe cert rotate --ca`, then `troupe cert retire`"};
    if (own && info_of(*own->front()).serial == r.info.serial)
      return error{errc::invalid_argument,
                   "this is the certificate that the command itself uses: `troupe cert rotate "
                     + name_of(r.info.who.role, r.info.who.id) + " --revoke-old`"};
    add(r.info);
  }
  bool serial = !by_name && which.size() >= serial_chars_min
                && which.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (what.steps.empty() && serial) { // issued elsewhere: its serial number is enough
    certificate_info info;
    info.serial.hex = which;
    info.not_after = {system_clock().wall().ns + far_future_ns};
    add(info);
  }
  if (what.steps.empty())
    return no_such(which);
  return what;
}

// -- steps ----------------------------------------------------------------------------------------

expected<void> certificate_actions::execute(const plan_step& step) {
  if (step.action == "export_certificate")
    return export_certificate(step);
  if (step.action == "issue_certificate")
    return issue(step);
  if (step.action == "reload_certificates")
    return reload(step);
  if (step.action == "revoke_certificate")
    return revoke(step);
  if (step.action == "check_old_authority")
    return check_unused(step.object);
  if (step.action == "wait_for_clients") {
    auto ms = std::strtoull(detail(step, "ms").c_str(), nullptr, 10);
    std::this_thread::sleep_for(std::chrono::milliseconds{ms});
    return {};
  }
  return change_authority(step);
}

expected<void> certificate_actions::change_authority(const plan_step& step) {
  certificate_store store{files_, step.object};
  if (step.action == "create_authority")
    return store.make_next_authority();
  if (step.action == "trust_authority")
    return store.trust_next_authority();
  if (step.action == "use_authority")
    return store.use_next_authority();
  return store.drop_old_authorities();
}

expected<void> certificate_actions::issue(const plan_step& step) {
  certificate_store store{files_, step.object};
  auto by = store.authority();
  auto holders = store.holders();
  if (!by)
    return by.error();
  if (!holders)
    return holders.error();
  auto name = detail(step, "certificate");
  for (const auto& h : *holders)
    if (name_of(h.role, h.id) == name) {
      auto issued = store.issue(*by, h);
      return issued ? expected<void>{} : issued.error();
    }
  return no_such(name);
}

expected<void> certificate_actions::export_certificate(const plan_step& step) {
  certificate_store store{files_, detail(step, "cluster")};
  cluster_files to{step.object};
  certificate_holder who;
  if (!parse_name(detail(step, "certificate"), who.role, who.id))
    return no_such(detail(step, "certificate"));
  bool admin = who.role == peer_role::admin;
  who.certificate_path = admin ? to.admin_certificate() : to.client_certificate();
  who.key_path = admin ? to.admin_key() : to.client_key();
  certificate_lifetime lifetime;
  if (auto days = std::strtoll(detail(step, "days").c_str(), nullptr, 10); days != 0)
    lifetime.leaf_days = days;
  auto by = store.authority(lifetime);
  if (!by)
    return by.error();
  auto description = load_description(files_, store.paths());
  if (!description)
    return description.error();
  auto bundle = files_.read_file(store.paths().ca_certificate(), 1 << 20);
  if (!bundle)
    return bundle.error();
  for (const auto& directory :
       {to.root(), to.root() + "/ca", to.mounts(), to.root() + (admin ? "/admin" : "/client")})
    if (auto made = files_.make_directory(directory); !made)
      return made;
  if (auto saved = files_.replace_file(to.ca_certificate(), *bundle); !saved)
    return saved;
  if (auto issued = store.issue(*by, who); !issued)
    return issued.error();
  return save_description(files_, to, *description);
}

expected<void> certificate_actions::reload(const plan_step& step) {
  auto port = connect_(step.object);
  if (!port)
    return port.error();
  auto wanted = detail(step, "nodes");
  auto newest = certificate_store{files_, step.object}.newest_authority();
  if (!newest)
    return newest.error();
  for (const auto& node : (*port)->certificates({.reload = true})) {
    auto name = "node " + std::to_string(node.node.value);
    if (!node.report && node.report.error().id == trp::bad_certificate)
      return error{errc::invalid_argument, name + ": " + node.report.error().context,
                   trp::bad_certificate};
    if (!node.report) // it is down, and reads its files when it starts
      continue;
    const auto& trusted = node.report->authorities;
    if (std::none_of(trusted.begin(), trusted.end(),
                     [&](const auto& ca) { return ca.authority == *newest; }))
      return error{errc::unavailable, name + " does not trust the CA " + *newest + " yet",
                   trp::old_authority_in_use};
  }
  // All have their new ones: now their peers look at them again.
  if (wanted == "renew_links")
    (void)(*port)->certificates({.renew_links = true});
  return {};
}

expected<void> certificate_actions::check_unused(const std::string& directory) {
  if (!is_running(directory))
    return {};
  certificate_store store{files_, directory};
  auto newest = store.newest_authority();
  if (!newest)
    return newest.error();
  auto port = connect_(directory);
  if (!port)
    return port.error();
  for (const auto& node : (*port)->certificates({})) {
    auto name = "node " + std::to_string(node.node.value);
    if (!node.report)
      continue; // it reads its files when it starts
    if (node.report->own.authority != *newest)
      return error{errc::busy, name + " shows a certificate of the old CA",
                   trp::old_authority_in_use};
    for (const auto& peer : node.report->peers)
      if (!peer.dialled && peer.certificate.authority != *newest)
        return error{errc::busy,
                     name_of(peer.certificate.who.role, peer.certificate.who.id)
                       + " shows a certificate of the old CA to " + name,
                     trp::old_authority_in_use};
  }
  return {};
}

expected<void> certificate_actions::revoke(const plan_step& step) {
  auto port = connect_(detail(step, "cluster"));
  if (!port)
    return port.error();
  revoked_certificate what;
  what.serial.hex = step.object;
  (void)parse_name(detail(step, "certificate"), what.role, what.id);
  what.revoked_at = system_clock().wall();
  what.not_after.ns = std::strtoll(detail(step, "not_after_ns").c_str(), nullptr, 10);
  what.reason = detail(step, "reason");
  return (*port)->revoke(what);
}

} // namespace troupe
