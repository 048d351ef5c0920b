#pragma once

#include "actors/drive/file_drive_io.hpp"
#include "actors/kit/traced.hpp"
#include "messages/interfaces.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <memory>
#include <string>

namespace troupe {

/// What `node/3/drive/2` is.
struct drive_shell {
  std::unique_ptr<drive_volume> volume;
  static inline const char* name = "drive";
};
using drive_self = caf::stateful_actor<drive_shell, traced<drive_interface::base>>;

/// Runs a mounted drive until it is killed.
/// @param on_death  told when the drive is DEAD for the rest of this mount.
drive_interface::behavior_type drive_actor(drive_self* self, std::string path,
                                           std::shared_ptr<mounted_drive> drive, file_io* io,
                                           drive_volume::died on_death);

} // namespace troupe
