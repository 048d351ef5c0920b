#pragma once

#include <string>

namespace troupe {

/// Runs one node in this process until SIGTERM or SIGINT. What prevents it from starting is said
/// on stderr with cause and next step. @returns the exit status.
int run_node(const std::string& config_path);

} // namespace troupe
