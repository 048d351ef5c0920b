#include "messages/admin.hpp"

namespace troupe {

const char* to_string(replica_role role) {
  switch (role) {
  case replica_role::follower: return "follower";
  case replica_role::candidate: return "candidate";
  case replica_role::leader: return "leader";
  case replica_role::learner: return "learner";
  }
  return "unknown";
}

const char* to_string(event_severity severity) {
  switch (severity) {
  case event_severity::debug: return "debug";
  case event_severity::info: return "info";
  case event_severity::warn: return "warn";
  case event_severity::error: return "error";
  }
  return "unknown";
}

role_set senders_of(const admin_request&) {
  return only_admins; // all of them: nodes never ask each other as operators do
}

} // namespace troupe
