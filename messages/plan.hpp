#pragma once

#include <string>
#include <utility>
#include <vector>

namespace troupe {

/// One thing that a command would do or does, in order.
struct plan_step {
  std::string action; ///< Stable word: "create_directory", "start_node", "mount".
  std::string object; ///< What it acts on: a path, a node.
  std::vector<std::pair<std::string, std::string>> details; ///< Sizes, ports, levels.
};

/// What a changing command is going to do. `--dry-run` prints it and stops; the real run executes
/// this same object, so the two cannot differ.
struct plan {
  std::string command; ///< "up", "mkdir"
  std::vector<plan_step> steps;
};

} // namespace troupe
