#pragma once

#include "actors/transport/transport.hpp"
#include "messages/admin.hpp"
#include "messages/cluster_config.hpp"
#include "messages/cluster_view.hpp"

#include <functional>
#include <memory>
#include <set>

namespace troupe {

/// The nodes of the cluster as one process reaches them: a transport with a link to every node of
/// the newest configuration or view. Reactor thread only.
class network {
public:
  static expected<std::unique_ptr<network>> make(reactor& loop, const transport_options& options,
                                                 const credentials& own, incarnation process);

  /// Keeps links to exactly these nodes; a changed address is dialled anew.
  void set_nodes(const cluster_config& config);
  void set_nodes(const cluster_view& view);
  bool is_up(node_id node) {
    auto* found = transport_->find_link(node);
    return found && found->up();
  }
  /// Called when a link to a node came up or was lost.
  void on_peer(std::function<void(node_id, bool up)> heard);

  /// Asks a node; `done` hears the answer or an error once, never inside this call.
  template <request_message T>
  void ask(node_id to, T message, std::uint32_t timeout_ms, answer_callback<T> done) {
    request_options options;
    options.timeout_ms = timeout_ms;
    transport_->request<T>(to, 0, message, options, std::move(done));
  }
  /// Sends a one-way message; it may be lost.
  template <one_way_message T>
  void tell(node_id to, T message) {
    (void)transport_->send<T>(to, 0, message);
  }

  dispatcher& messages() { return transport_->messages(); }
  expected<void> listen(const std::string& address, role_set roles = any_role) {
    return transport_->listen(address, roles);
  }
  /// See transport.
  expected<void> renew(const credentials& own) { return transport_->renew(own); }
  void renew_links() { transport_->renew_links(); }
  /// This process's certificate, the CAs it trusts, and what its peers showed.
  certificate_report certificates() const;
  const certificate_info& own_certificate() const { return transport_->own_certificate(); }
  std::vector<link_report> reports() const { return transport_->report(); }
  /// Links as `actors list` shows them.
  std::vector<actor_report> actors() const;

private:
  explicit network(std::unique_ptr<transport> t) : transport_(std::move(t)) {}
  void open(node_id node, const std::string& address);
  void close_all_but(const std::set<node_id>& keep);

  std::unique_ptr<transport> transport_;
  std::map<node_id, std::string> known_;
};

} // namespace troupe
