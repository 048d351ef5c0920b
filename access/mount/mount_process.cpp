#include "access/mount/mount_process.hpp"

#include "access/fuse/fuse_door.hpp"
#include "actors/gateway/client_session.hpp"
#include "actors/host/mount_table.hpp"
#include "actors/kit/log.hpp"
#include "storage/base/posix_env.hpp"

#include <csignal>
#include <cstdio>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace troupe {

namespace {

/// After the unmount, for those who still use it; then what is buffered is stored, and they hear
/// that the connection is gone.
constexpr std::uint32_t detached_wait_ms = 10'000;

int refuse(const error& why) {
  std::fprintf(stderr, "troupe: cannot mount\n  %s\n", describe(why).c_str());
  return 1;
}

int signal_descriptor() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/// Stores what is buffered, gives the leases back.
expected<void> end_gateway(client_session& session, gateway_runner& gateway) {
  std::optional<expected<call_result>> ended;
  gateway.shut_down([&](expected<call_result> outcome) { ended = std::move(outcome); });
  session.run_until([&] { return ended.has_value(); });
  return *ended ? expected<void>{} : ended->error();
}

} // namespace

int run_mount(const std::string& directory, const std::string& mount_point) {
  int stop_fd = signal_descriptor();
  posix_env files;
  cluster_files paths{directory};
  auto point = absolute_path(mount_point);
  log_options logging;
  logging.path = directory + "/mount-" + std::to_string(::getpid()) + ".log";
  if (auto opened = open_log(logging); !opened)
    return refuse(opened.error());
  auto session = client_session::open(files, directory, peer_role::client);
  if (!session)
    return refuse(session.error());
  auto gateway = (*session)->gateway("mount " + point);
  if (!gateway)
    return refuse(gateway.error());
  file_service service;
  service.call = [g = *gateway](file_call call, std::function<void(expected<call_result>)> done) {
    return g->call(std::move(call), std::move(done));
  };
  service.interrupt = [g = *gateway](call_token token) { g->interrupt(token); };
  auto door = fuse_door::mount(point, {}, service);
  if (!door)
    return refuse(door.error());
  mount_table mounts{files, paths.mounts()};
  if (auto added = mounts.add(point, static_cast<std::uint32_t>(::getpid())); !added)
    return refuse(added.error());

  auto& loop = (*session)->loop();
  int fd = (*door)->descriptor();
  loop.watch(fd, EPOLLIN, [&](std::uint32_t) {
    if (!(*door)->on_readable())
      loop.stop();
  });
  // The end begins with the unmount: the kernel then flushes and closes what is open. It never says
  // so while another mount namespace (a container, a service) has a copy of the mount.
  loop.watch(stop_fd, EPOLLIN, [&](std::uint32_t) {
    loop.unwatch(stop_fd);
    ::umount2(point.c_str(), MNT_DETACH);
    loop.call_after_ms(detached_wait_ms, [&] {
      log_event(event_severity::warn, "mount_still_used", {{"mount", point}});
      loop.stop();
    });
  });
  loop.run();
  loop.unwatch(fd);
  auto ended = end_gateway(**session, **gateway);
  (void)mounts.remove(point);
  flush_log();
  if (!ended) {
    std::fprintf(stderr, "troupe: buffered data of %s could not be stored\n  %s\n", point.c_str(),
                 describe(ended.error()).c_str());
    return 1;
  }
  return 0;
}

} // namespace troupe
