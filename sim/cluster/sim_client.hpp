#pragma once

#include "cluster/gateway/gateway_state.hpp"
#include "sim/cluster/sim_network.hpp"
#include "sim/cluster/sim_node.hpp"
#include "sim/cluster/sim_options.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

namespace troupe {

/// One client process: admitted by the cluster group, then a gateway, as `gateway_runner` runs it.
class sim_client {
public:
  using callback = std::function<void(expected<call_result>)>;

  sim_client(surroundings& world, sim_network& net, node_directory& nodes,
             const sim_options& options, endpoint self, cluster_view view);
  ~sim_client();
  sim_client(const sim_client&) = delete;
  sim_client& operator=(const sim_client&) = delete;

  /// Calls before the client is admitted wait for it.
  bool admitted() const { return gateway_ != nullptr; }
  void call(file_call what, callback done);
  /// Stores everything, gives all leases back.
  void shut_down(callback done);
  endpoint self() const { return self_; }

  /// Buffered data of a file is gone for good.
  std::function<void(lin)> on_lost;
  /// A partition granted or renewed the write lease of a file, which was asked for at `sent`.
  std::function<void(lin file, std::uint64_t sent)> on_lease;
  /// The lease of a file is being given back, and the last commit of the file was answered.
  std::function<void(lin file)> on_lease_back;

private:
  boot_time now() const { return clock_.boot(); }
  instant present() const { return {clock_.boot(), clock_.wall()}; }
  void later(std::uint64_t delay, std::function<void()> what);
  void admit();
  void refresh_view();
  template <class Step>
  void step(Step step);
  void trace(const char* verb, std::uint64_t token, std::string_view what);
  void run(send_meta& x);
  void run(send_drive& x);
  void run(call_reply& x);
  void run(damage_seen& x);
  void run(unit_repaired& x);
  void run(writes_lost& x);
  void run(fetch_config& x);
  void arm();

  surroundings& world_;
  sim_network& net_;
  node_directory& nodes_;
  const sim_options& options_;
  endpoint self_;
  sim_clock clock_;
  cluster_view view_;
  std::unique_ptr<gateway_state> gateway_;
  std::map<call_token, callback> waiting_;
  std::set<lin> unsure_commits_; ///< Files of which the last commit is not answered "done".
  std::uint64_t tokens_ = 0;
  std::optional<boot_time> armed_for_;
  std::uint64_t armings_ = 0;
  std::size_t turn_ = 0;
  bool refreshing_ = false;
  std::uint64_t renumbered_ = 0; ///< See planted_bug::forgotten_retry.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace troupe
