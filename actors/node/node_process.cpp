#include "actors/node/node_process.hpp"

#include "actors/kit/caf_error.hpp"
#include "actors/kit/holding_io.hpp"
#include "actors/kit/log.hpp"
#include "actors/kit/reactor_scheduler.hpp"
#include "actors/node/descriptor_room.hpp"
#include "actors/node/node_actor.hpp"
#include "actors/security/certificates.hpp"
#include "actors/transport/certificate_keeper.hpp"
#include "cluster/cluster_config_format.hpp"
#include "storage/base/posix_env.hpp"
#include "storage/consensus/consensus.hpp"

#include <caf/actor_system.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include <csignal>
#include <cstdio>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace troupe {

namespace {

int refuse(const error& why) {
  std::fprintf(stderr, "troupe: node did not start\n  %s\n", describe(why).c_str());
  return 1;
}

/// Counts the starts of a node, durably: every start is a new incarnation.
expected<incarnation> next_incarnation(env& files, const std::string& directory) {
  auto path = directory + "/incarnation";
  std::uint64_t last = 0;
  if (auto bytes = files.read_file(path, 64))
    last = std::strtoull(std::string{as_text(*bytes)}.c_str(), nullptr, 10);
  else if (bytes.error().code != errc::not_found)
    return bytes.error();
  auto text = std::to_string(last + 1);
  if (auto saved = files.replace_file(path, as_bytes(text)); !saved)
    return saved.error();
  return incarnation{last + 1};
}

expected<cluster_config> cached_config(env& files, const node_config& config) {
  auto path = config.directory + "/cluster.config";
  auto bytes = files.read_file(path, 64 * mib);
  if (!bytes)
    return bytes.error();
  auto decoded = decode_config_file(*bytes);
  if (decoded && decoded->cluster != config.cluster)
    return error{errc::wrong_cluster, path, trp::foreign_data_directory};
  return decoded;
}

/// Every start makes other choices.
hold_unsynced_options seeded(hold_unsynced_options options) {
  options.seed += static_cast<std::uint64_t>(::getpid()) << 32;
  return options;
}

/// A descriptor that becomes readable when the process shall end.
int signal_descriptor() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/// Every connection takes a descriptor or two: as many as this user may have. @returns how many.
std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return 1024;
  auto before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}

struct system_config : caf::actor_system_config {
  explicit system_config(reactor& loop) {
    reactor_scheduler::install(*this, loop);
    add_error_category(caf::atom("troupe"), render_error);
  }
};

} // namespace

int run_node(const std::string& config_path) {
  int stop_fd = signal_descriptor(); // before any thread, so that all block these signals
  posix_env disk;
  if (auto library = check_consensus_library(); !library)
    return refuse(library.error());
  auto config = load_node_config(disk, config_path);
  if (!config)
    return refuse(config.error());
  node_options options;
  if (auto fine = override_options(config->options, options); !fine)
    return refuse(fine.error());
  credential_files proofs{config->certificate, config->key, config->ca};
  auto own = load_credentials(proofs, config->cluster);
  if (!own)
    return refuse(own.error());
  if (own->identity.role != peer_role::node || own->identity.id != config->node.value)
    return refuse({errc::permission_denied,
                   config->certificate + ": names " + to_uri(own->identity) + ", not node "
                     + std::to_string(config->node.value),
                   trp::bad_certificate});
  if (auto fine = check_private_directory(config->directory); !fine)
    return refuse(fine.error());
  for (const auto& drive : config->drives)
    if (auto fine = check_private_directory(drive.directory);
        !fine && fine.error().id == trp::open_to_others)
      return refuse(fine.error()); // a missing one is for the drive's actor to tell
  auto descriptors_max = raise_descriptor_limit();
  bool few_descriptors = fit_descriptors(options.transport, descriptors_max);
  // From here on everything of the node's own goes through `files`.
  std::unique_ptr<hold_unsynced_env> held;
  if (options.hold_unsynced.enabled) {
    held = std::make_unique<hold_unsynced_env>(disk, seeded(options.hold_unsynced));
    options.metadata.leveldb.files = held.get();
  }
  env& files = held ? static_cast<env&>(*held) : disk;
  auto lock = files.lock(config->directory + "/lock");
  if (!lock)
    return refuse(lock.error());
  auto first = cached_config(files, *config);
  if (!first)
    return refuse(first.error());
  auto process = next_incarnation(files, config->directory);
  if (!process)
    return refuse(process.error());
  log_options logging;
  logging.path = config->directory + "/events.log";
  logging.node = config->node;
  if (auto opened = open_log(logging); !opened)
    return refuse(opened.error());

  reactor loop;
  error io_trouble;
  auto io = make_file_io(loop, options.io, &io_trouble);
  if (held)
    io = std::make_unique<holding_io>(loop, std::move(io), *held);
  worker_pool pool{loop, options.workers};
  auto net = network::make(loop, options.transport, *own, *process);
  if (!net)
    return refuse(net.error());
  bool apart = !config->listen_clients.empty();
  if (auto listening = (*net)->listen(config->listen, apart ? only_nodes : any_role); !listening)
    return refuse(listening.error());
  if (apart)
    if (auto listening = (*net)->listen(config->listen_clients, all_but_nodes); !listening)
      return refuse(listening.error());
  certificate_keeper keeper{loop, **net, proofs, config->cluster};
  auto pid_text = std::to_string(::getpid()) + "\n";
  if (auto saved = files.replace_file(config->directory + "/pid", as_bytes(pid_text)); !saved)
    return refuse(saved.error());
  node_services services{loop,    files,    *io,
                         pool,    **net,    *config,
                         options, *process, [&keeper] { return keeper.reload(); }};
  if (!apart)
    services.raise(event_severity::warn, "one_listener_for_all_roles",
                   {{"address", config->listen}, {"next", "set listen_clients in node.json"}});
  if (few_descriptors)
    services.raise(event_severity::warn, "few_descriptors",
                   {{"limit", std::to_string(descriptors_max)},
                    {"connections_max", std::to_string(options.transport.connections_max)},
                    {"next", "raise the limit of open files (ulimit -n)"}});
  if (io_trouble.code != errc::none)
    services.raise(event_severity::warn, "no_io_uring", {{"why", io_trouble.context}});
  if (held)
    services.raise(event_severity::warn, "test_mode_hold_unsynced",
                   {{"keep_one_in", std::to_string(options.hold_unsynced.keep_one_in)}});
  {
    system_config system_options{loop};
    caf::actor_system system{system_options};
    system.await_actors_before_shutdown(false);
    auto root = system.spawn(node_actor, &services, &(*net)->messages(),
                             std::make_shared<const cluster_config>(std::move(*first)));
    services.raise(event_severity::info, "node_started",
                   {{"process", std::to_string(process->value)}, {"io", io->kind()}});
    loop.watch(stop_fd, EPOLLIN, [&](std::uint32_t) { loop.stop(); });
    loop.run();
    loop.unwatch(stop_fd);
    services.raise(event_severity::info, "node_stopped", {});
    flush_log();
    // Everything acknowledged is durable: an end is not gentler to the data than a kill.
    ::_exit(0);
  }
}

} // namespace troupe
