#include "cluster/leader_preference_state.hpp"

namespace troupe {

bool leader_preference_state::look(bool leads, replica_id self, replica_id preferred,
                                   bool preferred_is_well, boot_time now) {
  if (!leads || self == preferred || !preferred || !preferred_is_well) {
    well_since_.reset();
    return false;
  }
  if (!well_since_)
    well_since_ = now;
  if (now.ns < well_since_->ns + options_.settled_ns)
    return false;
  if (last_attempt_ && now.ns < last_attempt_->ns + options_.again_ns)
    return false;
  last_attempt_ = now;
  return true;
}

} // namespace troupe
