#pragma once

#include "actors/gateway/gateway_runner.hpp"
#include "actors/host/cluster_files.hpp"
#include "actors/transport/certificate_keeper.hpp"
#include "messages/roles.hpp"
#include "storage/base/env.hpp"

#include <memory>
#include <string>

namespace troupe {

/// A process as a client of one cluster: reactor, network, view. Blocking calls turn the reactor
/// on the calling thread until the answer is here. One thread.
class client_session {
public:
  /// Connects with the certificate of `role` (client or admin) to whichever node answers first.
  /// @returns trp::cluster_not_found, trp::bad_certificate, trp::cluster_not_running and others.
  static expected<std::unique_ptr<client_session>> open(env& files, const std::string& directory,
                                                        peer_role role);
  ~client_session();

  reactor& loop() { return loop_; }
  network& net() { return *net_; }
  const cluster_view& view() const { return view_; }

  /// Asks one node and waits.
  template <request_message T>
  expected<answer_of<T>> ask(node_id node, T message, std::uint32_t timeout_ms) {
    std::optional<expected<answer_of<T>>> got;
    net_->ask<T>(node, std::move(message), timeout_ms,
                 [&got](expected<answer_of<T>> answer) { got = std::move(answer); });
    run_until([&] { return got.has_value(); });
    return std::move(*got);
  }
  /// Turns the reactor until `done`.
  template <class Done>
  void run_until(Done done) {
    while (!done())
      loop_.run_once(100);
  }
  /// A client id from the cluster group. @returns trp::no_quorum after a bounded wait.
  expected<client_id> admit(const std::string& purpose);
  /// A change that the cluster group commits. @returns trp::no_quorum after a bounded wait, or
  /// what the group says against it. May be asked again: it is done once.
  expected<void> change_cluster(const cluster_request& request);
  /// The gateway, made at the first call with a client id of its own.
  expected<gateway_runner*> gateway(const std::string& purpose);

private:
  client_session() = default;
  /// Asks one node after the other until the leader of the cluster group answers.
  expected<cluster_result> ask_cluster(const cluster_request& request);
  expected<void> learn_view(const cluster_description& description);
  expected<void> ask_view(const std::vector<node_view>& nodes);

  reactor loop_;
  std::unique_ptr<network> net_;
  std::unique_ptr<certificate_keeper> keeper_;
  cluster_view view_;
  std::unique_ptr<gateway_runner> gateway_;
};

} // namespace troupe
