#include "actors/transport/handshake.hpp"

#include <algorithm>
#include <fstream>

namespace troupe {

namespace {

constexpr const char* machine_key = "machine";

bool same_machine(const own_identity& self, const std::map<std::string, std::string>& extra) {
  auto it = extra.find(machine_key);
  return !self.machine.empty() && it != extra.end() && it->second == self.machine;
}

} // namespace

std::string this_machine() {
  std::ifstream in{"/proc/sys/kernel/random/boot_id"};
  std::string text;
  std::getline(in, text);
  return text;
}

hello make_hello(const own_identity& self, const transport_options& options, bool local) {
  // On one address the acceptor sees whether it is one machine, too; else encryption it is.
  bool encrypt = options.encryption == backend_encryption::always
                 || (options.encryption == backend_encryption::automatic && !local);
  return {self.protocol_oldest,
          self.protocol_newest,
          self.certified.cluster,
          self.certified.role,
          self.certified.id,
          self.process,
          encrypt,
          {{machine_key, self.machine}}};
}

hello_answer judge_hello(const hello& from, const certified_identity& certified,
                         const own_identity& self, const transport_options& options, bool local) {
  hello_answer answer;
  auto protocol = std::min(from.protocol_newest, self.protocol_newest);
  if (from.cluster != self.certified.cluster || certified.cluster != self.certified.cluster)
    answer.refused =
      error{errc::wrong_cluster, "this is cluster " + to_string(self.certified.cluster),
            trp::foreign_certificate};
  else if (from.role != certified.role || from.id != certified.id)
    answer.refused = error{errc::permission_denied, "the certificate names " + to_uri(certified),
                           trp::role_not_allowed};
  else if (protocol < from.protocol_oldest || protocol < self.protocol_oldest)
    answer.refused = error{errc::wrong_version,
                           "here " + std::to_string(self.protocol_oldest) + " to "
                             + std::to_string(self.protocol_newest) + ", there "
                             + std::to_string(from.protocol_oldest) + " to "
                             + std::to_string(from.protocol_newest),
                           trp::protocol_version};
  answer.protocol = protocol;
  answer.id = self.certified.id;
  answer.process = self.process;
  bool together = local && same_machine(self, from.extra);
  answer.encrypt_data = from.encrypt_data || options.encryption == backend_encryption::always
                        || (options.encryption == backend_encryption::automatic && !together);
  answer.extra[machine_key] = self.machine;
  answer.request_window_bytes = options.request_window_bytes;
  answer.one_way_window_bytes = options.one_way_window_bytes;
  return answer;
}

expected<void> judge_answer(const hello_answer& answer, const own_identity& self,
                            const transport_options& options) {
  if (answer.refused)
    return *answer.refused;
  if (answer.protocol < self.protocol_oldest || answer.protocol > self.protocol_newest)
    return error{errc::wrong_version, "the peer chose " + std::to_string(answer.protocol),
                 trp::protocol_version};
  bool may_be_plain =
    options.encryption == backend_encryption::never
    || (options.encryption == backend_encryption::automatic && same_machine(self, answer.extra));
  if (!answer.encrypt_data && !may_be_plain)
    return error{errc::permission_denied, "the peer does not encrypt the data connection",
                 trp::protocol_version};
  return {};
}

} // namespace troupe
