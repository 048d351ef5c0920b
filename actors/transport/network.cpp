#include "actors/transport/network.hpp"

namespace troupe {

expected<std::unique_ptr<network>> network::make(reactor& loop, const transport_options& options,
                                                 const credentials& own, incarnation process) {
  auto made = transport::make(loop, options, own, process);
  if (!made)
    return made.error();
  return std::unique_ptr<network>{new network{std::move(*made)}};
}

void network::open(node_id node, const std::string& address) {
  auto& known = known_[node];
  if (known == address)
    return;
  known = address;
  transport_->open_link(node, address);
}

void network::close_all_but(const std::set<node_id>& keep) {
  for (auto it = known_.begin(); it != known_.end();) {
    if (keep.contains(it->first)) {
      ++it;
      continue;
    }
    transport_->close_link(it->first);
    it = known_.erase(it);
  }
}

void network::set_nodes(const cluster_config& config) {
  std::set<node_id> present;
  const auto& self = transport_->self().certified;
  for (const auto& [id, node] : config.nodes) {
    bool is_self = self.role == peer_role::node && self.id == id.value;
    if (is_self || node.state == node_state::removed)
      continue;
    present.insert(id);
    open(id, node.address);
  }
  close_all_but(present);
  std::set<certificate_serial> revoked;
  for (const auto& [serial, r] : config.revoked)
    revoked.insert(serial);
  transport_->set_revoked(std::move(revoked));
}

void network::set_nodes(const cluster_view& view) {
  std::set<node_id> present;
  for (const auto& node : view.nodes) {
    present.insert(node.id);
    open(node.id, node.address);
  }
  close_all_but(present);
  transport_->set_revoked({view.revoked.begin(), view.revoked.end()});
}

certificate_report network::certificates() const {
  certificate_report out;
  out.own = transport_->own_certificate();
  for (const auto& ca : transport_->authorities()) {
    auto& x = out.authorities.emplace_back(info_of(*ca));
    x.authority = authority_id(*ca);
  }
  for (auto& peer : transport_->peer_certificates())
    out.peers.push_back({peer.dialled, std::move(peer.info)});
  return out;
}

void network::on_peer(std::function<void(node_id, bool up)> heard) {
  transport_->add_peer_listener(
    [heard = std::move(heard)](const peer_change& x) { heard(x.peer, x.up); });
}

std::vector<actor_report> network::actors() const {
  std::vector<actor_report> out;
  const auto& self = transport_->self().certified;
  for (const auto& link : transport_->report()) {
    actor_report a;
    a.path =
      std::string{to_string(self.role)} + "/" + std::to_string(self.id) + "/link/" + link.peer;
    a.kind = "link";
    a.state = link.connected ? "connected" : "not connected";
    out.push_back(std::move(a));
  }
  return out;
}

} // namespace troupe
