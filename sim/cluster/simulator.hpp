#pragma once

#include "messages/sim_port.hpp"

namespace troupe {

/// The cluster simulator behind the port that the command line knows.
class simulator final : public sim_port {
public:
  sim_outcome play(const sim_wish& wish) override;
  std::vector<std::string> planted_bugs() const override;
};

} // namespace troupe
