#include "actors/host/failsafe.hpp"

#include "actors/host/processes.hpp"
#include "cluster/restart_state.hpp"
#include "storage/base/clock.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <map>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe {

namespace {

constexpr std::uint64_t patience_ns = 20'000'000'000; ///< For nodes to end before SIGKILL.

struct child {
  pid_t pid = 0; ///< 0: not running.
  boot_time start_at{};
  restart_state restarts;
};

void say(const char* event, node_id node, pid_t pid, int status) {
  std::printf("{\"event\":\"%s\",\"node\":%u,\"pid\":%d,\"status\":%d}\n", event, node.value,
              static_cast<int>(pid), status);
  std::fflush(stdout);
}

/// The children of one failsafe.
class nodes_of_directory {
public:
  nodes_of_directory(const cluster_files& paths, const std::string& program, std::size_t count)
    : paths_(paths), program_(program) {
    for (std::uint32_t n = 1; n <= count; ++n)
      children_.try_emplace(node_id{n});
  }

  /// Starts what is due. @returns when something is due next.
  void start_due(boot_time now) {
    for (auto& [node, c] : children_) {
      if (c.pid != 0 || now < c.start_at)
        continue;
      auto pid = start_process({program_, "node", "--config", paths_.node_config(node)},
                               paths_.node_log(node));
      if (!pid) {
        c.start_at = c.restarts.died(now);
        continue;
      }
      c.pid = *pid;
      c.restarts.started(now);
      say("node_started", node, c.pid, 0);
    }
  }

  void reap(boot_time now, bool ending) {
    int status = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;)
      for (auto& [node, c] : children_) {
        if (c.pid != pid)
          continue;
        c.pid = 0;
        c.start_at = c.restarts.died(now);
        say(ending ? "node_ended" : "node_died", node, pid, status);
      }
  }

  void signal_all(int which) {
    for (auto& [node, c] : children_)
      if (c.pid != 0)
        ::kill(c.pid, which);
  }

  bool any_running() const {
    for (const auto& [node, c] : children_)
      if (c.pid != 0)
        return true;
    return false;
  }

private:
  const cluster_files& paths_;
  std::string program_;
  std::map<node_id, child> children_;
};

/// Waits for a signal of `set`, at most so long.
int wait_signal(const sigset_t& set, long ms) {
  timespec wait{ms / 1000, ms % 1000 * 1'000'000};
  return ::sigtimedwait(&set, nullptr, &wait);
}

} // namespace

int run_failsafe(env& files, const cluster_files& paths, const std::string& program) {
  auto description = load_description(files, paths);
  if (!description) {
    std::fprintf(stderr, "troupe: %s\n", describe(description.error()).c_str());
    return 1;
  }
  auto lock = files.lock(paths.failsafe_lock());
  if (!lock) {
    std::fprintf(stderr, "troupe: another failsafe runs in %s\n", paths.root().c_str());
    return 1;
  }
  auto pid_text = std::to_string(::getpid()) + "\n";
  if (auto saved = files.replace_file(paths.failsafe_pid(), as_bytes(pid_text)); !saved) {
    std::fprintf(stderr, "troupe: %s\n", describe(saved.error()).c_str());
    return 1;
  }
  sigset_t set;
  ::sigemptyset(&set);
  for (int s : {SIGCHLD, SIGTERM, SIGINT})
    ::sigaddset(&set, s);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);

  nodes_of_directory nodes{paths, program, description->node_addresses.size()};
  bool ending = false;
  boot_time kill_at{};
  while (!ending || nodes.any_running()) {
    auto now = system_clock().boot();
    nodes.reap(now, ending);
    if (!ending)
      nodes.start_due(now);
    else if (now >= kill_at)
      nodes.signal_all(SIGKILL);
    auto got = wait_signal(set, 100);
    if (got == SIGTERM || got == SIGINT) {
      ending = true;
      kill_at = boot_time{now.ns + patience_ns};
      nodes.signal_all(SIGTERM);
    }
  }
  if (auto removed = files.remove_file(paths.failsafe_pid()); !removed)
    std::fprintf(stderr, "troupe: %s\n", describe(removed.error()).c_str());
  return 0;
}

} // namespace troupe
