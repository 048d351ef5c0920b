#include "access/fuse/errno_table.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <map>

using namespace troupe;

TEST_CASE("errno_table: a program hears what a local file system would say",
          "[unit][errno_table]") {
  const std::map<errc, int> as_local{
    {errc::invalid_argument, EINVAL},
    {errc::not_found, ENOENT},
    {errc::already_exists, EEXIST},
    {errc::no_space, ENOSPC},
    {errc::busy, EBUSY},
    {errc::permission_denied, EACCES},
    {errc::not_directory, ENOTDIR},
    {errc::is_directory, EISDIR},
    {errc::not_empty, ENOTEMPTY},
    {errc::name_too_long, ENAMETOOLONG},
    {errc::cross_partition, EXDEV},
    {errc::too_many_links, EMLINK},
    {errc::too_large, EFBIG},
    {errc::not_supported, EOPNOTSUPP},
    {errc::stale_handle, ESTALE},
    {errc::interrupted, EINTR},
  };
  // Everything else is about the cluster, which a program can only know as EIO. Never 0: a failed
  // call must not look like a success.
  for (int code = 0; code <= 255; ++code) {
    CAPTURE(code);
    auto expected = as_local.find(static_cast<errc>(code));
    CHECK(errno_of(error{static_cast<errc>(code), "x"})
          == (expected == as_local.end() ? EIO : expected->second));
  }
}
