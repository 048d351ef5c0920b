#include "messages/error.hpp"

namespace troupe {

const char* to_string(errc code) {
  switch (code) {
  case errc::none: return "none";
  case errc::invalid_argument: return "invalid_argument";
  case errc::not_found: return "not_found";
  case errc::already_exists: return "already_exists";
  case errc::corrupt: return "corrupt";
  case errc::io_error: return "io_error";
  case errc::no_space: return "no_space";
  case errc::busy: return "busy";
  case errc::timeout: return "timeout";
  case errc::unavailable: return "unavailable";
  case errc::not_leader: return "not_leader";
  case errc::may_have_happened: return "may_have_happened";
  case errc::stale: return "stale";
  case errc::behind: return "behind";
  case errc::permission_denied: return "permission_denied";
  case errc::not_directory: return "not_directory";
  case errc::is_directory: return "is_directory";
  case errc::not_empty: return "not_empty";
  case errc::name_too_long: return "name_too_long";
  case errc::cross_partition: return "cross_partition";
  case errc::too_many_links: return "too_many_links";
  case errc::too_large: return "too_large";
  case errc::wrong_version: return "wrong_version";
  case errc::wrong_cluster: return "wrong_cluster";
  case errc::not_supported: return "not_supported";
  case errc::quarantined: return "quarantined";
  case errc::shutdown: return "shutdown";
  case errc::stale_handle: return "stale_handle";
  case errc::unknown_client: return "unknown_client";
  case errc::below_floor: return "below_floor";
  case errc::interrupted: return "interrupted";
  }
  return "unknown";
}

std::string describe(const error& x) {
  const error_entry* entry = x.id ? find_error(x.id) : nullptr;
  std::string out;
  if (entry) {
    out += "TRP-" + std::to_string(entry->id.value) + " " + entry->title;
  } else {
    out += to_string(x.code);
  }
  if (!x.context.empty())
    out += ": " + x.context;
  if (entry) {
    out += std::string{"\n  cause: "} + entry->cause;
    out += std::string{"\n  next:  "} + entry->next_step;
  }
  return out;
}

} // namespace troupe
