#include "actors/transport/session.hpp"

#include "actors/kit/log.hpp"

#include <algorithm>

namespace troupe {

namespace {

constexpr std::uint64_t ns_per_ms = 1'000'000;
/// How far beyond its window a peer may be: the two sides do not count at the same moment.
constexpr std::uint64_t window_slack = 2;

std::string name_of_message(std::uint16_t number) {
  const auto* row = find_message(number);
  return row ? row->name : "message " + std::to_string(number);
}

} // namespace

session::session(transport_core& core, session_owner& owner, std::uint64_t number)
  : core_(core), owner_(owner), number_(number) {}

session::~session() {
  core_.loop.cancel(timer_);
  if (connection_)
    connection_->abandon();
}

std::string session::name() const {
  if (peer().role == peer_role::none)
    return "somebody at " + host_;
  return std::string{to_string(peer().role)} + "/" + std::to_string(peer().id);
}

void session::start(unique_fd fd) {
  host_ = peer_host(fd.get());
  connection_ = connection::accept(core_.host, std::move(fd), *this);
  timer_ =
    core_.loop.call_after_ms(core_.options.handshake_timeout_ms, [this, weak = weak_from_this()] {
      if (auto keep = weak.lock())
        stop({errc::timeout, "handshake of " + name()});
    });
}

void session::stop(const error& why) {
  if (connection_)
    connection_->close(why);
}

void session::adopt_data(unique_fd fd) {
  if (!connection_)
    return;
  auto ok = connection_->adopt_data(std::move(fd), encrypt_data_);
  if (!ok)
    core_.tell_refusal("data_connection_refused", name(), "data connection", ok.error());
}

void session::connection_opened(trusted_peer peer) {
  trusted_ = std::move(peer);
}

void session::connection_closed(const error& why) {
  auto keep = shared_from_this();
  connection_.reset();
  core_.loop.cancel(timer_);
  if (why.code == errc::corrupt && greeted_)
    count_damage();
  if (!greeted_ && !refused_)
    core_.tell_refusal("session_refused", name(), "handshake", why);
  else if (greeted_ && why.code == errc::permission_denied)
    core_.tell_refusal("session_closed", name(), "session", why);
  else if (greeted_)
    core_.tell(event_severity::info, "session_ended", name(), "session", why);
  owner_.session_ended(*this);
}

void session::take_hello(const received_frame& frame) {
  auto from = frame.header.kind == frame_kind::hello
                ? wire_decode<hello>(frame.body)
                : expected<hello>{error{errc::corrupt, "no hello"}};
  if (!from)
    return connection_->close({errc::corrupt, name() + " does not say hello"});
  subject_ = health_subject::of(trusted_.info, host_, from->process);
  auto verdict = judge_hello(*from, peer(), core_.self, core_.options, connection_->local());
  auto keys = connection_->keys();
  if (!verdict.refused)
    if (auto believed = core_.check(trusted_); !believed)
      verdict.refused = believed.error();
  if (!verdict.refused && core_.health.isolated(subject_, core_.loop.now()))
    verdict.refused = error{errc::unavailable, "isolated: too many damaged frames"};
  if (!verdict.refused && !keys)
    verdict.refused = keys.error();
  if (!verdict.refused) {
    token_ = keys->token;
    if (auto room = owner_.session_greeted(*this); !room)
      verdict.refused = room.error();
  }
  frame_header header;
  header.kind = frame_kind::hello_answer;
  connection_->send(header, wire_encode(verdict).body, {});
  core_.loop.cancel(timer_);
  if (verdict.refused) {
    refused_ = true;
    core_.tell_refusal("peer_refused", name(), "hello", *verdict.refused);
    // The answer must leave before the socket closes; the dialler closes first.
    timer_ = core_.loop.call_after_ms(core_.options.heartbeat_ms, [this, weak = weak_from_this()] {
      if (auto keep = weak.lock())
        stop({errc::permission_denied, "refused"});
    });
    return;
  }
  greeted_ = true;
  encrypt_data_ = verdict.encrypt_data;
  peer_process_ = from->process;
  connection_->authenticated();
  check_alive();
}

void session::check_alive() {
  if (auto believed = core_.check(trusted_); !believed)
    return stop({errc::permission_denied, believed.error().context, believed.error().id});
  // In beats, as the link does it.
  quiet_beats_ = connection_->received_bytes() == heard_bytes_ ? quiet_beats_ + 1 : 0;
  heard_bytes_ = connection_->received_bytes();
  if (std::uint64_t{quiet_beats_} * core_.options.heartbeat_ms >= core_.options.dead_peer_ms)
    return stop({errc::unavailable, name() + " is silent"});
  timer_ = core_.loop.call_after_ms(core_.options.heartbeat_ms, [this, weak = weak_from_this()] {
    if (auto keep = weak.lock())
      check_alive();
  });
}

void session::connection_received(received_frame& frame) {
  auto keep = shared_from_this();
  if (!greeted_) {
    if (frame.header.kind == frame_kind::heartbeat)
      return; // refused, and it does not know yet
    return take_hello(frame);
  }
  // What a client says to have seen is no reason to go ahead: it could be anything, and would
  // spread from node to node.
  if (peer().role == peer_role::node)
    core_.see_epoch(snapshot_epoch{frame.header.epoch});
  switch (frame.header.kind) {
  case frame_kind::request: return take_request(frame);
  case frame_kind::one_way: return take_one_way(frame);
  case frame_kind::heartbeat: {
    auto header = frame.header;
    header.kind = frame_kind::heartbeat_echo;
    header.epoch = core_.epoch().value;
    return connection_->send(header, {}, {});
  }
  default: return stop({errc::corrupt, name() + " sent a frame that only acceptors send"});
  }
}

request_context session::context_of(const received_frame& frame) const {
  request_context context;
  context.peer = peer();
  context.peer_process = peer_process_;
  context.target = frame.header.target;
  context.trace = {trace_id{frame.header.trace}, frame.header.span};
  context.epoch = snapshot_epoch{frame.header.epoch};
  context.deadline = {core_.loop.now().ns + frame.header.timeout_ms * ns_per_ms};
  context.bytes = static_cast<std::uint32_t>(frame_header_bytes + frame.header.payload_bytes());
  return context;
}

void session::take_request(received_frame& frame) {
  request_cost cost{frame_header_bytes + frame.header.payload_bytes(), frame.header.answer_bytes};
  auto both = cost.arrived + cost.answer;
  if ((in_flight_count_ > 0
       && in_flight_bytes_ + both > window_slack * core_.options.request_window_bytes)
      || in_flight_count_ >= window_slack * core_.options.requests_max)
    return stop({errc::permission_denied, name() + " sent more than its window"});
  in_flight_bytes_ += both;
  in_work_bytes_ += cost.arrived;
  ++in_flight_count_;
  auto context = context_of(frame);
  core_.messages.receive(
    message_form::request, frame.header.message, context, frame.body, std::move(frame.bulk),
    [weak = weak_from_this(), id = frame.header.request, cost, trace = context.trace,
     asked = frame.header.message](std::uint16_t message, expected<wire_message> what) {
      if (auto self = weak.lock(); self && !what && what.error().id == trp::role_not_allowed)
        self->core_.tell_refusal("message_refused", self->name(), name_of_message(asked),
                                 what.error());
      if (auto self = weak.lock()) {
        self->answered(cost);
        self->answer(id, trace, message, std::move(what));
      }
    });
  look_at_held();
}

void session::answered(const request_cost& cost) {
  in_flight_bytes_ -= cost.arrived + cost.answer;
  in_work_bytes_ -= cost.arrived;
  --in_flight_count_;
}

std::uint64_t session::held_bytes() const {
  return in_work_bytes_ + (connection_ ? connection_->unsent_bytes() : 0);
}

void session::look_at_held() {
  if (connection_ && held_bytes() > core_.options.held_bytes_passed_over)
    owner_.session_holds_much();
}

void session::answer(std::uint64_t request, trace_context trace, std::uint16_t message,
                     expected<wire_message> what) {
  if (!connection_)
    return;
  frame_header header;
  header.kind = frame_kind::response;
  header.message = message;
  header.request = request;
  header.trace = trace.id.value;
  header.span = trace.span;
  header.epoch = core_.epoch().value;
  const auto& limits = core_.options.limits;
  if (what
      && (what->body.size() > limits.body_bytes_max || what->bulk_bytes() > limits.bulk_bytes_max))
    what = error{errc::too_large, "answer of " + std::to_string(what->body.size()) + " + "
                                    + std::to_string(what->bulk_bytes()) + " bytes"};
  if (what) {
    connection_->send(header, std::move(what->body), std::move(what->bulk));
  } else {
    header.flags = frame_failed;
    connection_->send(header, wire_encode(refusal{what.error()}).body, {});
  }
  if (connection_->unsent_bytes() > core_.options.unsent_bytes_max)
    return stop({errc::unavailable, name() + " does not read its answers"});
  look_at_held();
}

void session::take_one_way(received_frame& frame) {
  one_way_taken_ += frame_header_bytes + frame.header.payload_bytes();
  core_.messages.receive(message_form::one_way, frame.header.message, context_of(frame), frame.body,
                         std::move(frame.bulk),
                         [this, weak = weak_from_this(), number = frame.header.message](
                           std::uint16_t, expected<wire_message> what) {
                           auto keep = weak.lock();
                           if (keep && !what)
                             core_.tell_refusal("message_refused", name(), name_of_message(number),
                                                what.error());
                         });
  // The handler returned: what it keeps is its own business. Tell the peer now and then.
  if (!connection_ || one_way_taken_ - one_way_credited_ < core_.options.one_way_window_bytes / 4)
    return;
  one_way_credited_ = one_way_taken_;
  frame_header header;
  header.kind = frame_kind::credit;
  header.target = one_way_taken_;
  connection_->send(header, {}, {});
}

void session::connection_damaged(const frame_header& header) {
  auto keep = shared_from_this();
  if (!greeted_) // counted against nobody: whether it is believed is not known yet
    return stop({errc::corrupt, "the hello of " + name() + " was damaged"});
  if (header.kind == frame_kind::request)
    answer(header.request, {trace_id{header.trace}, header.span}, 0,
           error{errc::corrupt, "the request arrived damaged"});
  if (header.kind == frame_kind::one_way)
    one_way_taken_ += frame_header_bytes + header.payload_bytes();
  count_damage();
}

void session::count_damage() {
  error why{errc::corrupt, "frame that was damaged on its way"};
  core_.tell(event_severity::warn, "damaged_frame", name(), "from " + host_, why);
  if (!core_.health.damaged(subject_, core_.loop.now()))
    return;
  core_.tell(event_severity::error, "peer_isolated", name(), "from " + host_,
             {errc::corrupt, "for " + std::to_string(core_.options.isolation_ms) + " ms"});
  stop({errc::unavailable, name() + " is isolated: too many damaged frames"});
}

link_report session::report() const {
  link_report r;
  r.peer = "from " + name();
  r.connected = greeted_ && connection_ != nullptr;
  r.encrypted = encrypt_data_;
  if (connection_) {
    r.sent_bytes = connection_->sent_bytes();
    r.received_bytes = connection_->received_bytes();
  }
  r.checksum_errors = core_.health.errors(subject_);
  return r;
}

} // namespace troupe
