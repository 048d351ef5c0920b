#include "messages/roles.hpp"

#include <algorithm>

namespace troupe {

const char* to_string(peer_role role) {
  switch (role) {
  case peer_role::none: return "none";
  case peer_role::node: return "node";
  case peer_role::client: return "client";
  case peer_role::admin: return "admin";
  }
  return "unknown";
}

std::string to_uri(const certified_identity& x) {
  return "troupe:cluster/" + to_string(x.cluster) + "/" + to_string(x.role) + "/"
         + std::to_string(x.id);
}

bool parse_identity(const std::string& uri, certified_identity& out) {
  constexpr std::string_view prefix = "troupe:cluster/";
  constexpr std::size_t uuid_chars = 36;
  if (uri.size() < prefix.size() + uuid_chars || uri.compare(0, prefix.size(), prefix) != 0)
    return false;
  certified_identity x;
  if (!parse_uuid(uri.substr(prefix.size(), uuid_chars), x.cluster))
    return false;
  auto rest = uri.substr(prefix.size() + uuid_chars);
  for (auto role : {peer_role::node, peer_role::client, peer_role::admin}) {
    auto head = std::string{"/"} + to_string(role) + "/";
    if (rest.compare(0, head.size(), head) != 0)
      continue;
    auto digits = rest.substr(head.size());
    bool number =
      !digits.empty() && digits.size() <= 18
      && std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!number || (digits.size() > 1 && digits[0] == '0'))
      return false;
    x.role = role;
    x.id = std::stoull(digits);
    out = x;
    return true;
  }
  return false;
}

} // namespace troupe
