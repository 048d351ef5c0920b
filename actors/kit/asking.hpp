#pragma once

#include "actors/kit/answered_surely.hpp"
#include "actors/kit/caf_error.hpp"

#include <caf/typed_response_promise.hpp>

#include <functional>
#include <utility>

namespace troupe {

/// The answer that the current request of an actor gets later: `promise` is what its handler
/// returns, `keep` answers, once.
template <class Answer>
struct later_answer {
  caf::typed_response_promise<Answer> promise;
  std::function<void(expected<Answer>)> keep;
};

/// If the last copy of `keep` dies unused (the actor ended), the requester gets
/// errc::may_have_happened: CAF 0.17 would let it wait for ever.
template <class Answer, class Self>
later_answer<Answer> answer_later(Self* self) {
  auto promise = self->template make_response_promise<Answer>();
  std::function<void(expected<Answer>)> deliver = [promise](expected<Answer> x) mutable {
    if (x)
      promise.deliver(std::move(*x));
    else
      promise.deliver(to_caf(x.error()));
  };
  return {promise, answered_surely<expected<Answer>>(
                     std::move(deliver),
                     error{errc::may_have_happened, "the actor ended before it answered"})};
}

/// Asks an actor of this process; `done` hears its answer or its error, once, inside `self`.
template <class Answer, class Self, class Handle, class Message>
void ask_actor(Self* self, const Handle& whom, Message message,
               std::function<void(expected<Answer>)> done) {
  self->request(whom, caf::infinite, std::move(message))
    .then([done](Answer& answer) { done(std::move(answer)); },
          [done](caf::error& why) { done(from_caf(why)); });
}

} // namespace troupe
