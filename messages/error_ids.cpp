#include "messages/error_ids.hpp"

#include <algorithm>
#include <array>

namespace troupe {

namespace {

constexpr auto table = std::to_array<error_entry>({
  {trp::port_in_use, "port in use", "another process listens on this address",
   "stop that process, or choose other ports with --port-first"},
  {trp::not_enough_disk_space, "not enough disk space",
   "the drives are preallocated, and the file system below has less room than they need",
   "free space, or ask for smaller or fewer drives (--drive-size, --drives)"},
  {trp::foreign_data_directory, "data directory of another cluster",
   "its superblock names another cluster uuid", "point to the right directory with --dir"},
  {trp::newer_format, "written by a newer version",
   "the format number on disk is above what this program reads",
   "use the newer program; nothing was changed"},
  {trp::no_permission, "no permission", "the file system refuses access to this user",
   "run as the user that owns the directory, or change its owner"},
  {trp::bad_certificate, "certificate cannot be used",
   "the certificate or key file is missing, unreadable, malformed or expired",
   "see `troupe config check`; re-issue it from the cluster's CA"},
  {trp::foreign_certificate, "certificate of another cluster",
   "it was signed by another cluster's CA or names another cluster",
   "use the certificate files of this cluster's directory"},
  {trp::no_fuse_device, "no /dev/fuse", "the FUSE device is missing or may not be opened",
   "load the fuse module (modprobe fuse), or use put, cat and ls without a mount"},
  {trp::no_io_uring, "io_uring not available",
   "the kernel refuses io_uring_setup (old kernel, seccomp or sysctl)",
   "nothing to do: a thread pool does the I/O instead; `troupe status` shows it"},
  {trp::name_too_long, "name too long", "a name may have at most 255 bytes", "use a shorter name"},
  {trp::level_needs_more, "too few nodes or drives for this protection level",
   "the level spreads a stripe over more nodes or drives than there are",
   "add nodes or drives, or choose a level from the list above"},
  {trp::cross_partition_rename, "different partitions",
   "transactions across metadata partitions are not available yet",
   "copy and delete instead (mv does that by itself)"},
  {trp::cluster_exists, "a cluster is here already", "the directory holds a cluster",
   "start it with `troupe up --dir`, or remove it with `troupe down --destroy`"},
  {trp::cluster_not_found, "no cluster here", "the directory has no cluster.json",
   "create one with `troupe up --dir DIR`"},
  {trp::cluster_not_running, "the cluster is not running", "no node answers",
   "start it with `troupe up`"},
  {trp::no_quorum, "no majority", "fewer than half of the replicas of this partition answer",
   "see `troupe part list` for the missing ones; it returns by itself when they do"},
  {trp::unknown_verb, "unknown command", "there is no such verb", "see `troupe --help`"},
  {trp::path_not_found, "no such file or directory", "a part of the path does not exist",
   "list its parent with `troupe ls`"},
  {trp::bad_config_file, "configuration file cannot be used",
   "it is missing, not JSON, or a value is out of range", "see `troupe config check`"},
  {trp::drive_failed, "drive failed", "a write or sync on it returned an error",
   "see `troupe event list`; the drive is not used again until it is replaced"},
  {trp::data_lost, "data cannot be reconstructed",
   "more units of a stripe are missing than its protection level tolerates",
   "bring the missing drives back: `troupe get -DD FILE` names them"},
  {trp::not_available_yet, "not available yet", "this part of Troupe is not built yet",
   "see docs/claims.md for what is"},
  {trp::cluster_full, "no space left", "no drive has room for a new run",
   "delete files or add drives; deleting always works"},
  {trp::mount_point_busy, "mount point cannot be used",
   "it is not a directory, is not empty, or something is mounted there",
   "choose an empty directory, or unmount it with `troupe umount DIR`"},
  {trp::actor_not_found, "no such actor", "no running actor has a path that matches",
   "see `troupe actors list`"},
  {trp::role_not_allowed, "role not allowed", "the certificate's role may not send this message",
   "use the admin certificate of the cluster directory"},
  {trp::protocol_version, "protocol versions do not overlap",
   "the two programs are more than one protocol version apart", "upgrade the older one"},
  {trp::journal_quarantined, "journal quarantined",
   "valid records lie behind a damaged one: this is corruption, not a torn tail",
   "its replicas come back only as new replicas; see docs/architecture.md"},
  {trp::mount_not_found, "not a Troupe mount", "nothing of ours is mounted there",
   "see `troupe status` for the mounts"},
  {trp::node_not_found, "no such node", "the cluster has no node of this number",
   "see `troupe status` for the nodes"},
  {trp::drive_damaged, "drive damaged",
   "its superblock, or its allocation log before the end, does not have its checksum",
   "replace the drive: its data are rebuilt on the others; see `troupe event list`"},
  {trp::drive_missing, "drive missing",
   "its directory has no block file, or that of another drive; it is never created again",
   "bring the drive back, or replace it: its data are rebuilt on the others"},
  {trp::directory_not_empty, "directory not empty",
   "a new cluster is made only in a directory that is empty or does not exist",
   "choose another directory with --dir"},
  {trp::process_did_not_start, "process did not start", "it ended, or did not become ready in time",
   "read the log file that is named above"},
  {trp::certificate_revoked, "certificate revoked",
   "an administrator revoked it with `troupe cert revoke`: no node accepts it any more",
   "issue another with `troupe cert issue`, or `troupe cert rotate` for a node's"},
  {trp::open_to_others, "key open to others",
   "a key file must have mode 0600, its directory 0700, and both belong to the user who runs this",
   "chmod and chown them; if others could read the key, `troupe cert rotate` and revoke the old "
   "one"},
  {trp::certificate_not_found, "no such certificate",
   "no issued certificate has this serial number or name", "see `troupe cert list`"},
  {trp::old_authority_in_use, "old CA still in use",
   "a process still shows, or has not yet loaded more than, certificates of the old CA",
   "wait until it has loaded its new files, or restart it; then retire again"},
});

static_assert(std::is_sorted(table.begin(), table.end(),
                             [](const auto& a, const auto& b) { return a.id < b.id; }));

} // namespace

std::span<const error_entry> error_table() {
  return table;
}

const error_entry* find_error(error_id id) {
  auto it = std::lower_bound(table.begin(), table.end(), id,
                             [](const error_entry& e, error_id i) { return e.id < i; });
  return it != table.end() && it->id == id ? &*it : nullptr;
}

} // namespace troupe
