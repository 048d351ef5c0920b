#include "actors/transport/dispatcher.hpp"

namespace troupe {

namespace {

const char* name_of(std::uint16_t number) {
  const auto* row = find_message(number);
  return row ? row->name : "unknown";
}

} // namespace

error dispatcher::nobody(std::uint16_t number) {
  return {errc::unavailable, std::string{"nobody handles "} + name_of(number) + " here"};
}

trace_context dispatcher::span_below(const trace_context& parent) {
  return {parent ? parent.id : new_trace_id(), new_span_id()};
}

dispatcher::record_scope::record_scope(const dispatcher& owner, std::uint16_t number,
                                       const request_context& context)
  : context_(context), scope_(span_below(context.trace)) {
  record_.parent = context.trace.span;
  context_.trace = current_trace();
  record_.id = context_.trace.id;
  record_.span = context_.trace.span;
  record_.sender = context.local ? owner.name_ : to_string(context.peer.role);
  record_.receiver = owner.name_;
  record_.type = name_of(number);
  record_.dequeued = system_clock().boot();
  record_.bytes = context.bytes;
}

dispatcher::record_scope::~record_scope() {
  record_.finished = system_clock().boot();
  process_trace().record(record_);
}

void dispatcher::receive(message_form form, std::uint16_t number, const request_context& context,
                         byte_view body, shared_bytes bulk, coded_reply reply) {
  const auto* row = find_message(number);
  if (!row || row->answer[0] == '\0')
    return reply(0, error{errc::not_supported, "message " + std::to_string(number)});
  if (!row->senders.has(context.peer.role))
    return reply(0, error{errc::permission_denied,
                          std::string{row->name} + " from a " + to_string(context.peer.role),
                          trp::role_not_allowed});
  // A request that came as one-way would be worked on outside the window of its sender.
  bool one_way = row->answer[0] == '-';
  if (one_way != (form == message_form::one_way))
    return reply(0, error{errc::not_supported,
                          std::string{row->name} + (one_way ? " as a request" : " as one-way")});
  auto it = entries_.find(number);
  if (it == entries_.end())
    return reply(0, nobody(number));
  auto keep = it->second.typed; // the handler may replace or remove itself
  auto coded = it->second.coded;
  record_scope scope{*this, number, context};
  coded(scope.context(), body, std::move(bulk), std::move(reply));
}

} // namespace troupe
