#include "actors/node/node_handlers.hpp"

#include "actors/node/told_event.hpp"
#include "actors/transport/event_limit_state.hpp"

#include <caf/send.hpp>

#include <algorithm>
#include <optional>

namespace troupe {

namespace {

using self_ptr = node_self*;

void add_drive_handlers(self_ptr self, dispatcher& messages) {
  messages.on_request<store_run>(
    [self](const request_context&, store_run&& x, responder<store_run> respond) {
      auto& st = self->state;
      // A node that may have been written off must not take data any more (hazards F6).
      if (st.services->loop.time().boot() >= st.membership->lease_until())
        return respond(error{errc::unavailable, "the node has no lease"});
      auto drive = x.drive;
      st.drives->ask(drive, std::move(x), respond);
    });
  messages.on_request<read_run>(
    [self](const request_context&, read_run&& x, responder<read_run> respond) {
      auto drive = x.run.drive;
      self->state.drives->ask(drive, std::move(x), respond);
    });
  messages.on_request<free_runs>(
    [self](const request_context&, free_runs&& x, responder<free_runs> respond) {
      if (x.runs.empty())
        return respond(runs_freed{});
      auto drive = x.runs.front().drive;
      self->state.drives->ask(drive, std::move(x), respond);
    });
  messages.on_request<abandon_write>(
    [self](const request_context&, abandon_write&& x, responder<abandon_write> respond) {
      auto drive = x.drive;
      self->state.drives->ask(drive, std::move(x), respond);
    });
  messages.on_request<get_drive_report>(
    [self](const request_context&, get_drive_report&& x, responder<get_drive_report> respond) {
      auto drive = x.drive;
      self->state.drives->ask(drive, std::move(x), respond);
    });
}

/// The node that a request speaks for; none for a drive that nobody has; nothing if for itself.
std::optional<node_id> speaker(const cluster_request& request, const cluster_config& config) {
  if (const auto* x = std::get_if<register_node>(&request))
    return x->node;
  if (const auto* x = std::get_if<renew_node_lease>(&request))
    return x->node;
  if (const auto* x = std::get_if<set_drive_state>(&request)) {
    auto drive = config.drives.find(x->drive);
    return drive == config.drives.end() ? node_id{} : drive->second.node;
  }
  return std::nullopt;
}

/// A node speaks for itself only, whatever it says in the message.
expected<void> may_ask(const certified_identity& who, const cluster_request& request,
                       const cluster_config& config) {
  if (!senders_of(request).has(who.role))
    return error{errc::permission_denied,
                 std::string{"a "} + to_string(who.role) + " may not ask this of the cluster group",
                 trp::role_not_allowed};
  auto node = speaker(request, config);
  if (node && who.id != node->value) // only nodes come this far
    return error{errc::permission_denied,
                 "node " + std::to_string(who.id) + " speaks for node "
                   + std::to_string(node->value),
                 trp::role_not_allowed};
  return {};
}

void add_group_handlers(self_ptr self, dispatcher& messages) {
  messages.on_request<meta_request>(
    [self](const request_context&, meta_request&& x, responder<meta_request> respond) {
      const auto* group = group_of(*self->state.config, slot_of(x.operation));
      auto id = group ? group->id : group_id{};
      self->state.replicas->ask(id, std::move(x), respond);
    });
  messages.on_one_way<consensus_parcel>([self](const request_context&, consensus_parcel&& x) {
    self->state.replicas->receive(std::move(x));
  });
  messages.on_request<pull_state>(
    [self](const request_context&, pull_state&& x, responder<pull_state> respond) {
      self->state.replicas->ask(x, respond);
    });
  messages.on_request<cluster_request>([self](const request_context& context, cluster_request&& x,
                                              responder<cluster_request> respond) {
    if (auto fine = may_ask(context.peer, x, *self->state.config); !fine)
      return respond(fine.error());
    self->state.replicas->ask(std::move(x), respond);
  });
}

/// What the catalogue allows a role to send may still be a verb that it may not ask.
template <class Request>
expected<void> may_operate(const certified_identity& who, const Request& request) {
  if constexpr (std::is_same_v<Request, admin_request>)
    if (!senders_of(request).has(who.role))
      return error{errc::permission_denied,
                   std::string{"a "} + to_string(who.role) + " is no operator",
                   trp::role_not_allowed};
  return {};
}

/// A message that the node's own actor answers.
template <class Request>
void add_own_handler(self_ptr self, dispatcher& messages) {
  messages.on_request<Request>(
    [self, me = caf::actor_cast<node_interface>(self)](const request_context& context, Request&& x,
                                                       responder<Request> respond) {
      if (auto fine = may_operate(context.peer, x); !fine)
        return respond(fine.error());
      ask_actor<answer_of<Request>>(self, me, std::move(x), respond);
    });
}

} // namespace

void add_node_handlers(self_ptr self, dispatcher& messages) {
  add_drive_handlers(self, messages);
  add_group_handlers(self, messages);
  add_own_handler<get_cluster_view>(self, messages);
  add_own_handler<get_cluster_config>(self, messages);
  add_own_handler<admin_request>(self, messages);
  auto told = std::make_shared<event_limit_state>(200); // what others say must not drown our own
  messages.on_one_way<raise_event>([self, told](const request_context& context, raise_event&& x) {
    const auto& services = *self->state.services;
    auto event = told_event(std::move(x.event), context.peer);
    if (event && told->tell("told", services.loop.now()))
      services.raise(event->severity, event->name, std::move(event->fields));
  });
}

} // namespace troupe
