#include "actors/security/peer_trust.hpp"

namespace troupe {

void peer_trust::set_authorities(std::shared_ptr<const authority_list> authorities) {
  authorities_ = std::move(authorities);
  ++generation_;
}

bool peer_trust::set_revoked(std::set<certificate_serial> revoked) {
  if (revoked == revoked_)
    return false;
  revoked_ = std::move(revoked);
  return true;
}

expected<void> peer_trust::check(trusted_peer& peer, wall_time now) const {
  if (revoked_.contains(peer.info.serial))
    return error{errc::permission_denied,
                 "certificate " + peer.info.serial.hex + " of " + to_uri(peer.info.who)
                   + " was revoked",
                 trp::certificate_revoked};
  if (peer.checked != generation_) {
    auto until = check_certificate(*peer.certificate, *authorities_, now);
    if (!until)
      return until.error();
    peer.valid_until = *until;
    peer.checked = generation_;
  }
  if (now > peer.valid_until)
    return error{errc::permission_denied,
                 "certificate " + peer.info.serial.hex + " of " + to_uri(peer.info.who)
                   + " has expired",
                 trp::bad_certificate};
  return {};
}

} // namespace troupe
