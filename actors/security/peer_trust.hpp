#pragma once

#include "actors/security/certificates.hpp"

#include <cstdint>
#include <memory>
#include <set>

namespace troupe {

/// The certificate that a peer showed, and what was found about it.
struct trusted_peer {
  openssl_ptr<X509> certificate;
  certificate_info info;
  wall_time valid_until;     ///< Its own end or its CA's, whichever is first.
  std::uint64_t checked = 0; ///< The generation of trust under which it was looked at.
};

/// Whom a process believes: the CAs of its bundle, less what was revoked. Looks at peers again
/// while they are connected: certificates end, CAs are dropped, and thieves are found out.
class peer_trust {
public:
  void set_authorities(std::shared_ptr<const authority_list> authorities);
  /// @returns true if the set is another one than before.
  bool set_revoked(std::set<certificate_serial> revoked);

  /// Whether the peer is believed at `now`. trp::certificate_revoked, trp::bad_certificate
  /// (expired), trp::foreign_certificate. A signature is verified once per change of the CAs.
  expected<void> check(trusted_peer& peer, wall_time now) const;
  const authority_list& authorities() const { return *authorities_; }

private:
  std::shared_ptr<const authority_list> authorities_ = std::make_shared<authority_list>();
  std::set<certificate_serial> revoked_;
  std::uint64_t generation_ = 1;
};

} // namespace troupe
