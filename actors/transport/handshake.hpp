#pragma once

#include "actors/transport/transport_options.hpp"
#include "messages/error.hpp"

#include <map>
#include <optional>
#include <string>

namespace troupe {

// The first frames of a connection, spoken before the two sides know each other's version: these
// fields never change. What comes later goes into `extra`, which older programs ignore.

/// Dialler to acceptor.
struct hello {
  std::uint16_t protocol_oldest = 0; ///< The range that the dialler speaks.
  std::uint16_t protocol_newest = 0;
  cluster_uuid cluster;
  peer_role role = peer_role::none; ///< Must be that of the certificate, as `id`.
  std::uint64_t id = 0;
  incarnation process;
  bool encrypt_data = false; ///< Wants its data connection encrypted.
  std::map<std::string, std::string> extra;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, hello& x) {
  return f(x.protocol_oldest, x.protocol_newest, x.cluster, x.role, x.id, x.process, x.encrypt_data,
           x.extra);
}

/// Acceptor to dialler: the terms, or why not.
struct hello_answer {
  std::optional<error> refused;
  std::uint16_t protocol = 0; ///< The newest that both speak.
  std::uint64_t id = 0;
  incarnation process;
  bool encrypt_data = false; ///< True if either side wants it.
  std::uint64_t request_window_bytes = 0;
  std::uint64_t one_way_window_bytes = 0;
  std::map<std::string, std::string> extra;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, hello_answer& x) {
  return f(x.refused, x.protocol, x.id, x.process, x.encrypt_data, x.request_window_bytes,
           x.one_way_window_bytes, x.extra);
}

/// Who this process is to its peers.
struct own_identity {
  certified_identity certified;
  incarnation process;
  std::uint16_t protocol_oldest = troupe::protocol_oldest;
  std::uint16_t protocol_newest = troupe::protocol_newest;
  std::string machine; ///< Tells this boot of this machine from all others; empty: not known.
};

/// What `own_identity::machine` is here.
std::string this_machine();

/// The body of a response whose request was refused.
struct refusal {
  error why;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, refusal& x) {
  return f(x.why);
}

/// @param local  the connection has the same address at both ends.
hello make_hello(const own_identity& self, const transport_options& options, bool local = false);
/// What the acceptor answers to a dialler whose certificate names `certified`. Refuses with
/// trp::foreign_certificate, trp::role_not_allowed or trp::protocol_version.
hello_answer judge_hello(const hello& from, const certified_identity& certified,
                         const own_identity& self, const transport_options& options,
                         bool local = false);
/// What the dialler makes of the answer: errors as above, errc::permission_denied if the peer does
/// not encrypt what must be encrypted, or nothing.
expected<void> judge_answer(const hello_answer& answer, const own_identity& self,
                            const transport_options& options = {});

} // namespace troupe
