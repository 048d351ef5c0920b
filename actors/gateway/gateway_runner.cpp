#include "actors/gateway/gateway_runner.hpp"

#include "messages/overload.hpp"
#include "storage/base/assert.hpp"

namespace troupe {

namespace {

constexpr std::uint32_t meta_timeout_ms = 12'000;  ///< Above any attempt of the gateway.
constexpr std::uint32_t drive_timeout_ms = 12'000; ///< The same.
constexpr std::uint32_t view_timeout_ms = 2'000;
constexpr std::uint32_t view_refresh_ms = 2'000; ///< Room on drives changes without a commit.

} // namespace

gateway_runner::gateway_runner(reactor& loop, network& net, const gateway_options& options,
                               cluster_view view)
  : loop_(loop), net_(net), state_(options, view), view_(std::move(view)) {
  view_timer_ = loop_.call_after_ms(view_refresh_ms, [this] { refresh_view(); });
}

gateway_runner::~gateway_runner() {
  *alive_ = false;
  loop_.cancel(timer_);
  loop_.cancel(view_timer_);
}

template <class Step>
void gateway_runner::step(Step step) {
  gateway_effects out;
  step(out);
  run(out);
  arm();
}

call_token gateway_runner::call(file_call what, callback done) {
  call_token token{++tokens_};
  waiting_[token] = std::move(done);
  step([&](gateway_effects& out) { state_.call(token, std::move(what), now(), out); });
  return token;
}

void gateway_runner::interrupt(call_token token) {
  step([&](gateway_effects& out) { state_.interrupt(token, now(), out); });
}

void gateway_runner::shut_down(callback done) {
  call_token token{++tokens_};
  waiting_[token] = std::move(done);
  step([&](gateway_effects& out) { state_.shut_down(token, now(), out); });
}

void gateway_runner::peer_changed(node_id node, bool up) {
  step([&](gateway_effects& out) { state_.link_changed(node, up, now(), out); });
}

void gateway_runner::run(gateway_effects& effects) {
  for (auto& effect : effects)
    std::visit(overload{[&](fetch_config&) {
                          loop_.cancel(view_timer_);
                          refresh_view();
                        },
                        [&](auto& x) { run(x); }},
               effect);
}

void gateway_runner::run(send_meta& x) {
  net_.ask<meta_request>(x.node, std::move(x.request), meta_timeout_ms,
                         [this, alive = alive_, token = x.token](expected<meta_response> answer) {
                           if (!*alive)
                             return;
                           step([&](gateway_effects& out) {
                             if (answer)
                               state_.meta_answered(token, std::move(*answer), now(), out);
                             else
                               state_.meta_failed(token, answer.error(), now(), out);
                           });
                         });
}

void gateway_runner::run(send_drive& x) {
  std::visit(
    [&](auto& request) {
      using request_type = std::decay_t<decltype(request)>;
      net_.ask<request_type>(
        x.node, std::move(request), drive_timeout_ms,
        [this, alive = alive_, token = x.token](expected<answer_of<request_type>> answer) {
          if (!*alive)
            return;
          step([&](gateway_effects& out) {
            if (answer)
              state_.drive_answered(token, drive_answer{std::move(*answer)}, now(), out);
            else
              state_.drive_answered(token, answer.error(), now(), out);
          });
        });
    },
    x.request);
}

void gateway_runner::run(call_reply& x) {
  auto it = waiting_.find(x.token);
  TROUPE_ASSERT(it != waiting_.end());
  auto done = std::move(it->second);
  waiting_.erase(it);
  // Not inside the state's call, nor inside `call`: the door may call again at once.
  loop_.call_at(loop_.now(), [done = std::move(done), outcome = std::move(x.outcome)]() mutable {
    done(std::move(outcome));
  });
}

void gateway_runner::run(const damage_seen& x) {
  raise(event_severity::warn, "unit_reconstructed",
        {{"file", to_string(x.file)},
         {"stripe", to_string(lin{x.stripe.value})},
         {"unit", std::to_string(x.unit_index)},
         {"drive", to_string(x.run.drive)},
         {"start_block", std::to_string(x.run.start_block)},
         {"birth", std::to_string(x.run.born.value)},
         {"why", x.cause.context.empty() ? to_string(x.cause.code) : x.cause.context}});
}

void gateway_runner::run(const unit_repaired& x) {
  raise(event_severity::info, "unit_repaired",
        {{"file", to_string(x.file)},
         {"stripe", to_string(lin{x.stripe.value})},
         {"unit", std::to_string(x.unit_index)},
         {"drive", to_string(x.damaged.drive)},
         {"start_block", std::to_string(x.damaged.start_block)},
         {"birth", std::to_string(x.damaged.born.value)},
         {"new_drive", to_string(x.run.drive)},
         {"new_start_block", std::to_string(x.run.start_block)},
         {"new_birth", std::to_string(x.run.born.value)}});
}

void gateway_runner::run(const writes_lost& x) {
  raise(
    event_severity::error, "buffered_writes_lost",
    {{"file", to_string(x.file)}, {"bytes", std::to_string(x.bytes)}, {"why", x.cause.context}});
}

void gateway_runner::raise(event_severity severity, const std::string& name,
                           std::map<std::string, std::string> fields) {
  raise_event message;
  message.event.time = loop_.time().wall();
  message.event.severity = severity;
  message.event.name = name;
  message.event.fields = std::move(fields);
  for (const auto& node : view_.nodes)
    if (net_.is_up(node.id))
      return net_.tell(node.id, std::move(message));
}

void gateway_runner::arm() {
  auto next = state_.next_tick();
  if (next == armed_for_)
    return;
  loop_.cancel(timer_);
  armed_for_ = next;
  if (next)
    timer_ = loop_.call_at(*next, [this] {
      armed_for_.reset();
      step([&](gateway_effects& out) { state_.tick(now(), out); });
    });
}

void gateway_runner::refresh_view() {
  view_timer_ = loop_.call_after_ms(view_refresh_ms, [this] { refresh_view(); });
  if (refreshing_ || view_.nodes.empty())
    return;
  for (std::size_t i = 0; i < view_.nodes.size(); ++i) {
    auto node = view_.nodes[turn_++ % view_.nodes.size()].id;
    if (!net_.is_up(node))
      continue;
    refreshing_ = true;
    net_.ask<get_cluster_view>(
      node, {}, view_timeout_ms, [this, alive = alive_](expected<cluster_view> view) {
        if (!*alive)
          return;
        refreshing_ = false;
        if (!view || view->version < view_.version)
          return;
        view_ = *view;
        net_.set_nodes(view_);
        step([&](gateway_effects& out) { state_.update_view(std::move(*view), now(), out); });
      });
    return;
  }
}

} // namespace troupe
