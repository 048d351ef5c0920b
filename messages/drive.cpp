#include "messages/drive.hpp"

#include <iterator>

namespace troupe {

namespace {
constexpr char refusal_before[] = "drive ";
constexpr char refusal_behind[] = " takes no data";
} // namespace

error takes_no_data(const drive_uuid& drive) {
  return {errc::below_floor, refusal_before + to_string(drive) + refusal_behind};
}

std::optional<drive_uuid> drive_that_takes_no_data(const error& refusal) {
  const auto& text = refusal.context;
  auto words = std::size(refusal_before) + std::size(refusal_behind) - 2;
  if (refusal.code != errc::below_floor || text.size() <= words)
    return std::nullopt;
  drive_uuid drive;
  bool is_one = parse_uuid(text.substr(std::size(refusal_before) - 1, text.size() - words), drive)
                && text == takes_no_data(drive).context;
  return is_one ? std::optional{drive} : std::nullopt;
}

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
