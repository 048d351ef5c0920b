#pragma once

#include "messages/host_port.hpp"
#include "shell/command_line.hpp"

#include <nlohmann/json.hpp>
#include <sstream>

namespace troupe::test {

/// A cluster of two nodes, one of them silent, with one file, as the command line sees it.
class scripted_cluster : public cluster_port {
public:
  std::vector<std::string> calls; ///< What was asked to change.

  expected<cluster_config> config() override {
    cluster_config out;
    out.name = "test";
    out.nodes[node_id{1}] = {node_id{1}, "127.0.0.1:7401", node_state::up, incarnation{1}};
    out.nodes[node_id{2}] = {node_id{2}, "127.0.0.1:7402", node_state::down, incarnation{1}};
    return out;
  }
  std::vector<node_answer> nodes() override {
    node_status one;
    one.node = node_id{1};
    one.lease_valid = true;
    one.io = "io_uring";
    return {{config()->nodes.at(node_id{1}), one},
            {config()->nodes.at(node_id{2}), error{errc::unavailable, "no link"}}};
  }
  expected<space_report> space() override { return space_report{1000, 400}; }
  expected<std::vector<event_record>> events(event_severity, std::uint32_t) override {
    return std::vector<event_record>{};
  }
  expected<std::vector<actor_report>> actors(const std::string&) override {
    return std::vector<actor_report>{{"node/1/drive/1", "drive", "HEALTHY", 3, 0}};
  }
  expected<void> kill_actor(const std::string& path) override {
    calls.push_back("kill " + path);
    return {};
  }
  expected<std::map<std::string, std::string>> effective_config(node_id node) override {
    if (node != node_id{1})
      return error{errc::not_found, "node " + std::to_string(node.value), trp::node_not_found};
    return std::map<std::string, std::string>{{"io.io_uring", "true"}};
  }
  expected<fsck_report> check() override {
    fsck_report out;
    out.inodes = 7;
    out.findings = findings;
    return out;
  }
  std::vector<fsck_finding> findings;
  std::vector<node_certificates> certificates(const get_certificates&) override {
    certificate_report one;
    one.own.serial.hex = "aa01";
    return {{node_id{1}, one}, {node_id{2}, error{errc::unavailable, "no link"}}};
  }
  expected<void> revoke(const revoked_certificate& which) override {
    calls.push_back("revoke " + which.serial.hex);
    return {};
  }

  expected<file_layout> layout(const std::string& path) override { return missing(path); }
  expected<inode_attributes> stat(const std::string& path) override { return missing(path); }
  expected<std::vector<listed_entry>> list(const std::string& path) override {
    return missing(path);
  }
  expected<std::string> read_symlink(const std::string& path) override { return missing(path); }
  expected<void> make_directory(const std::string& path, std::uint32_t) override {
    calls.push_back("mkdir " + path);
    return {};
  }
  expected<void> remove(const std::string& path) override {
    calls.push_back("rm " + path);
    return {};
  }
  expected<void> rename(const std::string& from, const std::string& to) override {
    calls.push_back("mv " + from + " " + to);
    return {};
  }
  expected<std::uint64_t> put(const std::string& path, std::uint32_t,
                              const std::function<expected<byte_vector>()>&) override {
    calls.push_back("put " + path);
    return 0;
  }
  expected<std::uint64_t> cat(const std::string& path,
                              const std::function<expected<void>(byte_view)>&) override {
    return missing(path);
  }

private:
  static error missing(const std::string& path) {
    return {errc::not_found, path, trp::path_not_found};
  }
};

/// A machine on which every plan has one step, and which notes what it was asked to execute.
class scripted_host : public host_port {
public:
  std::vector<std::string> executed;
  std::shared_ptr<scripted_cluster> cluster = std::make_shared<scripted_cluster>();
  std::optional<error> unreachable;
  std::optional<error> refusal; ///< Of every plan.

