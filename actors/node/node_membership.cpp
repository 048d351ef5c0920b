// g++ 12 takes the half of a variant that is not there for one that is not initialized.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include "actors/node/node_membership.hpp"

namespace troupe {

node_membership::node_membership(const node_services& services, wiring wires)
  : services_(services), wiring_(std::move(wires)),
    state_(services.config.node, services.process, services.config.listen,
           services.options.cluster.lease, client_address(services.config)) {}

membership_now node_membership::present() const {
  return {services_.loop.now(), wiring_.drives(), wiring_.reports()};
}

void node_membership::tick() {
  membership_effects out;
  state_.tick(present(), out);
  run(out);
}

void node_membership::run(membership_effects& effects) {
  for (auto& effect : effects)
    std::visit([this](auto& x) { run(x); }, effect);
}

void node_membership::run(ask_cluster& x) {
  auto answered = [this, token = x.token](const cluster_response& response) {
    membership_effects out;
    state_.answered(token, response, present(), out);
    run(out);
  };
  if (x.to == services_.config.node)
    return wiring_.ask_here(x.request, std::move(answered));
  services_.net.ask<cluster_request>(
    x.to, std::move(x.request), services_.options.ask_cluster_ms,
    [answered = std::move(answered)](expected<cluster_response> response) {
      answered(response ? std::move(*response) : cluster_response{response.error(), {}});
    });
}

void node_membership::run(ask_config& x) {
  services_.net.ask<get_cluster_config>(x.to, {}, services_.options.ask_cluster_ms,
                                        [this, token = x.token](expected<cluster_config> config) {
                                          membership_effects out;
                                          state_.fetched(token, std::move(config), out);
                                          run(out);
                                        });
}

void node_membership::run(adopt_config& x) {
  wiring_.learnt(std::move(x.config));
}

void node_membership::run(membership_event& x) {
  services_.raise(x.severity, x.name, std::move(x.fields));
}

} // namespace troupe
