#pragma once

#include "actors/host/cluster_files.hpp"
#include "actors/security/ca.hpp"

#include <vector>

namespace troupe {

/// A member of a cluster whose certificate lies in the cluster's directory.
struct certificate_holder {
  peer_role role = peer_role::none;
  std::uint64_t id = 0;
  std::string certificate_path;
  std::string key_path;
};

/// The certificates in the directory of a cluster: the CA, its members', and a copy of every one
/// that was ever issued, so that each can be listed and revoked. Blocks.
class certificate_store {
public:
  certificate_store(env& files, std::string directory)
    : files_(files), paths_(std::move(directory)) {}

  const cluster_files& paths() const { return paths_; }
  /// The CA that signs now: the one of the bundle that belongs to the key.
  expected<certificate_authority> authority(certificate_lifetime lifetime = {}) const;
  /// Nodes, the administrator, the mounts of this machine.
  expected<std::vector<certificate_holder>> holders() const;
  /// Issues a certificate for the holder, keeps a copy, and replaces key and certificate, each
  /// whole or not at all. Durable when it returns.
  expected<certificate_info> issue(const certificate_authority& by, const certificate_holder& who);
  /// The CAs of the bundle, then every certificate that was issued, with its file.
  expected<std::vector<certificate_record>> records() const;

  /// Makes the CA that comes next, beside the one that signs. Does nothing if it is there.
  expected<void> make_next_authority();
  /// Key identifier of the CA that comes next, or of the one that signs if none does.
  expected<std::string> newest_authority() const;
  /// Adds it to the bundle that members trust. Does nothing if it is in it.
  expected<void> trust_next_authority();
  /// Lets it sign from now on. Does nothing if there is none.
  expected<void> use_next_authority();
  /// Leaves only the CA that signs in the bundle.
  expected<void> drop_old_authorities();
  /// True if the bundle holds a CA that does not sign any more.
  expected<bool> has_old_authorities() const;

private:
  expected<void> keep_copy(const issued_certificate& what);
  expected<void> write_bundle(const authority_list& bundle);

  env& files_;
  cluster_files paths_;
};

} // namespace troupe
