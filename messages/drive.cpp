#include "messages/drive.hpp"

namespace troupe {

const char* to_string(drive_state state) {
  switch (state) {
  case drive_state::unknown: return "UNKNOWN";
  case drive_state::fresh: return "NEW";
  case drive_state::healthy: return "HEALTHY";
  case drive_state::suspect: return "SUSPECT";
  case drive_state::smartfail: return "SMARTFAIL";
  case drive_state::dead: return "DEAD";
  case drive_state::gone: return "GONE";
  case drive_state::wrong_type: return "WRONG_TYPE";
  }
  return "UNKNOWN";
}

} // namespace troupe
