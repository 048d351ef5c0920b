#pragma once

#include "actors/kit/trace.hpp"
#include "messages/catalogue.hpp"
#include "storage/base/wire.hpp"

#include <functional>
#include <map>
#include <memory>

namespace troupe {

/// What a handler knows about a message besides its fields.
struct request_context {
  certified_identity peer; ///< From its certificate, checked.
  incarnation peer_process;
  std::uint64_t target = 0; ///< Whom in this process, as the message type defines it.
  trace_context trace;
  snapshot_epoch epoch; ///< The highest that the sender had seen; adopted before the handler runs.
  boot_time deadline;   ///< When the requester gives up.
  std::uint32_t bytes = 0;
  bool local = false; ///< From this very process.
};

/// How a message came.
enum class message_form : std::uint8_t { request, one_way };

template <class T>
using answer_callback = std::function<void(expected<answer_of<T>>)>;

/// Answers one request, once, now or later; copies answer the same request. If the last copy dies
/// unused, the requester gets errc::may_have_happened. Reactor thread only.
template <request_message T>
class responder {
public:
  explicit responder(answer_callback<T> deliver)
    : state_(std::make_shared<state>(state{std::move(deliver)})) {}

  /// Later calls are passed over.
  void operator()(expected<answer_of<T>> answer) const {
    if (auto deliver = std::exchange(state_->deliver, nullptr))
      deliver(std::move(answer));
  }

private:
  struct state {
    answer_callback<T> deliver;
    explicit state(answer_callback<T> d) : deliver(std::move(d)) {}
    state(const state&) = delete;
    state(state&&) = default;
    ~state() {
      if (deliver)
        deliver(error{errc::may_have_happened, "the handler gave no answer"});
    }
  };
  std::shared_ptr<state> state_;
};

/// Sends a coded answer or an error back to where a request came from.
using coded_reply = std::function<void(std::uint16_t message, expected<wire_message> answer)>;

/// Which function handles which message: filled when a node's actors start, asked for every message
/// that arrives. Roles are checked here, from the catalogue, before a byte of the body is read. A
/// handler runs on the reactor thread and must not block.
class dispatcher {
public:
  template <request_message T>
  using request_handler = std::function<void(const request_context&, T&&, responder<T>)>;
  template <one_way_message T>
  using one_way_handler = std::function<void(const request_context&, T&&)>;

  /// Replaces the handler that was there.
  template <request_message T>
  void on_request(request_handler<T> handler) {
    auto shared = std::make_shared<request_handler<T>>(std::move(handler));
    entry e;
    e.typed = shared;
    e.coded = [shared](const request_context& context, byte_view body, shared_bytes bulk,
                       coded_reply reply) {
      auto message = wire_decode<T>(body, std::move(bulk));
      if (!message)
        return reply(0, message.error());
      (*shared)(context, std::move(*message),
                responder<T>{[reply = std::move(reply)](expected<answer_of<T>> answer) {
                  if (answer)
                    reply(message_number<answer_of<T>>, wire_encode(*answer));
                  else
                    reply(0, answer.error());
                }});
    };
    entries_[message_number<T>] = std::move(e);
  }
  template <one_way_message T>
  void on_one_way(one_way_handler<T> handler) {
    auto shared = std::make_shared<one_way_handler<T>>(std::move(handler));
    entry e;
    e.typed = shared;
    e.coded = [shared](const request_context& context, byte_view body, shared_bytes bulk,
                       coded_reply reply) {
      auto message = wire_decode<T>(body, std::move(bulk));
      if (!message)
        return reply(0, message.error());
      (*shared)(context, std::move(*message));
    };
    entries_[message_number<T>] = std::move(e);
  }
  /// Takes a handler away; its requests get errc::unavailable.
  template <catalogued T>
  void remove() {
    entries_.erase(message_number<T>);
  }

  /// A message from another process. An error goes to `reply`: errc::permission_denied
  /// (trp::role_not_allowed), errc::not_supported for an unknown number or a message that does not
  /// come in this form, errc::unavailable if nobody handles it now, errc::corrupt if the body does
  /// not decode.
  void receive(message_form form, std::uint16_t number, const request_context& context,
               byte_view body, shared_bytes bulk, coded_reply reply);

  /// A request of this process to itself, without coding. Not from inside the handler of `T`.
  template <request_message T>
  void call(const request_context& context, T message, answer_callback<T> done) {
    auto typed = find_typed<request_handler<T>>(message_number<T>);
    if (!typed)
      return done(nobody(message_number<T>));
    record_scope scope{*this, message_number<T>, context};
    (*typed)(scope.context(), std::move(message), responder<T>{std::move(done)});
  }
  template <one_way_message T>
  void call(const request_context& context, T message) {
    if (auto typed = find_typed<one_way_handler<T>>(message_number<T>)) {
      record_scope scope{*this, message_number<T>, context};
      (*typed)(scope.context(), std::move(message));
    }
  }

  /// The name by which traces show this process as a receiver, "node/3".
  void set_name(const std::string& name) { name_ = trace_name(name); }

private:
  struct entry {
    std::shared_ptr<void> typed;
    std::function<void(const request_context&, byte_view, shared_bytes, coded_reply)> coded;
  };
  /// Sets the trace context for a handler and records it afterwards.
  class record_scope {
  public:
    record_scope(const dispatcher& owner, std::uint16_t number, const request_context& context);
    ~record_scope();
    record_scope(const record_scope&) = delete;
    record_scope& operator=(const record_scope&) = delete;
    const request_context& context() const { return context_; }

  private:
    request_context context_;
    trace_record record_;
    trace_scope scope_;
  };

  template <class Handler>
  std::shared_ptr<Handler> find_typed(std::uint16_t number) const {
    auto it = entries_.find(number);
    if (it == entries_.end())
      return nullptr;
    return std::static_pointer_cast<Handler>(it->second.typed);
  }
  static error nobody(std::uint16_t number);
  static trace_context span_below(const trace_context& parent);

  std::map<std::uint16_t, entry> entries_;
  const char* name_ = "";
};

} // namespace troupe
