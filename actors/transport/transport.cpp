#include "actors/transport/transport.hpp"

namespace troupe {

expected<std::unique_ptr<transport>> transport::make(reactor& loop,
                                                     const transport_options& options,
                                                     const credentials& own, incarnation process) {
  auto tls = tls_context::make(own);
  if (!tls)
    return tls.error();
  return std::unique_ptr<transport>{new transport(loop, options, std::move(*tls), process)};
}

transport::transport(reactor& loop, const transport_options& options, tls_context tls,
                     incarnation process)
  : core_(loop, options, std::move(tls), process) {
  const auto& me = core_.self.certified;
  core_.messages.set_name(std::string{to_string(me.role)} + "/" + std::to_string(me.id));
  core_.on_peer = [this](const peer_change& change) {
    for (auto& f : peer_listeners_)
      f(change);
  };
}

transport::~transport() {
  *alive_ = false;
  for (auto& [id, l] : links_)
    l->stop();
}

expected<void> transport::listen(const std::string& address, role_set roles) {
  auto fd = listen_on(address);
  if (!fd)
    return fd.error();
  auto got = local_address(fd->get());
  if (!got)
    return got.error();
  gates_.push_back(std::make_unique<gate>(core_, std::move(*fd), *got, roles));
  return {};
}

const std::string& transport::address() const {
  static const std::string none;
  return gates_.empty() ? none : gates_.front()->address();
}

expected<void> transport::renew(const credentials& own) {
  if (own.identity != core_.self.certified)
    return error{errc::invalid_argument,
                 "the new certificate names " + to_uri(own.identity) + ", this process is "
                   + to_uri(core_.self.certified),
                 trp::bad_certificate};
  auto tls = tls_context::make(own);
  if (!tls)
    return tls.error();
  core_.host.tls = std::move(*tls);
  core_.trust.set_authorities(core_.host.tls.authorities());
  renew_links();
  return {};
}

void transport::renew_links() {
  for (auto& [id, l] : links_)
    l->renew();
}

void transport::set_revoked(std::set<certificate_serial> revoked) {
  core_.trust.set_revoked(std::move(revoked));
}

void transport::open_link(node_id peer, const std::string& address) {
  auto& l = links_[peer];
  if (!l) {
    l = std::make_shared<link>(core_, peer, address);
    l->start();
  }
  l->set_address(address);
}

void transport::close_link(node_id peer) {
  auto node = links_.extract(peer);
  if (!node)
    return;
  node.mapped()->stop();
  bury(std::move(node.mapped()));
}

void transport::bury(std::shared_ptr<void> dead) {
  dead_.push_back(std::move(dead));
  core_.loop.post([this, alive = alive_] {
    if (*alive)
      dead_.clear();
  });
}

link* transport::find_link(node_id peer) {
  auto it = links_.find(peer);
  return it == links_.end() ? nullptr : it->second.get();
}

request_context transport::context_here(std::uint64_t target,
                                        const request_options& options) const {
  request_context context;
  context.peer = core_.self.certified;
  context.peer_process = core_.self.process;
  context.target = target;
  context.trace = options.trace;
  context.epoch = core_.epoch();
  context.deadline = {core_.loop.time().boot().ns + options.timeout_ms * std::uint64_t{1'000'000}};
  context.local = true;
  return context;
}

std::size_t transport::session_count() const {
  std::size_t count = 0;
  for (const auto& g : gates_)
    count += g->sessions().size();
  return count;
}

std::size_t transport::unauthenticated_count() const {
  std::size_t count = 0;
  for (const auto& g : gates_)
    count += g->unauthenticated_count();
  return count;
}

std::vector<link_report> transport::report() const {
  std::vector<link_report> out;
  for (const auto& [id, l] : links_)
    out.push_back(l->report());
  for (const auto& g : gates_)
    for (const auto& [number, s] : g->sessions())
      out.push_back(s->report());
  return out;
}

std::vector<peer_certificate> transport::peer_certificates() const {
  std::vector<peer_certificate> out;
  for (const auto& [id, l] : links_)
    if (l->up())
      out.push_back({true, l->certificate()});
  for (const auto& g : gates_)
    for (const auto& [number, s] : g->sessions())
      out.push_back({false, s->certificate()});
  return out;
}

} // namespace troupe
