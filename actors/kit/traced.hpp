#pragma once

#include "actors/kit/log.hpp"
#include "actors/kit/trace.hpp"
#include "messages/type_ids.hpp"

#include <caf/actor_cast.hpp>
#include <caf/actor_config.hpp>
#include <caf/invoke_message_result.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/send.hpp>

#include <functional>
#include <string>

namespace troupe {

/// "Run this inside that actor": between two of its messages, on its thread; an exception ends the
/// actor like one of a handler. Understood by every traced actor, see `run_in`.
struct continuation {
  std::function<void()> run;
};
template <>
inline constexpr bool local_message<continuation> = true;

/// A message on its way to a traced actor, with the context of its sender.
class traced_element : public caf::mailbox_element {
public:
  traced_element(caf::mailbox_element_ptr inner, trace_context trace, const char* from)
    : mailbox_element(std::move(inner->sender), inner->mid, std::move(inner->stages)),
      context(trace), sender_name(from), sent(system_clock().boot()), inner_(std::move(inner)) {}

  caf::type_erased_tuple& content() override { return inner_->content(); }
  const caf::type_erased_tuple& content() const override { return inner_->content(); }
  caf::message move_content_to_message() override { return inner_->move_content_to_message(); }
  caf::message copy_content_to_message() const override {
    return inner_->copy_content_to_message();
  }

  trace_context context;
  const char* sender_name;
  boot_time sent;

private:
  caf::mailbox_element_ptr inner_;
};

/// The path of the actor whose message this thread is handling, "" outside of actors.
const char* current_actor();
/// Sets it as long as it lives.
class actor_scope {
public:
  explicit actor_scope(const char* path);
  ~actor_scope();
  actor_scope(const actor_scope&) = delete;
  actor_scope& operator=(const actor_scope&) = delete;

private:
  const char* before_;
};
/// What a handled message is called in a trace.
const char* message_type_name(const caf::type_erased_tuple& content);

/// Base of our actors: every message carries the trace of its sender, answers included, and leaves
/// a record in the ring of the process; an exception is logged and ends only this actor.
///
///     using drive_self = caf::stateful_actor<drive_shell, traced<caf::event_based_actor>>;
///     caf::behavior drive(drive_self* self, std::string path) { self->set_path(path); … }
///
/// For a typed actor the base is `traced<some_actor::base>`.
template <class Base>
class traced : public Base {
public:
  template <class... Ts>
  explicit traced(caf::actor_config& cfg, Ts&&... xs) : Base(cfg, std::forward<Ts>(xs)...) {
    this->set_exception_handler([this](caf::scheduled_actor*, std::exception_ptr& problem) {
      std::string what = "unknown";
      try {
        std::rethrow_exception(problem);
      } catch (const std::exception& e) {
        what = e.what();
      } catch (...) {
        what = "not a std::exception";
      }
      log_event(event_severity::error, "actor_failed", {{"actor", path_}, {"what", what}});
      return caf::error{caf::sec::runtime_error};
    });
  }

  /// The name under which traces and events show it, "node/3/drive/2".
  void set_path(const std::string& path) { path_ = trace_name(path); }
  const char* path() const { return path_; }
  std::uint64_t handled_count() const { return handled_; }

  /// Runs on the sender's thread.
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override {
    Base::enqueue(caf::mailbox_element_ptr{new traced_element(std::move(what), current_trace(),
                                                              current_actor())},
                  unit);
  }
  using Base::enqueue;

  /// Runs on the actor's thread.
  caf::invoke_message_result consume(caf::mailbox_element& x) override {
    trace_record record;
    auto* came = dynamic_cast<traced_element*>(&x);
    trace_context parent = came ? came->context : trace_context{};
    trace_scope trace{{parent ? parent.id : new_trace_id(), new_span_id()}};
    actor_scope actor{path_};
    record.id = current_trace().id;
    record.span = current_trace().span;
    record.parent = parent.span;
    record.receiver = path_;
    record.sender = came ? came->sender_name : "";
    record.sent = came ? came->sent : boot_time{};
    record.dequeued = system_clock().boot();
    record.type = message_type_name(x.content());
    ++handled_;
    caf::invoke_message_result result;
    if (x.content().template match_elements<continuation>()) {
      auto run = std::move(x.content().template get_mutable_as<continuation>(0).run);
      run();
      result = caf::invoke_message_result::consumed;
    } else {
      result = Base::consume(x);
    }
    if (result != caf::invoke_message_result::skipped) {
      record.finished = system_clock().boot();
      process_trace().record(record);
    }
    return result;
  }
  using Base::consume;

private:
  const char* path_ = "actor";
  std::uint64_t handled_ = 0;
};

/// Runs `what` inside a traced actor, soon; dropped if the actor has ended.
template <class Handle>
void run_in(const Handle& actor, std::function<void()> what) {
  if (auto strong = caf::actor_cast<caf::actor>(actor))
    caf::anon_send(strong, continuation{std::move(what)});
}

} // namespace troupe
