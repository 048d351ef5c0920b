#pragma once

#include <string>

namespace troupe {

/// Mounts the cluster of a directory and serves the mount in this process until it is unmounted or
/// gets SIGTERM or SIGINT. What prevents it is said on stderr. @returns the exit status.
int run_mount(const std::string& directory, const std::string& mount_point);

} // namespace troupe
