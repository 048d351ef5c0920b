#include "cluster/restart_state.hpp"

#include <algorithm>

namespace troupe {

void restart_state::started(boot_time now) {
  started_at_ = now;
}

boot_time restart_state::died(boot_time now) {
  ++restarts_;
  bool was_stable = started_at_ && now.ns >= started_at_->ns + options_.stable_ns;
  if (delay_ns_ == 0 || was_stable)
    delay_ns_ = options_.delay_first_ns;
  else
    delay_ns_ = std::min(delay_ns_ * 2, options_.delay_max_ns);
  return boot_time{now.ns + delay_ns_};
}

} // namespace troupe
