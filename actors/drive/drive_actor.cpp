#include "actors/drive/drive_actor.hpp"

#include "messages/overload.hpp"

namespace troupe {

caf::behavior drive_actor(caf::stateful_actor<drive_shell>* self,
                          std::shared_ptr<mounted_drive> drive, file_io* io,
                          drive_volume::died on_death) {
  self->state.volume = std::make_unique<drive_volume>(std::move(*drive), *io, std::move(on_death));
  return {
    [self](drive_call& x) {
      auto& volume = *self->state.volume;
      std::visit(overload{[&](const store_run& r) { volume.store(r, std::move(x.done)); },
                          [&](const read_run& r) { volume.read(r, std::move(x.done)); },
                          [&](const free_runs& r) { volume.free(r, std::move(x.done)); },
                          [&](const abandon_write& r) { volume.abandon(r, std::move(x.done)); }},
                 x.request);
    },
    [self](drive_report_call& x) { x.done(self->state.volume->report()); },
  };
}

} // namespace troupe
