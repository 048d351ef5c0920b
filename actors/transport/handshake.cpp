#include "actors/transport/handshake.hpp"

#include <algorithm>

namespace troupe {

hello make_hello(const own_identity& self, const transport_options& options) {
  return {self.protocol_oldest, self.protocol_newest, self.certified.cluster, self.certified.role,
          self.certified.id,    self.process,         options.encrypt_data,   {}};
}

hello_answer judge_hello(const hello& from, const certified_identity& certified,
                         const own_identity& self, const transport_options& options) {
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
  answer.encrypt_data = options.encrypt_data || from.encrypt_data;
  answer.request_window_bytes = options.request_window_bytes;
  answer.one_way_window_bytes = options.one_way_window_bytes;
  return answer;
}

expected<void> judge_answer(const hello_answer& answer, const own_identity& self) {
  if (answer.refused)
    return *answer.refused;
  if (answer.protocol < self.protocol_oldest || answer.protocol > self.protocol_newest)
    return error{errc::wrong_version, "the peer chose " + std::to_string(answer.protocol),
                 trp::protocol_version};
  return {};
}

} // namespace troupe
