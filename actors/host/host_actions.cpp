#include "actors/host/host_actions.hpp"

#include "actors/host/failsafe.hpp"
#include "actors/host/mount_table.hpp"
#include "actors/host/processes.hpp"
#include "actors/node/node_config.hpp"
#include "actors/security/certificates.hpp"
#include "storage/block/drive_mount.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <set>
#include <sys/mount.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace troupe {

namespace {

constexpr std::uint32_t start_wait_ms = 120'000;
/// For the other nodes, when those that are here serve already.
constexpr std::chrono::seconds stragglers_wait{10};
constexpr std::uint32_t stop_wait_ms = 30'000;
constexpr std::uint32_t unmount_wait_ms = 40'000; ///< A mount flushes before it ends.

void pause() {
  std::this_thread::sleep_for(std::chrono::milliseconds{50});
}

/// Calls `ready` until it says yes or the time is over.
template <class Ready>
bool poll(std::uint32_t wait_ms, Ready ready) {
  auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{wait_ms};
  while (!ready()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    pause();
  }
  return true;
}

struct readiness {
  bool partitions_serve = false; ///< All have a leader that serves.
  bool nodes_answer = false;     ///< All of them.
};

readiness readiness_of(cluster_port& port) {
  auto config = port.config();
  if (!config)
    return {};
  std::set<group_id> serving;
  readiness out;
  out.nodes_answer = true;
  for (const auto& node : port.nodes()) {
    if (!node.status) {
      out.nodes_answer = false;
      continue;
    }
    for (const auto& r : node.status->replicas)
      if (r.serving)
        serving.insert(r.group);
  }
  out.partitions_serve = std::all_of(config->groups.begin(), config->groups.end(),
                                     [&](const auto& g) { return serving.contains(g.first); });
  return out;
}

} // namespace

expected<void> host_actions::check_ports(const std::string& host_and_port) {
  auto colon = host_and_port.rfind(':');
  auto port =
    static_cast<std::uint16_t>(std::strtoul(host_and_port.c_str() + colon + 1, nullptr, 10));
  return check_port_free(host_and_port.substr(0, colon), port);
}

expected<plan> host_actions::plan_init(const cluster_wish& wish) {
  auto steps = maker_.plan(wish);
  if (!steps)
    return steps.error();
  for (std::uint32_t n = 1; n <= 2 * wish.nodes; ++n)
    if (auto fine = check_ports("127.0.0.1:" + std::to_string(wish.port_first + n)); !fine)
      return fine.error();
  return plan{"cluster init", std::move(*steps)};
}

expected<plan> host_actions::plan_up(const cluster_wish& wish, const std::string& mount_point) {
  plan what{"up", {}};
  cluster_files paths{wish.directory};
  auto description = load_description(files_, paths);
  bool running = false;
  if (description) {
    running = living_process(paths.failsafe_pid()).has_value();
    if (!running)
      for (const auto* addresses : {&description->node_addresses, &description->client_addresses})
        for (const auto& address : *addresses)
          if (auto fine = check_ports(address); !fine)
            return fine.error();
  } else if (description.error().code == errc::not_found) {
    auto made = plan_init(wish);
    if (!made)
      return made.error();
    what.steps = std::move(made->steps);
  } else {
    return description.error();
  }
  if (!running)
    what.steps.push_back({"start_failsafe", wish.directory, {}});
  what.steps.push_back({"wait_until_serving", wish.directory, {}});
  if (!mount_point.empty()) {
    auto point = absolute_path(mount_point);
    auto known = mounts(wish.directory);
    bool mounted = std::any_of(known.begin(), known.end(),
                               [&](const auto& m) { return m.alive && m.mount_point == point; });
    if (!mounted)
      if (auto fine = add_mount_steps(wish.directory, point, what); !fine)
        return fine.error();
  }
  return what;
}

expected<plan> host_actions::plan_down(const std::string& directory, bool destroy) {
  plan what{"down", {}};
  cluster_files paths{directory};
  auto description = load_description(files_, paths);
  if (!description) {
    auto unfinished = files_.exists(paths.creating());
    if (destroy && unfinished && *unfinished)
      return plan{"down", {{"remove_unfinished", directory, {}}}};
    return description.error();
  }
  for (const auto& m : mounts(directory))
    what.steps.push_back({"unmount", m.mount_point, {{"cluster", directory}}});
  if (living_process(paths.failsafe_pid()))
    what.steps.push_back({"stop_nodes", directory, {}});
  if (destroy)
    what.steps.push_back({"remove_cluster", directory, {{"name", description->name}}});
  return what;
}

