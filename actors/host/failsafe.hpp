#pragma once

#include "actors/host/cluster_files.hpp"
#include "storage/base/env.hpp"

namespace troupe {

/// Runs every node of a directory as a child process and starts those again that die, until SIGTERM
/// or SIGINT; then it ends them and waits. Single-threaded and small on purpose. Blocks.
/// @returns the exit status: 0 after an orderly end, 1 if it could not start (said on stderr).
int run_failsafe(env& files, const cluster_files& paths, const std::string& program);

} // namespace troupe
