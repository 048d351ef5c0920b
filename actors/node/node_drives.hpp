#pragma once

#include "actors/drive/drive_actor.hpp"
#include "actors/node/node_base.hpp"
#include "actors/node/node_services.hpp"
#include "cluster/restart_state.hpp"

#include <functional>
#include <map>

namespace troupe {

/// The drives of one node: mounts them, runs an actor for each, starts that again when it was
/// killed, and knows what state each is in. Reactor thread only.
class node_drives {
public:
  /// @param owner  spawns and monitors the drive actors.
  /// @param changed  told when the state of a drive changed.
  node_drives(node_base* owner, const node_services& services,
              std::function<void(const drive_record&)> changed);

  /// Mounts all drives of the configuration. A drive that cannot be mounted is GONE or DEAD and
  /// everything else goes on. Blocks (start of the node).
  void mount_all();
  /// An actor ended. @returns true if it was one of these.
  bool ended(const caf::actor_addr& who, boot_time now);
  void tick(boot_time now);

  /// Asks a drive (drive_interface); errc::unavailable if it does not run.
  template <class Request>
  void ask(const drive_uuid& drive, Request request,
           std::function<void(expected<answer_of<Request>>)> done) {
    if (auto running = find(drive))
      ask_actor<answer_of<Request>>(owner_, *running, std::move(request), std::move(done));
    else
      done(running.error());
  }
  /// What the cluster group is told of each drive when the node registers.
  std::vector<drive_record> records() const;
  /// Reports of the last tick, of drives that do not run as well.
  std::vector<drive_report> reports() const;
  std::vector<actor_report> actors() const;
  /// Something else on the drive failed: it is DEAD, and its actor ends.
  void fail(const drive_uuid& drive, const error& why);
  /// Kills the actor of this path, as a fault would. @returns false if it is none of these.
  bool kill(const std::string& path);

private:
  struct entry {
    node_drive where;
    drive_record record;
    drive_report report;
    drive_interface actor;
    restart_state restarts;
    boot_time start_at{};
    bool wants_start = false;
    std::string trouble; ///< Why it does not run.
  };
  void start(entry& e);
  expected<drive_interface> find(const drive_uuid& drive) const;
  void died(const drive_uuid& drive, const error& why);
  std::string path_of(const entry& e) const;

  node_base* owner_;
  const node_services& services_;
  std::function<void(const drive_record&)> changed_;
  std::map<drive_uuid, entry> drives_;
};

} // namespace troupe
