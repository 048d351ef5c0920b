#include "actors/node/node_handlers.hpp"

#include <caf/send.hpp>

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

/// Only a node may speak for a node.
bool may_ask(const request_context& context, const cluster_request& request) {
  return std::holds_alternative<admit_client>(request) || context.peer.role == peer_role::node;
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
    if (!may_ask(context, x))
      return respond(
        error{errc::permission_denied, "only nodes register and renew", trp::role_not_allowed});
    self->state.replicas->ask(std::move(x), respond);
  });
}

/// A message that the node's own actor answers.
template <class Request>
void add_own_handler(self_ptr self, dispatcher& messages) {
  messages.on_request<Request>([self, me = caf::actor_cast<node_interface>(self)](
                                 const request_context&, Request&& x, responder<Request> respond) {
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
  messages.on_one_way<raise_event>([self](const request_context&, raise_event&& x) {
    self->state.services->raise(x.event.severity, x.event.name, std::move(x.event.fields));
  });
}

} // namespace troupe
