#pragma once

#include "actors/kit/reactor.hpp"
#include "actors/transport/network.hpp"
#include "cluster/gateway/gateway_state.hpp"

#include <functional>
#include <map>
#include <memory>

namespace troupe {

/// The gateway of a client process: `gateway_state` on a reactor and a network. Reactor thread
/// only; outlived by both.
class gateway_runner {
public:
  using callback = std::function<void(expected<call_result>)>;

  gateway_runner(reactor& loop, network& net, const gateway_options& options, cluster_view view);
  ~gateway_runner();
  gateway_runner(const gateway_runner&) = delete;
  gateway_runner& operator=(const gateway_runner&) = delete;

  /// Asks for one call; `done` hears the answer once, never inside this function.
  call_token call(file_call what, callback done);
  /// The caller gave up.
  void interrupt(call_token token);
  /// Stores everything that is buffered and gives the leases back.
  void shut_down(callback done);
  /// A link came or went.
  void peer_changed(node_id node, bool up);
  gateway_report report() const { return state_.report(); }
  const cluster_view& view() const { return view_; }

private:
  instant now() const { return {loop_.now(), loop_.time().wall()}; }
  template <class Step>
  void step(Step step);
  void run(gateway_effects& effects);
  void run(send_meta& x);
  void run(send_drive& x);
  void run(call_reply& x);
  void run(const damage_seen& x);
  void run(const unit_repaired& x);
  void run(const writes_lost& x);
  void arm();
  void refresh_view();
  void raise(event_severity severity, const std::string& name,
             std::map<std::string, std::string> fields);

  reactor& loop_;
  network& net_;
  gateway_state state_;
  cluster_view view_;
  std::map<call_token, callback> waiting_;
  std::uint64_t tokens_ = 0;
  timer_id timer_{};
  std::optional<boot_time> armed_for_;
  timer_id view_timer_{};
  bool refreshing_ = false;
  std::size_t turn_ = 0; ///< Which node is asked for the view next.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace troupe
