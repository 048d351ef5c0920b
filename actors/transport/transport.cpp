#include "actors/transport/transport.hpp"

#include "actors/kit/log.hpp"

#include <sys/epoll.h>

namespace troupe {

namespace {

constexpr int accepts_per_turn_max = 64;

} // namespace

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
  if (listener_)
    core_.loop.unwatch(listener_.get());
  for (auto& [id, l] : links_)
    l->stop();
}

expected<void> transport::listen(const std::string& address) {
  auto fd = listen_on(address);
  if (!fd)
    return fd.error();
  auto got = local_address(fd->get());
  if (!got)
    return got.error();
  listener_ = std::move(*fd);
  address_ = *got;
  core_.loop.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept_some(); });
  return {};
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

// -- peers that dial us -------------------------------------------------------------------------

void transport::accept_some() {
  for (int i = 0; i < accepts_per_turn_max; ++i) {
    auto fd = accept_one(listener_.get());
    if (!fd)
      return;
    make_room();
    auto number = next_visitor_++;
    doorsteps_.emplace(number, std::make_unique<doorstep>(core_.host, std::move(fd),
                                                          [this, number](doorstep::visitor who) {
                                                            arrived(number, std::move(who));
                                                          }));
  }
}

void transport::make_room() {
  // The oldest yields: a real handshake takes milliseconds, one that only holds a place does not
  // end by itself.
  while (unauthenticated_count() >= core_.options.unauthenticated_max) {
    bool doorstep_older =
      !doorsteps_.empty()
      && (ungreeted_.empty() || doorsteps_.begin()->first < ungreeted_.begin()->first);
    if (doorstep_older) {
      doorsteps_.erase(doorsteps_.begin());
    } else {
      auto oldest = ungreeted_.begin()->second;
      oldest->stop({errc::busy, "too many connections in their handshake"});
    }
  }
}

void transport::arrived(std::uint64_t number, doorstep::visitor who) {
  auto place = doorsteps_.extract(number);
  std::shared_ptr<doorstep> done{std::move(place.mapped())};
  bury(done);
  if (who.what == doorstep::visitor::wish::control) {
    auto s = std::make_shared<session>(core_, static_cast<session_owner&>(*this), number);
    ungreeted_.emplace(number, s);
    s->start(std::move(who.fd));
  } else if (who.what == doorstep::visitor::wish::data) {
    auto it = tokens_.find(who.token);
    if (it != tokens_.end())
      sessions_.at(it->second)->adopt_data(std::move(who.fd));
  } else {
    log_event(event_severity::debug, "stranger_refused");
  }
}

expected<void> transport::session_greeted(session& who) {
  if (sessions_.size() >= core_.options.connections_max)
    return error{errc::busy, std::to_string(sessions_.size()) + " connections"};
  auto node = ungreeted_.extract(who.number());
  tokens_.emplace(who.token(), who.number());
  sessions_.insert(std::move(node));
  return {};
}

void transport::session_ended(session& who) {
  auto number = who.number();
  tokens_.erase(who.token());
  std::shared_ptr<session> keep;
  for (auto* where : {&ungreeted_, &sessions_})
    if (auto node = where->extract(number))
      keep = std::move(node.mapped());
  bury(std::move(keep));
}

std::vector<link_report> transport::report() const {
  std::vector<link_report> out;
  for (const auto& [id, l] : links_)
    out.push_back(l->report());
  for (const auto& [number, s] : sessions_)
    out.push_back(s->report());
  return out;
}

} // namespace troupe
