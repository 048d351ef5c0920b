#include "actors/node/node_status.hpp"

#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <unistd.h>

namespace troupe {

namespace {

std::uint64_t resident_bytes() {
  std::ifstream in{"/proc/self/statm"};
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  in >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint32_t open_descriptors() {
  std::error_code failed;
  std::uint32_t count = 0;
  for (std::filesystem::directory_iterator it{"/proc/self/fd", failed}, end; it != end;
       it.increment(failed))
    ++count;
  return count;
}

std::uint64_t cpu_ms() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto ms = [](const timeval& t) {
    return static_cast<std::uint64_t>(t.tv_sec) * 1000
           + static_cast<std::uint64_t>(t.tv_usec) / 1000;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

} // namespace

node_status describe_node(const node_shell& node) {
  const auto& services = *node.services;
  node_status out;
  out.node = services.config.node;
  out.pid = static_cast<std::uint32_t>(::getpid());
  out.process = services.process;
  out.version = "0.1.0";
  out.config = node.config->version;
  out.lease_valid = services.loop.now() < node.membership->lease_until();
  out.io = services.io.kind();
  out.uptime_ms = (services.loop.now().ns - node.started.ns) / 1'000'000;
  out.cpu_ms = cpu_ms();
  out.resident_bytes = resident_bytes();
  out.descriptors = open_descriptors();
  out.drives = node.drives->reports();
  for (auto& drive : out.drives)
    drive.journal_syncs = node.replicas->journal_syncs(drive.drive);
  out.replicas = node.replicas->reports();
  out.links = services.net.reports();
  return out;
}

} // namespace troupe
