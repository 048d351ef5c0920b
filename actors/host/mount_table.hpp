#pragma once

#include "messages/error.hpp"
#include "messages/host_port.hpp"
#include "storage/base/env.hpp"

#include <string>
#include <vector>

namespace troupe {

/// True if something is mounted on exactly this directory, by the kernel's own list.
bool is_mount_point(const std::string& path);
/// An absolute path without "." and "..", for what need not exist.
std::string absolute_path(const std::string& path);

/// The mounts of one cluster on this machine, a file per mount below `DIR/mounts`.
class mount_table {
public:
  mount_table(env& files, std::string directory)
    : files_(files), directory_(std::move(directory)) {}

  expected<void> add(const std::string& mount_point, std::uint32_t pid);
  expected<void> remove(const std::string& mount_point);
  std::vector<mount_record> all();

private:
  std::string file_of(const std::string& mount_point) const;

  env& files_;
  std::string directory_;
};

} // namespace troupe
