#pragma once

#include <functional>
#include <memory>
#include <utility>

namespace troupe {

/// A callback that is called exactly once, whatever becomes of the message that carries it: with
/// the answer, or with `otherwise` when its last copy is gone (the actor died with the message in
/// its mailbox, or with the request unfinished). Not thread-safe.
template <class Answer>
std::function<void(Answer)> answered_surely(std::function<void(Answer)> done, Answer otherwise) {
  struct promise {
    std::function<void(Answer)> done;
    Answer otherwise;
    promise(std::function<void(Answer)> d, Answer o)
      : done(std::move(d)), otherwise(std::move(o)) {}
    promise(const promise&) = delete;
    promise& operator=(const promise&) = delete;
    ~promise() { keep(std::move(otherwise)); }
    void keep(Answer answer) {
      if (auto call = std::exchange(done, nullptr))
        call(std::move(answer));
    }
  };
  auto kept = std::make_shared<promise>(std::move(done), std::move(otherwise));
  return [kept = std::move(kept)](Answer answer) { kept->keep(std::move(answer)); };
}

} // namespace troupe
