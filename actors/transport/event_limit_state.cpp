#include "actors/transport/event_limit_state.hpp"

#include <algorithm>
#include <utility>

namespace troupe {

std::optional<std::uint64_t> event_limit_state::tell(const std::string& kind, boot_time now) {
  auto [it, is_new] = kinds_.try_emplace(kind, kind_record{burst_max_, now, 0});
  auto& k = it->second;
  auto steps = (now.ns - k.refilled.ns) / interval_ns_;
  k.refilled.ns += steps * interval_ns_;
  k.left = static_cast<std::uint32_t>(std::min<std::uint64_t>(burst_max_, k.left + steps));
  if (k.left == 0) {
    ++k.left_out;
    return std::nullopt;
  }
  --k.left;
  return std::exchange(k.left_out, 0);
}

} // namespace troupe
