#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace troupe {

/// Which run of the simulator is wanted.
struct sim_wish {
  std::uint64_t seed = 1;
  std::string planted;           ///< A name of `planted_bugs`, or empty.
  std::ostream* trace = nullptr; ///< One line per event, if not null.
};

/// What came of one run.
struct sim_outcome {
  std::uint64_t seed = 0;
  std::uint64_t digest = 0; ///< Over everything that was sent, stored, asked and answered.
  std::string violation;    ///< Empty: every checker was content.
  std::uint64_t events = 0;
  std::uint64_t virtual_ms = 0;
  std::uint64_t calls = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t elections = 0;
  std::uint64_t power_cuts = 0;
  std::uint64_t kills = 0;
};

/// The simulator, as the command line sees it: a whole cluster in this process under virtual time.
class sim_port {
public:
  virtual ~sim_port() = default;
  /// Plays one seed to its end. The same wish gives the same outcome on every machine.
  virtual sim_outcome play(const sim_wish& wish) = 0;
  /// Names of the bugs that can be planted, to see that the checkers notice.
  virtual std::vector<std::string> planted_bugs() const = 0;
};

} // namespace troupe
