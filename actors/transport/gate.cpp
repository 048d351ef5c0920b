#include "actors/transport/gate.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/epoll.h>

namespace troupe {

namespace {

/// A handshake costs a signature: between two turns there must be room for those inside.
constexpr int accepts_per_turn_max = 64;
constexpr int strange_accepts_per_turn_max = 16; ///< Where others than nodes may knock.
constexpr std::uint32_t rest_ms = 100;           ///< Without descriptors: accept would spin.

} // namespace

gate::gate(transport_core& core, unique_fd listener, std::string address, role_set roles)
  : core_(core), listener_(std::move(listener)), address_(std::move(address)), roles_(roles) {
  watch();
}

gate::~gate() {
  *alive_ = false;
  core_.loop.cancel(rest_timer_);
  core_.loop.unwatch(listener_.get());
}

void gate::watch() {
  core_.loop.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept_some(); });
}

void gate::bury(std::shared_ptr<void> dead) {
  dead_.push_back(std::move(dead));
  core_.loop.post([this, alive = alive_] {
    if (*alive)
      dead_.clear();
  });
}

void gate::accept_some() {
  bool only_nodes_knock = roles_.bits == only_nodes.bits;
  int most = only_nodes_knock ? accepts_per_turn_max : strange_accepts_per_turn_max;
  for (int i = 0; i < most; ++i) {
    bool no_descriptors = false;
    auto fd = accept_one(listener_.get(), no_descriptors);
    if (no_descriptors)
      return rest();
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

void gate::rest() {
  core_.tell_refusal("descriptors_used_up", "listener " + address_, "accept",
                     {errc::busy, "the process has no descriptor left"});
  if (unauthenticated_count() > 0)
    drop_oldest();
  core_.loop.unwatch(listener_.get());
  rest_timer_ = core_.loop.call_after_ms(rest_ms, [this] { watch(); });
}

void gate::drop_oldest() {
  bool doorstep_older =
    !doorsteps_.empty()
    && (ungreeted_.empty() || doorsteps_.begin()->first < ungreeted_.begin()->first);
  if (doorstep_older) {
    auto who = "somebody at " + doorsteps_.begin()->second->host();
    doorsteps_.erase(doorsteps_.begin());
    core_.tell_refusal("stranger_refused", who, "listener " + address_,
                       {errc::busy, "too many connections that say nothing"});
  } else {
    auto oldest = ungreeted_.begin()->second;
    oldest->stop({errc::busy, "too many connections in their handshake"});
  }
}

void gate::make_room() {
  // The oldest yields: a real handshake takes milliseconds, one that only holds a place does not
  // end by itself.
  while (unauthenticated_count() >= core_.options.unauthenticated_max)
    drop_oldest();
}

void gate::arrived(std::uint64_t number, doorstep::visitor who) {
  auto place = doorsteps_.extract(number);
  std::shared_ptr<doorstep> done{std::move(place.mapped())};
  bury(done);
  if (who.what == doorstep::visitor::wish::control) {
    auto s = std::make_shared<session>(core_, static_cast<session_owner&>(*this), number);
    ungreeted_.emplace(number, s);
    s->start(std::move(who.fd));
  } else if (auto it = tokens_.find(who.token);
             who.what == doorstep::visitor::wish::data && it != tokens_.end()) {
    sessions_.at(it->second)->adopt_data(std::move(who.fd));
  } else {
    bool data = who.what == doorstep::visitor::wish::data;
    auto host = who.fd ? peer_host(who.fd.get()) : done->host();
    core_.tell_refusal("stranger_refused", "somebody at " + host, "listener " + address_,
                       {errc::permission_denied, data ? "data connection of no session"
                                                      : "neither TLS nor a data connection"});
  }
}

expected<void> gate::session_greeted(session& who) {
  if (!roles_.has(who.peer().role))
    return error{errc::permission_denied,
                 std::string{to_string(who.peer().role)} + " at a listener that is not for it",
                 trp::role_not_allowed};
  if (sessions_.size() >= core_.options.connections_max)
    return error{errc::busy, std::to_string(sessions_.size()) + " connections"};
  auto& count = by_certificate_[who.serial()];
  if (count >= core_.options.connections_per_certificate_max)
    return error{errc::busy, std::to_string(count) + " connections with this certificate"};
  ++count;
  auto node = ungreeted_.extract(who.number());
  tokens_.emplace(who.token(), who.number());
  sessions_.insert(std::move(node));
  return {};
}

void gate::session_holds_much() {
  struct holder {
    std::uint64_t bytes = 0;
    std::shared_ptr<session> largest;
  };
  std::map<certificate_serial, holder> holders;
  std::uint64_t sum = 0;
  for (const auto& [number, s] : sessions_) {
    auto held = s->held_bytes();
    auto& h = holders[s->serial()];
    sum += held;
    h.bytes += held;
    if (!h.largest || held > h.largest->held_bytes())
      h.largest = s;
  }
  if (sum <= core_.options.held_bytes_max)
    return;
  auto most = std::max_element(holders.begin(), holders.end(), [](const auto& a, const auto& b) {
    return a.second.bytes < b.second.bytes;
  });
  auto who = most->second.largest;
  core_.tell_refusal("held_too_much", who->name(), "listener " + address_,
                     {errc::busy, std::to_string(most->second.bytes)
                                    + " bytes with its certificate, " + std::to_string(sum)
                                    + " of all"});
  who->stop({errc::permission_denied, who->name() + " held too much"});
}

void gate::session_ended(session& who) {
  auto number = who.number();
  std::shared_ptr<session> keep;
  if (auto node = ungreeted_.extract(number))
    keep = std::move(node.mapped());
  if (auto node = sessions_.extract(number)) {
    keep = std::move(node.mapped());
    tokens_.erase(who.token());
    auto it = by_certificate_.find(who.serial());
    if (it != by_certificate_.end() && --it->second == 0)
      by_certificate_.erase(it);
  }
  bury(std::move(keep));
}

} // namespace troupe
