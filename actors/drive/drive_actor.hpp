#pragma once

#include "actors/drive/drive_volume.hpp"
#include "messages/type_ids.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

#include <functional>
#include <variant>

namespace troupe {

/// A request to a drive of this process; the answer goes to `done`, once, unless the drive's actor
/// dies before.
struct drive_call {
  std::variant<store_run, read_run, free_runs, abandon_write> request;
  std::function<void(drive_volume::answer)> done;
};
struct drive_report_call {
  std::function<void(drive_report)> done;
};
template <>
inline constexpr bool local_message<drive_call> = true;
template <>
inline constexpr bool local_message<drive_report_call> = true;

/// What `node/3/drive/2` is.
struct drive_shell {
  std::unique_ptr<drive_volume> volume;
  static inline const char* name = "drive";
};

/// Runs a mounted drive until it is killed.
/// @param on_death  told when the drive is DEAD for the rest of this mount.
caf::behavior drive_actor(caf::stateful_actor<drive_shell>* self,
                          std::shared_ptr<mounted_drive> drive, file_io* io,
                          drive_volume::died on_death);

} // namespace troupe
