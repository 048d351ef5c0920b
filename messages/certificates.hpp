#pragma once

#include "messages/roles.hpp"
#include "messages/units.hpp"

#include <cstdint>
#include <string>

namespace troupe {

/// What tells one certificate from all others of a cluster: its serial number, random, in
/// lower-case hexadecimal digits.
struct certificate_serial {
  std::string hex;
  auto operator<=>(const certificate_serial&) const = default;
  explicit operator bool() const { return !hex.empty(); }
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, certificate_serial& x) {
  return f(x.hex);
}

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, certified_identity& x) {
  return f(x.cluster, x.role, x.id);
}

/// What a person wants to know of a certificate.
struct certificate_info {
  certificate_serial serial;
  certified_identity who; ///< Role none: a CA.
  wall_time not_before;   ///< Whole seconds.
  wall_time not_after;    ///< Whole seconds.
  std::string authority;  ///< Key identifier of the CA that signed it, in hexadecimal.
  bool operator==(const certificate_info&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, certificate_info& x) {
  return f(x.serial, x.who, x.not_before, x.not_after, x.authority);
}

/// A certificate in the directory of a cluster.
struct certificate_record {
  certificate_info info;
  std::string file;
  bool current = false; ///< A member of this directory uses it; false too for a CA.
};

/// A certificate that nobody accepts any more, until it would have expired anyway.
struct revoked_certificate {
  certificate_serial serial;
  peer_role role = peer_role::none; ///< For people, as `id`; the serial decides.
  std::uint64_t id = 0;
  wall_time revoked_at;
  wall_time not_after;
  std::string reason;
  bool operator==(const revoked_certificate&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, revoked_certificate& x) {
  return f(x.serial, x.role, x.id, x.revoked_at, x.not_after, x.reason);
}

} // namespace troupe
