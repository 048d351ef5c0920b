#include "shell/json_of.hpp"
#include "shell/render.hpp"
#include "shell/verbs.hpp"

#include <ctime>
#include <map>
#include <memory>
#include <ostream>
#include <set>

namespace troupe::shell {

namespace {

using nlohmann::json;

std::string day_of(wall_time t) {
  std::time_t seconds = static_cast<std::time_t>(t.ns / 1'000'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32] = "";
  std::strftime(text, sizeof(text), "%Y-%m-%d", &parts);
  return text;
}

/// What the running cluster says about certificates; empty if it does not run.
struct cluster_knowledge {
  bool answers = false;
  std::map<certificate_serial, revoked_certificate> revoked;
  std::set<std::string> in_use; ///< Serial numbers that connected processes show.
  std::vector<node_certificates> nodes;
};

cluster_knowledge ask(context& ctx) {
  cluster_knowledge out;
  auto port = ctx.host.connect(ctx.directory);
  if (!port)
    return out;
  if (auto config = (*port)->config()) {
    out.answers = true;
    out.revoked = config->revoked;
  }
  out.nodes = (*port)->certificates({});
  for (const auto& node : out.nodes)
    if (node.report) {
      out.in_use.insert(node.report->own.serial.hex);
      for (const auto& peer : node.report->peers)
        out.in_use.insert(peer.certificate.serial.hex);
    }
  return out;
}

std::string name_of(const certified_identity& who) {
  if (who.role == peer_role::none)
    return "CA";
  return std::string{to_string(who.role)} + "/" + std::to_string(who.id);
}

std::string state_of(const certificate_record& r, const cluster_knowledge& cluster) {
  auto now = static_cast<std::int64_t>(std::time(nullptr)) * 1'000'000'000;
  if (cluster.revoked.contains(r.info.serial))
    return "revoked";
  if (r.info.not_after.ns < now)
    return "expired";
  if (cluster.in_use.contains(r.info.serial.hex))
    return "in use";
  return r.current ? "current" : "valid";
}

void list_certificates(context& ctx) {
  auto records = ctx.host.certificates(ctx.directory);
  if (!records)
    return report(ctx, "cannot list certificates", records.error());
  auto cluster = ask(ctx);
  json out = {{"cluster_answers", cluster.answers},
              {"certificates", json::array()},
              {"revoked", json::array()}};
  std::vector<std::vector<std::string>> rows;
  for (const auto& r : *records) {
    auto state = r.info.who.role == peer_role::none ? "trusted" : state_of(r, cluster);
    out["certificates"].push_back({{"name", name_of(r.info.who)},
                                   {"serial", r.info.serial.hex},
                                   {"not_after", day_of(r.info.not_after)},
                                   {"authority", r.info.authority},
                                   {"state", state},
                                   {"current", r.current},
                                   {"file", r.file}});
    rows.push_back({name_of(r.info.who), state, day_of(r.info.not_after), r.info.serial.hex,
                    r.info.authority.substr(0, 8), r.file});
  }
  for (const auto& [serial, x] : cluster.revoked)
    out["revoked"].push_back({{"serial", serial.hex},
                              {"name", std::string{to_string(x.role)} + "/" + std::to_string(x.id)},
                              {"since", day_of(x.revoked_at)},
                              {"reason", x.reason}});
  if (ctx.json)
    return ctx.print(out);
  ctx.out << render_table({"NAME", "STATE", "ENDS", "SERIAL", "CA", "FILE"}, rows);
  if (!cluster.answers)
    ctx.out << "the cluster does not answer: what is in use or revoked is not known\n";
}

void add_rotation(CLI::App& cert, context& ctx) {
  auto wish = std::make_shared<rotation_wish>();
  auto* verb = add_changing_verb(
    cert, ctx, "rotate", "new keys and certificates, loaded without a stop",
    [&ctx, wish] { run_plan(ctx, ctx.host.plan_cert_rotate(ctx.directory, *wish)); });
  verb->add_option("which", wish->which,
                   "node/3, client/1, admin/1; all of this directory if none");
  verb->add_flag("--ca", wish->authority,
                 "a new CA too; the old one stays trusted until `cert retire`");
  verb->add_flag("--revoke-old", wish->revoke_old, "nobody accepts the replaced ones any more");

  auto force = std::make_shared<bool>(false);
  verb =
    add_changing_verb(cert, ctx, "retire", "trust the CA before the last no more", [&ctx, force] {
      run_plan(ctx, ctx.host.plan_cert_retire(ctx.directory, *force));
    });
  verb->add_flag("--force", *force, "even if a process still shows a certificate of it");
}

} // namespace

void add_cert_verbs(CLI::App& app, context& ctx) {
  auto* cert = app.add_subcommand("cert", "certificates")->require_subcommand(1);
  add_verb(*cert, ctx, "list", "all that were issued, and the CAs",
           [&ctx] { list_certificates(ctx); });

  auto wish = std::make_shared<certificate_wish>();
  auto role = std::make_shared<std::string>("client");
  auto* verb = add_changing_verb(
    *cert, ctx, "issue", "a certificate for another machine, as a directory for its --dir",
    [&ctx, wish, role] {
      wish->role = *role == "admin" ? peer_role::admin : peer_role::client;
      run_plan(ctx, ctx.host.plan_cert_issue(ctx.directory, *wish));
    });
  verb->add_option("--role", *role, "client or admin")
    ->capture_default_str()
    ->check(CLI::IsMember({"client", "admin"}));
  verb->add_option("--id", wish->id, "its number; the next one if none");
  verb->add_option("--days", wish->days, "valid for; as long as the others if none");
  verb->add_option("--out", wish->output, "the directory to make")->required();

  add_rotation(*cert, ctx);

  auto which = std::make_shared<std::string>();
  auto reason = std::make_shared<std::string>();
  verb = add_changing_verb(
    *cert, ctx, "revoke", "a certificate that nobody accepts any more", [&ctx, which, reason] {
      run_plan(ctx, ctx.host.plan_cert_revoke(ctx.directory, *which, *reason));
    });
  verb->add_option("certificate", *which, "its serial number, or client/7")->required();
  verb->add_option("--reason", *reason, "for people");
}

} // namespace troupe::shell
