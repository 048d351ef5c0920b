#pragma once

#include "actors/host/certificate_actions.hpp"
#include "actors/host/cluster_maker.hpp"
#include "messages/host_port.hpp"

#include <functional>

namespace troupe {

/// The parts of the program that `host_actions` starts or asks; put together in main.
struct host_services {
  std::function<int(const std::string& config_path)> run_node;
  std::function<int(const std::string& directory, const std::string& mount_point)> run_mount;
  std::function<expected<std::unique_ptr<cluster_port>>(const std::string& directory)> connect;
};

/// The real `host_port`: directories, processes and mounts of this machine.
class host_actions final : public host_port {
public:
  host_actions(env& files, host_services services)
    : files_(files), services_(std::move(services)), maker_(files),
      certificates_(files, services_.connect) {}

  expected<plan> plan_init(const cluster_wish& wish) override;
  expected<plan> plan_up(const cluster_wish& wish, const std::string& mount_point) override;
  expected<plan> plan_down(const std::string& directory, bool destroy) override;
  expected<plan> plan_mount(const std::string& directory, const std::string& mount_point) override;
  expected<plan> plan_unmount(const std::string& directory,
                              const std::string& mount_point) override;
  expected<plan> plan_cert_issue(const std::string& directory,
                                 const certificate_wish& wish) override {
    return certificates_.plan_issue(directory, wish);
  }
  expected<plan> plan_cert_rotate(const std::string& directory,
                                  const rotation_wish& wish) override {
    return certificates_.plan_rotate(directory, wish);
  }
  expected<plan> plan_cert_retire(const std::string& directory, bool force) override {
    return certificates_.plan_retire(directory, force);
  }
  expected<plan> plan_cert_revoke(const std::string& directory, const std::string& which,
                                  const std::string& reason) override {
    return certificates_.plan_revoke(directory, which, reason);
  }
  expected<std::vector<certificate_record>> certificates(const std::string& directory) override {
    return certificate_store{files_, directory}.records();
  }
  expected<void> execute(const plan& what, const progress& tell) override;
  std::vector<mount_record> mounts(const std::string& directory) override;
  std::vector<error> check_node_config(const std::string& path) override;
  int run_node(const std::string& config_path) override { return services_.run_node(config_path); }
  int run_mount(const std::string& directory, const std::string& mount_point) override {
    return services_.run_mount(directory, mount_point);
  }
  int run_failsafe(const std::string& directory) override;
  expected<std::unique_ptr<cluster_port>> connect(const std::string& directory) override {
    return services_.connect(directory);
  }

private:
  expected<void> add_mount_steps(const std::string& directory, const std::string& mount_point,
                                 plan& what);
  expected<void> check_ports(const std::string& host_and_port);
  expected<void> execute_step(const plan_step& step);
  expected<void> start_failsafe(const plan_step& step);
  expected<void> wait_until_serving(const plan_step& step);
  std::string last_words(const std::string& directory);
  expected<void> mount(const plan_step& step);
  expected<void> unmount(const plan_step& step);
  expected<void> stop_nodes(const plan_step& step);
  expected<void> remove_cluster(const plan_step& step);

  env& files_;
  host_services services_;
  cluster_maker maker_;
  certificate_actions certificates_;
};

} // namespace troupe