expected<void> host_actions::add_mount_steps(const std::string& directory,
                                             const std::string& mount_point, plan& what) {
  if (::access("/dev/fuse", R_OK | W_OK) != 0)
    return error{errc::not_supported, "/dev/fuse", trp::no_fuse_device};
  if (is_mount_point(mount_point))
    return error{errc::busy, mount_point + " is a mount point already", trp::mount_point_busy};
  std::error_code failed;
  auto kind = std::filesystem::status(mount_point, failed);
  if (kind.type() == std::filesystem::file_type::not_found)
    what.steps.push_back({"create_directory", mount_point, {}});
  else if (kind.type() != std::filesystem::file_type::directory)
    return error{errc::not_directory, mount_point, trp::mount_point_busy};
  else if (!std::filesystem::is_empty(mount_point, failed))
    return error{errc::not_empty, mount_point + " is not empty", trp::mount_point_busy};
  what.steps.push_back({"mount", mount_point, {{"cluster", directory}}});
  return {};
}

expected<plan> host_actions::plan_mount(const std::string& directory,
                                        const std::string& mount_point) {
  if (auto description = load_description(files_, cluster_files{directory}); !description)
    return description.error();
  plan what{"mount", {}};
  if (auto fine = add_mount_steps(directory, absolute_path(mount_point), what); !fine)
    return fine.error();
  return what;
}

expected<plan> host_actions::plan_unmount(const std::string& directory,
                                          const std::string& mount_point) {
  auto point = absolute_path(mount_point);
  auto known = mounts(directory);
  if (std::none_of(known.begin(), known.end(),
                   [&](const auto& m) { return m.mount_point == point; }))
    return error{errc::not_found, point, trp::mount_not_found};
  return plan{"umount", {{"unmount", point, {{"cluster", directory}}}}};
}

std::vector<mount_record> host_actions::mounts(const std::string& directory) {
  return mount_table{files_, cluster_files{directory}.mounts()}.all();
}

std::vector<error> host_actions::check_node_config(const std::string& path) {
  auto config = load_node_config(files_, path);
  if (!config)
    return {config.error()};
  std::vector<error> problems;
  auto found = load_credentials({config->certificate, config->key, config->ca}, config->cluster);
  if (!found)
    problems.push_back(found.error());
  for (const auto& drive : config->drives) {
    auto superblock = inspect_drive(files_, drive.directory);
    if (!superblock)
      problems.push_back(superblock.error());
    else if (superblock->cluster != config->cluster)
      problems.push_back({errc::wrong_cluster, drive.directory, trp::foreign_data_directory});
    else if (superblock->drive != drive.id)
      problems.push_back(
        {errc::not_found, drive.directory + " holds another drive", trp::drive_missing});
  }
  return problems;
}

int host_actions::run_failsafe(const std::string& directory) {
  return troupe::run_failsafe(files_, cluster_files{directory}, own_program());
}

expected<void> host_actions::execute(const plan& what, const progress& tell) {
  for (const auto& step : what.steps) {
    tell(step);
    if (auto done = execute_step(step); !done)
      return done;
  }
  return {};
}

expected<void> host_actions::execute_step(const plan_step& step) {
  if (cluster_maker::knows(step))
    return maker_.execute(step);
  if (certificate_actions::knows(step))
    return certificates_.execute(step);
  if (step.action == "create_directory")
    return files_.make_directory(step.object);
  if (step.action == "start_failsafe")
    return start_failsafe(step);
  if (step.action == "wait_until_serving")
    return wait_until_serving(step);
  if (step.action == "mount")
    return mount(step);
  if (step.action == "unmount")
    return unmount(step);
  if (step.action == "stop_nodes")
    return stop_nodes(step);
  if (step.action == "remove_cluster")
    return remove_cluster(step);
  return error{errc::invalid_argument, "unknown step '" + step.action + "'"};
}

