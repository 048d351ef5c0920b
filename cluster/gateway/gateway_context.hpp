#pragma once

#include "cluster/gateway/cluster_map.hpp"
#include "cluster/gateway/gateway_effects.hpp"
#include "cluster/gateway/gateway_options.hpp"
#include "cluster/gateway/gateway_state.hpp"
#include "cluster/gateway/procedure.hpp"

#include <utility>

namespace troupe {

/// What all parts of one gateway share: its limits, its time, its procedures, its view of the
/// cluster, and where effects go. Lives as long as the parts.
struct gateway_context {
  gateway_context(gateway_options limits, cluster_view view)
    : options(limits), map(std::move(view)) {}

  const gateway_options options;
  procedure_runner run;
  cluster_map map;
  wait_list map_changed; ///< A newer view, or a link went up or down.
  wall_time wall;
  gateway_report report; ///< The counters; what can be asked for is filled in by `report()`.

  boot_time now() const { return run.now(); }
  boot_time in_ms(std::uint64_t ms) const { return {run.now().ns + ms * 1'000'000}; }
  template <class Effect>
  void emit(Effect effect) {
    TROUPE_ASSERT(out != nullptr); // procedures run only inside an input
    out->emplace_back(std::move(effect));
  }

  gateway_effects* out = nullptr; ///< Of the input that is being worked on.
};

} // namespace troupe
