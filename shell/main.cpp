#include "access/mount/mount_process.hpp"
#include "actors/client/cluster_client.hpp"
#include "actors/host/host_actions.hpp"
#include "actors/host/mount_table.hpp"
#include "actors/node/node_process.hpp"
#include "shell/command_line.hpp"
#include "sim/cluster/simulator.hpp"
#include "storage/base/posix_env.hpp"

#include <csignal>
#include <cstdlib>
#include <iostream>

namespace {

/// Where a cluster lives if nobody says otherwise.
std::string default_directory() {
  if (const char* home = std::getenv("HOME"); home && *home)
    return std::string{home} + "/troupe";
  return "/var/lib/troupe";
}

} // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  troupe::posix_env files;
  troupe::host_actions host{files,
                            {.run_node = troupe::run_node,
                             .run_mount = troupe::run_mount,
                             .connect = troupe::connect_cluster}};
  troupe::shell::context ctx{host, std::cout, std::cerr, std::cin, default_directory()};
  troupe::simulator simulator;
  ctx.simulator = &simulator;
  return troupe::shell::run_command_line(ctx, {argv + 1, argv + argc});
}
