#include "actors/transport/link.hpp"

#include "actors/kit/log.hpp"
#include "storage/base/assert.hpp"

#include <algorithm>

namespace troupe {

namespace {

constexpr std::uint64_t ns_per_ms = 1'000'000;

} // namespace

link::link(transport_core& core, node_id peer, std::string address)
  : core_(core), peer_(peer),
    address_(std::move(address)), peer_identity_{core.self.certified.cluster, peer_role::node,
                                                 peer.value} {}

link::~link() {
  stop();
}

std::string link::name() const {
  return "node/" + std::to_string(peer_.value);
}

void link::start() {
  if (state_ == state::stopped)
    dial();
}

void link::stop() {
  if (state_ == state::stopped)
    return;
  state_ = state::stopped;
  core_.loop.cancel(timer_);
  core_.loop.cancel(timeout_timer_);
  if (connection_)
    connection_->abandon();
  connection_.reset();
  fail_all({errc::shutdown, "link to " + name() + " stopped"});
}

// -- another certificate -----------------------------------------------------------------------

void link::renew() {
  if (state_ == state::dialling || state_ == state::greeting)
    renew_when_up_ = true;
  if (state_ != state::up || draining_)
    return; // the next dial shows the new certificate anyway
  draining_ = true;
  draining_since_beat_ = heartbeat_count_;
  renewed_at_ = core_.loop.time().wall();
  // Not inside the caller's call: callbacks must not run there.
  core_.loop.post([weak = weak_from_this()] {
    if (auto self = weak.lock())
      self->renew_if_idle();
  });
}

void link::renew_if_idle() {
  if (!draining_ || state_ != state::up || in_flight_count_ > 0)
    return;
  draining_ = false;
  renewing_ = true;
  sent_before_ += connection_->sent_bytes();
  received_before_ += connection_->received_bytes();
  connection_->abandon();
  connection_.reset();
  dial();
}

// -- dialling -----------------------------------------------------------------------------------

void link::dial() {
  core_.loop.cancel(timer_);
  if (core_.health.isolated(health_subject::node(peer_identity_), core_.loop.now()))
    return dial_failed({errc::unavailable, name() + " is isolated: too many damaged frames"});
  state_ = state::dialling;
  renew_when_up_ = false;
  auto made = connection::dial(core_.host, address_, *this);
  if (!made)
    return dial_failed(made.error());
  connection_ = *made;
  auto timeout = core_.options.connect_timeout_ms + core_.options.handshake_timeout_ms;
  timer_ = core_.loop.call_after_ms(timeout, [this, keep = weak_from_this()] {
    if (auto self = keep.lock())
      connection_->close({errc::unavailable, name() + " does not finish the handshake"});
  });
}

void link::dial_failed(const error& why) {
  if (last_error_.context != why.context || last_error_.code != why.code)
    log_event(event_severity::warn, "peer_unreachable", {{"peer", name()}, {"why", why}});
  last_error_ = why;
  state_ = state::waiting;
  if (std::exchange(renewing_, false) && core_.on_peer)
    core_.on_peer({peer_, false, peer_process_, why});
  backoff_ms_ =
    std::clamp(backoff_ms_ * 2, core_.options.reconnect_ms_min, core_.options.reconnect_ms_max);
  timer_ = core_.loop.call_after_ms(backoff_ms_, [this, keep = weak_from_this()] {
    if (auto self = keep.lock())
      dial();
  });
  fail_unsent(why);
}

void link::connection_opened(trusted_peer shown) {
  trusted_ = std::move(shown);
  const auto& peer = trusted_.info.who;
  if (auto believed = core_.check(trusted_); !believed)
    return connection_->close(believed.error());
  if (peer != peer_identity_) {
    bool foreign = peer.cluster != peer_identity_.cluster;
    return connection_->close({foreign ? errc::wrong_cluster : errc::permission_denied,
                               address_ + " is " + to_uri(peer) + ", not " + name(),
                               trp::foreign_certificate});
  }
  state_ = state::greeting;
  frame_header header;
  header.kind = frame_kind::hello;
  connection_->send(
    header, wire_encode(make_hello(core_.self, core_.options, connection_->local())).body, {});
}

void link::hello_answered(const received_frame& frame) {
  auto answer = wire_decode<hello_answer>(frame.body);
  if (!answer)
    return connection_->close(answer.error());
  auto ok = judge_answer(*answer, core_.self, core_.options);
  if (!ok)
    return connection_->close(ok.error());
  connection_->authenticated();
  encrypt_data_ = answer->encrypt_data;
  auto data = connection_->open_data(address_, encrypt_data_);
  if (!data)
    return connection_->close(data.error());
  state_ = state::up;
  last_error_ = {};
  backoff_ms_ = 0;
  bool same_process = peer_process_ == answer->process;
  peer_process_ = answer->process;
  window_bytes_ = std::min(answer->request_window_bytes, core_.options.request_window_bytes);
  one_way_window_bytes_ =
    std::min(answer->one_way_window_bytes, core_.options.one_way_window_bytes);
  one_way_sent_ = one_way_credited_ = 0;
  core_.loop.cancel(timer_);
  quiet_beats_ = 0;
  heard_bytes_ = 0;
  heartbeat();
  log_event(event_severity::info, "peer_connected",
            {{"peer", name()}, {"process", peer_process_}, {"protocol", answer->protocol}});
  bool unnoticed = std::exchange(renewing_, false) && same_process;
  if (core_.on_peer && !unnoticed)
    core_.on_peer({peer_, true, peer_process_, {}});
  if (std::exchange(renew_when_up_, false))
    return renew();
  pump();
}

void link::connection_closed(const error& why) {
  auto keep = shared_from_this();
  sent_before_ += connection_->sent_bytes();
  received_before_ += connection_->received_bytes();
  connection_.reset();
  core_.loop.cancel(timer_);
  if (why.code == errc::corrupt)
    count_damage();
  bool was_up = state_ == state::up;
  draining_ = false;
  if (!was_up)
    return dial_failed(why);
  last_error_ = why;
  log_event(event_severity::warn, "peer_lost", {{"peer", name()}, {"why", why}});
  // What was sent may have happened; what waits may still get through with the next dial.
  state_ = state::dialling;
  std::vector<pending_request> lost;
  for (auto it = pending_.begin(); it != pending_.end();) {
    if (!it->second.sent) {
      ++it;
      continue;
    }
    due_.erase({it->second.due, it->first});
    lost.push_back(std::move(it->second));
    it = pending_.erase(it);
  }
  in_flight_bytes_ = 0;
  in_flight_count_ = 0;
  timer_ =
    core_.loop.call_after_ms(core_.options.reconnect_ms_min, [this, weak = weak_from_this()] {
      if (auto self = weak.lock())
        dial();
    });
  if (core_.on_peer)
    core_.on_peer({peer_, false, peer_process_, why});
  error answer{errc::may_have_happened, "connection to " + name() + " lost: " + why.context,
               why.id};
  for (auto& p : lost)
    deliver(p, nullptr, answer);
}

void link::heartbeat() {
  if (auto believed = core_.check(trusted_);
      !believed && believed.error().id != trp::foreign_certificate)
    return connection_->close(believed.error());
  auto now = core_.loop.time().wall();
  if (draining_
      && (heartbeat_count_ - draining_since_beat_) * core_.options.heartbeat_ms
           >= core_.options.renew_wait_ms)
    return connection_->close({errc::unavailable, name() + " has another certificate now"});
  auto soon = static_cast<std::int64_t>(core_.options.renew_before_end_ms * ns_per_ms);
  if (!draining_ && trusted_.valid_until.ns - now.ns < soon && now.ns - renewed_at_.ns > soon / 4)
    renew(); // the peer, or its CA, may have a newer one
  // Counted in heartbeats, not by the clock: after a stall of this process, or a suspend of the
  // machine, the peer first gets the chance to be heard.
  quiet_beats_ = connection_->received_bytes() == heard_bytes_ ? quiet_beats_ + 1 : 0;
  heard_bytes_ = connection_->received_bytes();
  auto quiet_ms = std::uint64_t{quiet_beats_} * core_.options.heartbeat_ms;
  if (quiet_ms >= core_.options.dead_peer_ms)
    return connection_->close(
      {errc::unavailable, name() + " was silent for " + std::to_string(quiet_ms) + " ms"});
  frame_header header;
  header.kind = frame_kind::heartbeat;
  header.request = ++heartbeat_count_;
  header.epoch = core_.epoch().value;
  heartbeat_sent_ = core_.loop.time().boot();
  connection_->send(header, {}, {});
  timer_ = core_.loop.call_after_ms(core_.options.heartbeat_ms, [this, weak = weak_from_this()] {
    if (auto self = weak.lock())
      heartbeat();
  });
}

// -- requests -----------------------------------------------------------------------------------

void link::refuse(coded_answer done, error why) {
  core_.loop.post([done = std::move(done), why = std::move(why)] { done(nullptr, why); });
}

void link::request(std::uint16_t message, std::uint64_t target, wire_message body,
                   const request_options& options, coded_answer done) {
  if (state_ == state::stopped || state_ == state::waiting)
    return refuse(std::move(done),
                  {errc::unavailable, name() + ": " + last_error_.context, last_error_.id});
  const auto* row = find_message(message);
  pending_request p;
  p.header.kind = frame_kind::request;
  p.header.message = message;
  p.header.target = target;
  p.header.timeout_ms = std::max<std::uint32_t>(options.timeout_ms, 1);
  p.header.answer_bytes = options.answer_bytes != 0 ? options.answer_bytes
                          : row                     ? row->answer_bytes
                                                    : 0;
  p.header.trace = options.trace.id.value;
  p.header.span = options.trace.span;
  p.cost = frame_header_bytes + body.body.size() + body.bulk_bytes() + p.header.answer_bytes;
  p.message = std::move(body);
  p.done = std::move(done);
  p.trace = options.trace;
  // From the clock itself: outside the loop `now()` may be as old as the process.
  p.due = {core_.loop.time().boot().ns + p.header.timeout_ms * ns_per_ms};
  bool wait = !up() || draining_ || !queue_.empty()
              || in_flight_count_ >= core_.options.requests_max
              || (in_flight_count_ > 0 && in_flight_bytes_ + p.cost > window_bytes_);
  if (wait
      && (queue_.size() >= core_.options.queue_count_max
          || queued_bytes_ + p.cost > core_.options.queue_bytes_max))
    return refuse(std::move(p.done),
                  {errc::busy, name() + ": " + std::to_string(queue_.size()) + " requests wait"});
  auto id = next_request_++;
  due_.emplace(p.due, id);
  auto& stored = pending_.emplace(id, std::move(p)).first->second;
  if (wait) {
    queued_bytes_ += stored.cost;
    queue_.push_back(id);
  } else {
    transmit(id, stored);
  }
  arm_timeout();
}

void link::transmit(std::uint64_t id, pending_request& p) {
  p.sent = true;
  in_flight_bytes_ += p.cost;
  ++in_flight_count_;
  p.header.request = id;
  p.header.epoch = core_.epoch().value;
  connection_->send(p.header, std::move(p.message.body), std::move(p.message.bulk));
  p.message = {};
}

void link::pump() {
  while (up() && !draining_ && !queue_.empty()) {
    auto it = pending_.find(queue_.front());
    if (it == pending_.end()) { // timed out while it waited
      queue_.pop_front();
      continue;
    }
    auto& p = it->second;
    if (in_flight_count_ >= core_.options.requests_max
        || (in_flight_count_ > 0 && in_flight_bytes_ + p.cost > window_bytes_))
      return;
    queue_.pop_front();
    queued_bytes_ -= p.cost;
    transmit(it->first, p);
  }
}

expected<void> link::send(std::uint16_t message, std::uint64_t target, wire_message body) {
  if (!up())
    return error{errc::unavailable, name() + ": " + last_error_.context, last_error_.id};
  auto bytes = frame_header_bytes + body.body.size() + body.bulk_bytes();
  if (one_way_sent_ > one_way_credited_
      && one_way_sent_ - one_way_credited_ + bytes > one_way_window_bytes_)
    return error{errc::busy, name() + " has not taken what was sent before"};
  one_way_sent_ += bytes;
  auto trace = current_trace();
  frame_header header;
  header.kind = frame_kind::one_way;
  header.message = message;
  header.target = target;
  header.trace = trace.id.value;
  header.span = trace.span;
  header.epoch = core_.epoch().value;
  connection_->send(header, std::move(body.body), std::move(body.bulk));
  return {};
}

// -- answers ------------------------------------------------------------------------------------

void link::connection_received(received_frame& frame) {
  auto keep = shared_from_this();
  if (state_ == state::greeting && frame.header.kind == frame_kind::hello_answer)
    return hello_answered(frame);
  if (state_ != state::up)
    return connection_->close({errc::corrupt, name() + " speaks before it answers the hello"});
  core_.see_epoch(snapshot_epoch{frame.header.epoch});
  switch (frame.header.kind) {
  case frame_kind::response: return answered(frame);
  case frame_kind::credit:
    one_way_credited_ = std::max(one_way_credited_, std::min(frame.header.target, one_way_sent_));
    return;
  case frame_kind::heartbeat_echo:
    if (frame.header.request == heartbeat_count_) {
      auto now = core_.loop.time().boot();
      auto sample = now.ns - heartbeat_sent_.ns;
      round_trip_ns_ =
        round_trip_ns_ == 0 ? sample : round_trip_ns_ - round_trip_ns_ / 8 + sample / 8;
    }
    return;
  default:
    return connection_->close({errc::corrupt, name() + " sent a frame that only diallers send"});
  }
}

void link::answered(received_frame& frame) {
  auto it = pending_.find(frame.header.request);
  if (it == pending_.end() || !it->second.sent)
    return; // answered twice: the peer's bug, no harm
  auto p = std::move(it->second);
  due_.erase({p.due, it->first});
  pending_.erase(it);
  in_flight_bytes_ -= p.cost;
  --in_flight_count_;
  pump();
  if (draining_ && in_flight_count_ == 0)
    core_.loop.post([weak = weak_from_this()] {
      if (auto self = weak.lock())
        self->renew_if_idle();
    });
  if ((frame.header.flags & frame_failed) == 0)
    return deliver(p, &frame, {});
  auto refused = wire_decode<refusal>(frame.body);
  deliver(p, nullptr, refused ? refused->why : refused.error());
}

void link::deliver(pending_request& p, const received_frame* frame, const error& why) {
  if (!p.done)
    return; // timed out before
  trace_scope scope{p.trace};
  p.done(frame, why);
}

void link::connection_damaged(const frame_header& header) {
  auto keep = shared_from_this();
  if (header.kind == frame_kind::response) {
    // The peer did the work; only its answer is lost.
    if (auto it = pending_.find(header.request); it != pending_.end() && it->second.sent) {
      auto p = std::move(it->second);
      due_.erase({p.due, it->first});
      pending_.erase(it);
      in_flight_bytes_ -= p.cost;
      --in_flight_count_;
      deliver(p, nullptr, {errc::may_have_happened, "answer of " + name() + " was damaged"});
    }
  }
  count_damage();
}

void link::count_damage() {
  log_event(event_severity::warn, "damaged_frame", {{"peer", name()}});
  if (!core_.health.damaged(health_subject::node(peer_identity_), core_.loop.now()))
    return;
  log_event(event_severity::error, "peer_isolated",
            {{"peer", name()}, {"isolation_ms", core_.options.isolation_ms}});
  if (connection_)
    connection_->close({errc::unavailable, name() + " is isolated: too many damaged frames"});
}

// -- failures -----------------------------------------------------------------------------------

void link::fail_all(const error& why) {
  auto all = std::exchange(pending_, {});
  queue_.clear();
  due_.clear();
  queued_bytes_ = in_flight_bytes_ = 0;
  in_flight_count_ = 0;
  for (auto& [id, p] : all) {
    auto code = p.sent ? errc::may_have_happened : errc::unavailable;
    deliver(p, nullptr, {code, why.context, why.id});
  }
}

void link::fail_unsent(const error& why) {
  TROUPE_ASSERT(in_flight_count_ == 0); // called only when nothing is connected
  fail_all({errc::unavailable, name() + ": " + why.context, why.id});
}

void link::arm_timeout() {
  if (due_.empty())
    return;
  auto first = due_.begin()->first;
  if (timeout_armed_.ns != 0 && timeout_armed_ <= first)
    return;
  core_.loop.cancel(timeout_timer_);
  timeout_armed_ = first;
  timeout_timer_ = core_.loop.call_at(first, [this, weak = weak_from_this()] {
    if (auto self = weak.lock())
      expire();
  });
}

void link::expire() {
  timeout_armed_ = {};
  auto now = core_.loop.now();
  std::vector<pending_request> expired;
  while (!due_.empty() && due_.begin()->first <= now) {
    auto it = pending_.find(due_.begin()->second);
    due_.erase(due_.begin());
    auto& p = it->second;
    expired.push_back(
      {.header = p.header, .sent = p.sent, .done = std::move(p.done), .trace = p.trace});
    if (p.sent) {
      p.done = nullptr; // its window is given back when the peer answers or goes
      continue;
    }
    queued_bytes_ -= p.cost;
    pending_.erase(it);
  }
  arm_timeout();
  for (auto& p : expired) {
    auto code = p.sent ? errc::timeout : errc::unavailable;
    deliver(p, nullptr,
            {code, name() + ": no answer in " + std::to_string(p.header.timeout_ms) + " ms"});
  }
}

link_report link::report() const {
  link_report r;
  r.peer = name();
  r.connected = up();
  r.encrypted = encrypt_data_;
  r.round_trip_us = round_trip_ns_ / 1000;
  r.sent_bytes = sent_before_ + (connection_ ? connection_->sent_bytes() : 0);
  r.received_bytes = received_before_ + (connection_ ? connection_->received_bytes() : 0);
  r.checksum_errors = core_.health.errors(health_subject::node(peer_identity_));
  return r;
}

} // namespace troupe
