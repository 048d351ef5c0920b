#pragma once

#include "messages/bytes.hpp"
#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "messages/metadata.hpp"
#include "messages/units.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// What a door asks of the gateway: the calls of a file system, by LIN and handle. Each is answered
// once, with the alternative of `call_result` named beside it or an error. Rights are checked by
// the door (the kernel does it for a mount); names and offsets are checked here.

namespace troupe {

/// Names one call of a door until it is answered. The door picks them and never reuses one.
using call_token = strong_id<struct call_token_tag, std::uint64_t>;
/// An open file. Given by the gateway, never reused while it lives.
using file_handle = strong_id<struct file_handle_tag, std::uint64_t>;

// -- names --------------------------------------------------------------------------------------

/// -> attributes_are
struct call_lookup {
  lin directory;
  std::string name;
};
/// A path from the root, "/a/b"; symbolic links are not followed. -> attributes_are
struct call_resolve {
  std::string path;
};
/// mkdir, mknod and symlink, by the kind of the inode. -> attributes_are
struct call_make {
  lin directory;
  std::string name;
  new_inode inode;
};
/// How a file is opened. Reading is always allowed.
struct handle_mode {
  bool write = false;
  bool append = false;    ///< Every write goes to the end of the file, wherever that is then.
  bool truncate = false;  ///< To nothing, before the call is answered.
  bool exclusive = false; ///< call_create: the name must be new.
};
/// Makes a regular file and opens it, or opens what is there. -> file_opened
struct call_create {
  lin directory;
  std::string name;
  new_inode inode;
  handle_mode mode;
};
/// -> done
struct call_unlink {
  lin directory;
  std::string name;
};
/// -> done
struct call_remove_directory {
  lin directory;
  std::string name;
};
/// -> done; errc::cross_partition with an explanation where it is not available yet
struct call_rename {
  lin from_directory;
  std::string from_name;
  lin to_directory;
  std::string to_name;
  bool no_replace = false;
  bool exchange = false;
};
/// -> attributes_are
struct call_link {
  lin target;
  lin directory;
  std::string name;
};
/// -> symlink_target_is
struct call_read_symlink {
  lin id;
};
/// -> directory_page; cookies as in op_read_directory, without "." and ".."
struct call_read_directory {
  lin directory;
  std::uint64_t after_cookie = 0;
  std::uint32_t entries_max = 256;
  bool with_attributes = false; ///< Those of the directory's own partition.
};

// -- attributes ---------------------------------------------------------------------------------

/// -> attributes_are
struct call_get_attributes {
  lin id;
};
/// chmod, chown, utimes, truncate. -> attributes_are
struct call_set_attributes {
  lin id;
  std::optional<std::uint32_t> mode;
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
  std::optional<wall_time> access_time;
  std::optional<wall_time> modify_time;
  std::optional<std::uint64_t> size;
};
/// Where the bytes of a file lie: all extents and stripes, or the inline data. -> layout_is
struct call_get_layout {
  lin id;
};
/// -> space_is
struct call_space {};

// -- data ---------------------------------------------------------------------------------------

/// -> file_opened
struct call_open {
  lin id;
  handle_mode mode;
};
/// -> bytes_read, fewer than asked only at the end of the file
struct call_read {
  file_handle handle;
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
};
/// Answered when the bytes are in the write buffer: durable after fsync or flush.
/// -> bytes_written
struct call_write {
  file_handle handle;
  std::uint64_t offset = 0; ///< Not looked at for a handle opened with `append`.
  shared_bytes data;
  bool append = false;
  bool durable = false; ///< O_SYNC: answered when the bytes are.
};
/// close(2) of one descriptor of the handle: durable, errors of write-behind are told. -> done
struct call_flush {
  file_handle handle;
};
/// -> done
struct call_fsync {
  file_handle handle;
};
/// The last descriptor is gone. -> done
struct call_release {
  file_handle handle;
};

/// What a door can ask.
using file_call =
  std::variant<call_lookup, call_resolve, call_make, call_create, call_unlink,
               call_remove_directory, call_rename, call_link, call_read_symlink,
               call_read_directory, call_get_attributes, call_set_attributes, call_get_layout,
               call_space, call_open, call_read, call_write, call_flush, call_fsync, call_release>;

// -- answers (done, attributes_are, symlink_target_is, directory_page and layout_is are those of
// messages/metadata.hpp)

struct file_opened {
  file_handle handle;
  std::optional<inode_attributes> attributes; ///< With call_create; opening asks nobody.
};
/// Windows that follow each other; together the bytes that were asked for.
struct bytes_read {
  std::vector<shared_bytes> parts;
  std::size_t size() const;
};
struct bytes_written {
  std::uint32_t bytes = 0;
};
/// Room on the drives, parity not taken off, as `du` counts it too.
struct space_is {
  std::uint64_t blocks_total = 0; ///< 8 KiB blocks of drives that take data.
  std::uint64_t blocks_free = 0;
};

using call_result = std::variant<done, attributes_are, symlink_target_is, directory_page, layout_is,
                                 file_opened, bytes_read, bytes_written, space_is>;

/// "lookup", "write", …
const char* name_of(const file_call& call);

} // namespace troupe
