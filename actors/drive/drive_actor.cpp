#include "actors/drive/drive_actor.hpp"

#include "actors/kit/asking.hpp"

namespace troupe {

namespace {

/// Answers the current request with what the drive will say.
template <class Answer>
std::pair<caf::typed_response_promise<Answer>, drive_volume::callback>
from_drive(drive_self* self) {
  auto later = answer_later<Answer>(self);
  auto tell = [keep = std::move(later.keep)](drive_volume::answer answer) {
    if (auto* good = std::get_if<Answer>(&answer))
      keep(std::move(*good));
    else if (auto* why = std::get_if<error>(&answer))
      keep(std::move(*why));
    else
      keep(error{errc::io_error, "drive gave another answer"});
  };
  return {later.promise, std::move(tell)};
}

} // namespace

drive_interface::behavior_type drive_actor(drive_self* self, std::string path,
                                           std::shared_ptr<mounted_drive> drive, file_io* io,
                                           drive_volume::died on_death) {
  self->set_path(path);
  self->state.volume = std::make_unique<drive_volume>(
    std::move(*drive), std::make_shared<file_drive_io>(*io), std::move(on_death));
  return {
    [self](const store_run& x) {
      auto [promise, done] = from_drive<run_stored>(self);
      self->state.volume->store(x, std::move(done));
      return promise;
    },
    [self](const read_run& x) {
      auto [promise, done] = from_drive<run_data>(self);
      self->state.volume->read(x, std::move(done));
      return promise;
    },
    [self](const free_runs& x) {
      auto [promise, done] = from_drive<runs_freed>(self);
      self->state.volume->free(x, std::move(done));
      return promise;
    },
    [self](const abandon_write& x) {
      auto [promise, done] = from_drive<runs_freed>(self);
      self->state.volume->abandon(x, std::move(done));
      return promise;
    },
    [self](get_drive_report) { return self->state.volume->report(); },
  };
}

} // namespace troupe