  expected<plan> plan_init(const cluster_wish& wish) override {
    return one("cluster init", wish.directory);
  }
  expected<plan> plan_up(const cluster_wish& wish, const std::string&) override {
    return one("up", wish.directory + " nodes " + std::to_string(wish.nodes) + " level "
                       + to_string(wish.level));
  }
  expected<plan> plan_down(const std::string& directory, bool destroy) override {
    return one("down", directory + (destroy ? " destroy" : ""));
  }
  expected<plan> plan_mount(const std::string&, const std::string& point) override {
    return one("mount", point);
  }
  expected<plan> plan_unmount(const std::string&, const std::string& point) override {
    return one("umount", point);
  }
  expected<void> execute(const plan& what, const progress& tell) override {
    for (const auto& step : what.steps) {
      tell(step);
      executed.push_back(step.action + " " + step.object);
    }
    return {};
  }
  expected<plan> plan_cert_issue(const std::string&, const certificate_wish& wish) override {
    return one("cert issue", std::string{to_string(wish.role)} + " " + wish.output);
  }
  expected<plan> plan_cert_rotate(const std::string&, const rotation_wish& wish) override {
    return one("cert rotate", (wish.authority ? "ca" : "leafs") + std::string{" "}
                                + (wish.which.empty() ? "all" : wish.which.front()));
  }
  expected<plan> plan_cert_retire(const std::string&, bool force) override {
    return one("cert retire", force ? "force" : "");
  }
  expected<plan> plan_cert_revoke(const std::string&, const std::string& which,
                                  const std::string& reason) override {
    return one("cert revoke", which + " " + reason);
  }
  expected<std::vector<certificate_record>> certificates(const std::string&) override {
    certificate_record ca;
    ca.info.serial.hex = "ca";
    certificate_record node;
    node.info.serial.hex = "aa01";
    node.info.who = {{}, peer_role::node, 1};
    node.info.not_after = {std::int64_t{4'000'000'000} * 1'000'000'000};
    node.current = true;
    return std::vector<certificate_record>{ca, node};
  }
  std::vector<mount_record> mounts(const std::string&) override { return {}; }
  std::vector<error> check_node_config(const std::string& path) override {
    return {
      {errc::invalid_argument, path + ": field 'node' must be a number", trp::bad_config_file}};
  }
  int run_node(const std::string&) override { return 0; }
  int run_mount(const std::string&, const std::string&) override { return 0; }
  int run_failsafe(const std::string&) override { return 0; }
  expected<std::unique_ptr<cluster_port>> connect(const std::string&) override;

private:
  expected<plan> one(const std::string& command, const std::string& object) const {
    if (refusal)
      return *refusal;
    return plan{command, {{"step_of_" + command, object, {}}}};
  }
};

/// Lends the scripted cluster out.
class lent_cluster : public cluster_port {
public:
  explicit lent_cluster(std::shared_ptr<scripted_cluster> c) : c_(std::move(c)) {}
  expected<cluster_config> config() override { return c_->config(); }
  std::vector<node_answer> nodes() override { return c_->nodes(); }
  expected<space_report> space() override { return c_->space(); }
  expected<std::vector<event_record>> events(event_severity s, std::uint32_t n) override {
    return c_->events(s, n);
  }
  expected<std::vector<actor_report>> actors(const std::string& g) override {
    return c_->actors(g);
  }
  expected<void> kill_actor(const std::string& p) override { return c_->kill_actor(p); }
  expected<std::map<std::string, std::string>> effective_config(node_id n) override {
    return c_->effective_config(n);
  }
  expected<fsck_report> check() override { return c_->check(); }
  std::vector<node_certificates> certificates(const get_certificates& q) override {
    return c_->certificates(q);
  }
  expected<void> revoke(const revoked_certificate& w) override { return c_->revoke(w); }
  expected<file_layout> layout(const std::string& p) override { return c_->layout(p); }
  expected<inode_attributes> stat(const std::string& p) override { return c_->stat(p); }
  expected<std::vector<listed_entry>> list(const std::string& p) override { return c_->list(p); }
  expected<std::string> read_symlink(const std::string& p) override { return c_->read_symlink(p); }
  expected<void> make_directory(const std::string& p, std::uint32_t m) override {
    return c_->make_directory(p, m);
  }
  expected<void> remove(const std::string& p) override { return c_->remove(p); }
  expected<void> rename(const std::string& a, const std::string& b) override {
    return c_->rename(a, b);
  }
  expected<std::uint64_t> put(const std::string& p, std::uint32_t m,
                              const std::function<expected<byte_vector>()>& s) override {
    return c_->put(p, m, s);
  }
  expected<std::uint64_t> cat(const std::string& p,
                              const std::function<expected<void>(byte_view)>& s) override {
    return c_->cat(p, s);
  }

private:
  std::shared_ptr<scripted_cluster> c_;
};
inline expected<std::unique_ptr<cluster_port>> scripted_host::connect(const std::string&) {
  if (unreachable)
    return *unreachable;
  return std::unique_ptr<cluster_port>{new lent_cluster{cluster}};
}

/// What one command line said.
struct said {
  int status = 0;
  std::string out;
  std::string err;
  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

inline said run(scripted_host& host, std::vector<std::string> arguments) {
  std::ostringstream out;
  std::ostringstream err;
  std::istringstream in;
  shell::context ctx{host, out, err, in, "/d"};
  said result;
  result.status = shell::run_command_line(ctx, arguments);
  result.out = out.str();
  result.err = err.str();
  return result;
}

} // namespace troupe::test
