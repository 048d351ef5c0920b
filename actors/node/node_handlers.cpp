#include "actors/node/node_handlers.hpp"

#include <caf/send.hpp>

namespace troupe {

namespace {

using self_ptr = caf::stateful_actor<node_shell>*;

/// Turns a drive's answer into the one answer that this request has, or its error.
template <class T>
std::function<void(drive_volume::answer)> to_responder(responder<T> respond) {
  return [respond = std::move(respond)](drive_volume::answer answer) {
    if (auto* good = std::get_if<answer_of<T>>(&answer))
      respond(std::move(*good));
    else if (auto* why = std::get_if<error>(&answer))
      respond(*why);
    else
      respond(error{errc::io_error, "drive gave another answer"});
  };
}

void add_drive_handlers(self_ptr self, dispatcher& messages) {
  messages.on_request<store_run>(
    [self](const request_context&, store_run&& x, responder<store_run> respond) {
      auto& st = self->state;
      // A node that may have been written off must not take data any more (hazards F6).
      if (st.services->loop.time().boot() >= st.membership->lease_until())
        return respond(error{errc::unavailable, "the node has no lease"});
      auto drive = x.drive;
      st.drives->call(drive, {std::move(x), to_responder<store_run>(std::move(respond))});
    });
  messages.on_request<read_run>(
    [self](const request_context&, read_run&& x, responder<read_run> respond) {
      auto drive = x.run.drive;
      self->state.drives->call(drive, {std::move(x), to_responder<read_run>(std::move(respond))});
    });
  messages.on_request<free_runs>(
    [self](const request_context&, free_runs&& x, responder<free_runs> respond) {
      if (x.runs.empty())
        return respond(runs_freed{});
      auto drive = x.runs.front().drive;
      self->state.drives->call(drive, {std::move(x), to_responder<free_runs>(std::move(respond))});
    });
  messages.on_request<abandon_write>(
    [self](const request_context&, abandon_write&& x, responder<abandon_write> respond) {
      auto drive = x.drive;
      self->state.drives->call(drive,
                               {std::move(x), to_responder<abandon_write>(std::move(respond))});
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
      self->state.replicas->call(id, meta_call{std::move(x), [respond](meta_response response) {
                                                 respond(std::move(response));
                                               }});
    });
  messages.on_one_way<consensus_parcel>([self](const request_context&, consensus_parcel&& x) {
    self->state.replicas->receive(std::move(x));
  });
  messages.on_request<pull_state>(
    [self](const request_context&, pull_state&& x, responder<pull_state> respond) {
      self->state.replicas->call(
        pull_call{x, [respond](expected<state_piece> piece) { respond(std::move(piece)); }});
    });
  messages.on_request<cluster_request>([self](const request_context& context, cluster_request&& x,
                                              responder<cluster_request> respond) {
    if (!may_ask(context, x))
      return respond(
        error{errc::permission_denied, "only nodes register and renew", trp::role_not_allowed});
    self->state.replicas->call(cluster_call{
      std::move(x), [respond](cluster_response response) { respond(std::move(response)); }});
  });
}

} // namespace

void add_node_handlers(self_ptr self, dispatcher& messages) {
  add_drive_handlers(self, messages);
  add_group_handlers(self, messages);
  caf::actor me{self};
  messages.on_request<get_cluster_view>(
    [me](const request_context&, get_cluster_view&&, responder<get_cluster_view> respond) {
      caf::anon_send(me, view_call{[respond](cluster_view view) { respond(std::move(view)); }});
    });
  messages.on_request<get_cluster_config>(
    [me](const request_context&, get_cluster_config&&, responder<get_cluster_config> respond) {
      caf::anon_send(me,
                     config_call{[respond](cluster_config config) { respond(std::move(config)); }});
    });
  messages.on_request<admin_request>(
    [me](const request_context&, admin_request&& x, responder<admin_request> respond) {
      caf::anon_send(me, admin_call{std::move(x), [respond](admin_response response) {
                                      respond(std::move(response));
                                    }});
    });
  messages.on_one_way<raise_event>([self](const request_context&, raise_event&& x) {
    self->state.services->raise(x.event.severity, x.event.name, std::move(x.event.fields));
  });
}

} // namespace troupe
