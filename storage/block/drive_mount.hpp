#pragma once

#include "storage/base/env.hpp"
#include "storage/block/block_format.hpp"
#include "storage/block/block_store_options.hpp"
#include "storage/block/block_store_state.hpp"

#include <memory>
#include <string>

namespace troupe {

/// The block file inside a drive's directory.
inline constexpr const char* block_file_name = "blocks";

/// What a new drive will be.
struct drive_format_request {
  cluster_uuid cluster;
  drive_uuid drive; ///< Fresh: registered in the cluster group, never used before.
  node_id node;
  std::uint64_t file_bytes = 0; ///< All of it is reserved on the device at once (hazards F31).
  std::uint64_t log_bytes = 0;  ///< 0: the default for this size.
  wall_time now;
  block_format::media_class media = block_format::media_class::unknown;
  block_format::sed_class sed = block_format::sed_class::none;
};

/// Makes a drive: directory, block file, everything durable. The file gets its name last, so a
/// crash leaves a whole drive or none.
/// @returns errc::already_exists if the directory has a block file (it is not touched),
/// errc::no_space (trp::not_enough_disk_space), errc::permission_denied (trp::no_permission),
/// errc::invalid_argument for a size that holds no blocks.
expected<void> format_drive(env& files, const std::string& directory,
                            const drive_format_request& what);

/// Whose drive is expected in a directory.
struct drive_expectation {
  cluster_uuid cluster;
  drive_uuid drive; ///< Zero: any of this cluster.
};

/// Says who a drive is, without mounting or changing it; also while another process has it mounted.
/// @returns errc::not_found (trp::drive_missing) if there is no block file, errc::wrong_version
/// (trp::newer_format), errc::corrupt (trp::drive_damaged), errc::permission_denied.
expected<block_format::superblock> inspect_drive(env& files, const std::string& directory);

/// What recovery met at a mount.
struct drive_mount_report {
  std::uint64_t replayed_batches = 0;
  std::uint64_t replayed_records = 0;
  std::uint64_t restored_pages = 0;
  std::uint64_t damaged_pages = 0;
  bool tail_cut = false;
};

/// A drive in use: its decisions, and the file to execute them on. The lock lasts as long as this.
struct mounted_drive {
  block_format::superblock superblock;
  drive_mount_report found;
  block_store_state state;
  std::unique_ptr<file> blocks;
  std::unique_ptr<file> lock;
};

/// Mounts a drive: checks whose it is, recovers it, begins a new incarnation. Blocks. Never creates
/// anything where a drive is missing (hazards F23d).
/// @returns errc::not_found (trp::drive_missing) if it is missing or another drive is there,
/// errc::wrong_cluster (trp::foreign_data_directory), errc::wrong_version (trp::newer_format),
/// errc::permission_denied (trp::no_permission), errc::busy if another process has it mounted,
/// errc::corrupt or errc::quarantined (trp::drive_damaged), errc::invalid_argument for options that
/// do not fit.
expected<mounted_drive> mount_drive(env& files, const std::string& directory,
                                    const drive_expectation& expected_drive,
                                    const block_store_options& options = {});

} // namespace troupe
