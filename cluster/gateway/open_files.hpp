#pragma once

#include "cluster/gateway/file_calls.hpp"
#include "cluster/gateway/file_reader.hpp"
#include "cluster/gateway/file_record.hpp"

#include <map>
#include <memory>

namespace troupe {

/// One open file of a door.
struct open_handle {
  file_ptr file;
  handle_mode mode;
  std::shared_ptr<read_position> position;
  std::uint64_t errors_told = 0; ///< Up to this of the file's errors of write-behind.
};

/// Which files are open, by LIN and by handle. Records live as long as somebody holds them here:
/// a handle, a lease, or a procedure at work on the file. Pure.
class open_files {
public:
  explicit open_files(std::uint32_t cached_extents_max) : cached_extents_max_(cached_extents_max) {}

  /// The record of a file, made if there is none.
  file_ptr record(lin id);
  /// nullptr if there is none.
  file_ptr find(lin id) const;
  /// Forgets a record that has no handles.
  void forget(lin id);

  file_handle open(const file_ptr& file, handle_mode mode);
  /// nullptr for an unknown handle. Stays valid until `close`.
  open_handle* find(file_handle handle);
  /// The handle is gone. @returns its record; nullptr for an unknown handle.
  file_ptr close(file_handle handle);

  bool any() const { return !handles_.empty(); }
  std::size_t count() const { return handles_.size(); }
  const std::map<lin, file_ptr>& records() const { return records_; }

private:
  std::uint32_t cached_extents_max_;
  std::map<lin, file_ptr> records_;
  std::map<file_handle, open_handle> handles_;
  std::uint64_t handle_count_ = 0;
};

} // namespace troupe