expected<void> host_actions::start_failsafe(const plan_step& step) {
  cluster_files paths{step.object};
  auto pid = start_daemon({own_program(), "failsafe", "--dir", step.object}, paths.failsafe_log());
  if (!pid)
    return pid.error();
  bool started =
    poll(start_wait_ms, [&] { return living_process(paths.failsafe_pid()) || !is_alive(*pid); });
  if (started && living_process(paths.failsafe_pid()))
    return {};
  return error{errc::unavailable,
               "failsafe, see " + paths.failsafe_log() + "\n  " + tail_of(paths.failsafe_log()),
               trp::process_did_not_start};
}

expected<void> host_actions::wait_until_serving(const plan_step& step) {
  std::unique_ptr<cluster_port> port;
  error last{errc::timeout, "no answer"};
  std::optional<std::chrono::steady_clock::time_point> served_since;
  bool serving = poll(start_wait_ms, [&] {
    if (!port) {
      auto connected = services_.connect(step.object);
      if (!connected) {
        last = connected.error();
        return false;
      }
      port = std::move(*connected);
    }
    auto ready = readiness_of(*port);
    auto now = std::chrono::steady_clock::now();
    if (!ready.partitions_serve)
      served_since.reset();
    else if (!served_since)
      served_since = now;
    return served_since && (ready.nodes_answer || now > *served_since + stragglers_wait);
  });
  if (serving)
    return {};
  return error{errc::unavailable,
               "not all partitions serve after " + std::to_string(start_wait_ms / 1000)
                 + " s; logs are " + step.object + "/node-*/node.log"
                 + (port ? "" : "\n  " + last.context) + last_words(step.object),
               trp::process_did_not_start};
}

/// What the nodes that are not running said before they ended.
std::string host_actions::last_words(const std::string& directory) {
  cluster_files paths{directory};
  auto description = load_description(files_, paths);
  std::string words;
  for (std::uint32_t n = 1; description && n <= description->node_addresses.size(); ++n)
    if (!living_process(paths.node_pid(node_id{n})))
      words += "\n  node " + std::to_string(n) + ": " + tail_of(paths.node_log(node_id{n}));
  return words;
}

expected<void> host_actions::mount(const plan_step& step) {
  auto directory = step.details.at(0).second;
  cluster_files paths{directory};
  auto log = paths.root() + "/mount.log";
  auto pid =
    start_daemon({own_program(), "mount", step.object, "--foreground", "--dir", directory}, log);
  if (!pid)
    return pid.error();
  auto known = [&] {
    auto all = mounts(directory);
    return std::any_of(all.begin(), all.end(), [&](const auto& m) {
      return m.alive && m.pid == static_cast<std::uint32_t>(*pid);
    });
  };
  if (poll(start_wait_ms, [&] { return known() || !is_alive(*pid); }) && known())
    return {};
  return error{errc::unavailable, "mount, see " + log + "\n  " + tail_of(log),
               trp::process_did_not_start};
}

expected<void> host_actions::unmount(const plan_step& step) {
  cluster_files paths{step.details.at(0).second};
  mount_table table{files_, paths.mounts()};
  for (const auto& m : table.all()) {
    if (m.mount_point != step.object)
      continue;
    if (!m.alive) { // its process died: the kernel's end may be left
      ::umount2(m.mount_point.c_str(), MNT_DETACH);
      return table.remove(m.mount_point);
    }
    // The kernel refuses while somebody uses it; then nothing is changed.
    if (::umount2(m.mount_point.c_str(), 0) != 0)
      return error{errc::busy, m.mount_point + ": somebody uses a file below it (see fuser -vm)",
                   trp::mount_point_busy};
    auto pid = static_cast<pid_t>(m.pid);
    ::kill(pid, SIGTERM); // the kernel tells it, unless another mount namespace has a copy
    if (!poll(unmount_wait_ms, [&] { return !is_alive(pid); }))
      return error{errc::timeout, "mount process " + std::to_string(m.pid) + " does not end"};
    return {};
  }
  return {};
}

expected<void> host_actions::stop_nodes(const plan_step& step) {
  auto pid = living_process(cluster_files{step.object}.failsafe_pid());
  return pid ? end_process(*pid, stop_wait_ms) : expected<void>{};
}

expected<void> host_actions::remove_cluster(const plan_step& step) {
  if (auto description = load_description(files_, cluster_files{step.object}); !description)
    return description.error();
  std::error_code failed;
  std::filesystem::remove_all(step.object, failed);
  if (failed)
    return error{errc::io_error, "cannot remove " + step.object + ": " + failed.message()};
  return {};
}

} // namespace troupe
