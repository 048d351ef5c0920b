#include "access/fuse/errno_table.hpp"

#include <cerrno>

namespace troupe {

int errno_of(const error& why) {
  switch (why.code) {
  case errc::none: return EIO; // an error without a code is a bug of ours, not a success
  case errc::invalid_argument: return EINVAL;
  case errc::not_found: return ENOENT;
  case errc::already_exists: return EEXIST;
  case errc::corrupt: return EIO;
  case errc::io_error: return EIO;
  case errc::no_space: return ENOSPC;
  case errc::busy: return EBUSY;
  case errc::timeout: return EIO;
  case errc::unavailable: return EIO;
  case errc::not_leader: return EIO;
  case errc::may_have_happened: return EIO;
  case errc::stale: return EIO;
  case errc::behind: return EIO;
  case errc::permission_denied: return EACCES;
  case errc::not_directory: return ENOTDIR;
  case errc::is_directory: return EISDIR;
  case errc::not_empty: return ENOTEMPTY;
  case errc::name_too_long: return ENAMETOOLONG;
  case errc::cross_partition: return EXDEV;
  case errc::too_many_links: return EMLINK;
  case errc::too_large: return EFBIG;
  case errc::wrong_version: return EIO;
  case errc::wrong_cluster: return EIO;
  case errc::not_supported: return EOPNOTSUPP;
  case errc::quarantined: return EIO;
  case errc::shutdown: return EIO;
  case errc::stale_handle: return ESTALE;
  case errc::unknown_client: return EIO;
  case errc::below_floor: return EIO;
  case errc::interrupted: return EINTR;
  }
  return EIO;
}

} // namespace troupe
