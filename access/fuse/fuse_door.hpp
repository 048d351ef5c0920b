#pragma once

#include "cluster/gateway/file_calls.hpp"
#include "messages/error.hpp"

#include <functional>
#include <memory>
#include <string>

namespace troupe {

/// Whom a door asks. `call` answers once through the callback, never inside the call.
struct file_service {
  std::function<call_token(file_call, std::function<void(expected<call_result>)>)> call;
  std::function<void(call_token)> interrupt;
};

struct fuse_door_options {
  std::string name = "troupe";                ///< Shown as the source of the mount.
  bool allow_other = true;                    ///< Other users too; only root may ask for it.
  std::uint32_t transfer_bytes_max = 1 << 20; ///< Of one read or write.
  std::uint32_t requests_per_turn_max = 32;   ///< Then others get their turn.
};

/// One FUSE mount. The owner calls `on_readable` whenever `descriptor` is readable, on the thread
/// on which the service answers. Destroying it unmounts; requests without an answer are gone with
/// their callers' EIO.
class fuse_door {
public:
  /// Mounts. @returns errc::not_supported (trp::no_fuse_device) without /dev/fuse,
  /// errc::busy (trp::mount_point_busy) if the directory cannot be mounted upon.
  static expected<std::unique_ptr<fuse_door>>
  mount(const std::string& mount_point, const fuse_door_options& options, file_service service);
  ~fuse_door();
  fuse_door(const fuse_door&) = delete;
  fuse_door& operator=(const fuse_door&) = delete;

  int descriptor() const;
  /// Takes what the kernel has, up to a bound. @returns false once the kernel has unmounted.
  bool on_readable();
  /// Requests that the service has not answered.
  std::size_t pending() const;

  class session; ///< See fuse_session.hpp.

private:
  explicit fuse_door(std::unique_ptr<session> s);
  std::unique_ptr<session> session_;
};

} // namespace troupe
