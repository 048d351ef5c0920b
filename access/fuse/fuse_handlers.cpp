#include "access/fuse/errno_table.hpp"
#include "access/fuse/fuse_session.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace troupe {

namespace {

// Offsets of directory entries: cookies of real entries are far above these two.
constexpr off_t offset_dot = 1;
constexpr off_t offset_dot_dot = 2;
constexpr std::uint32_t entries_per_page = 512;

fuse_door::session& session_of(fuse_req_t request) {
  return *static_cast<fuse_door::session*>(fuse_req_userdata(request));
}

lin lin_of(fuse_ino_t inode) {
  return lin{inode};
} // the root is 1 on both sides

mode_t format_of(file_kind kind) {
  switch (kind) {
  case file_kind::regular: return S_IFREG;
  case file_kind::directory: return S_IFDIR;
  case file_kind::symlink: return S_IFLNK;
  case file_kind::fifo: return S_IFIFO;
  case file_kind::socket: return S_IFSOCK;
  case file_kind::char_device: return S_IFCHR;
  case file_kind::block_device: return S_IFBLK;
  case file_kind::none: break;
  }
  return 0;
}

file_kind kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFDIR: return file_kind::directory;
  case S_IFLNK: return file_kind::symlink;
  case S_IFIFO: return file_kind::fifo;
  case S_IFSOCK: return file_kind::socket;
  case S_IFCHR: return file_kind::char_device;
  case S_IFBLK: return file_kind::block_device;
  default: return file_kind::regular;
  }
}

timespec to_timespec(wall_time t) {
  constexpr std::int64_t second = 1'000'000'000;
  auto seconds = t.ns / second - (t.ns % second < 0 ? 1 : 0);
  return {static_cast<time_t>(seconds), static_cast<long>(t.ns - seconds * second)};
}
wall_time to_wall(const timespec& t) {
  return wall_time{static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec};
}
wall_time wall_now() {
  timespec t{};
  ::clock_gettime(CLOCK_REALTIME, &t);
  return to_wall(t);
}

struct stat to_stat(const inode_attributes& a) {
  struct stat s {};
  s.st_ino = a.id.value;
  s.st_mode = format_of(a.kind) | a.mode;
  s.st_nlink = a.link_count;
  s.st_uid = a.uid;
  s.st_gid = a.gid;
  s.st_rdev = a.device;
  s.st_size = static_cast<off_t>(a.size);
  s.st_blksize = unit_bytes;
  s.st_blocks = static_cast<blkcnt_t>(a.physical_blocks * (block_bytes / 512));
  s.st_atim = to_timespec(a.access_time);
  s.st_mtim = to_timespec(a.modify_time);
  s.st_ctim = to_timespec(a.change_time);
  return s;
}

/// Timeouts 0: nothing is cached between two requests.
fuse_entry_param to_entry(const inode_attributes& a) {
  fuse_entry_param e{};
  e.ino = a.id.value;
  e.attr = to_stat(a);
  return e;
}

void reply_entry(fuse_req_t r, const call_result& result) {
  auto e = to_entry(std::get<attributes_are>(result).attributes);
  fuse_reply_entry(r, &e);
}
void reply_attributes(fuse_req_t r, const call_result& result) {
  auto s = to_stat(std::get<attributes_are>(result).attributes);
  fuse_reply_attr(r, &s, 0);
}
void reply_done(fuse_req_t r, const call_result&) {
  fuse_reply_err(r, 0);
}

new_inode inode_for(fuse_req_t r, mode_t mode, dev_t device = 0) {
  const auto* who = fuse_req_ctx(r);
  new_inode n;
  n.kind = kind_of(mode);
  n.mode = mode & 07777;
  n.uid = who->uid;
  n.gid = who->gid;
  n.device = device;
  return n;
}

auto mode_from(int flags) {
  decltype(call_open::mode) m;
  m.write = (flags & O_ACCMODE) != O_RDONLY;
  m.append = (flags & O_APPEND) != 0;
  m.truncate = (flags & O_TRUNC) != 0;
  m.exclusive = (flags & O_EXCL) != 0;
  return m;
}

// -- names ----------------------------------------------------------------------------------------

void on_init(void* data, fuse_conn_info* connection) {
  const auto& options = static_cast<fuse_door::session*>(data)->options;
  connection->max_read = options.transfer_bytes_max; // the mount option says the same
  connection->max_write = options.transfer_bytes_max;
  connection->max_readahead = options.transfer_bytes_max;
  connection->max_background = 64;
  connection->congestion_threshold = 48;
  // Splicing needs a pipe per request and blocks; one copy per write is cheaper here.
  connection->want &=
    ~static_cast<unsigned>(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE
                           | FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_READDIRPLUS);
  if (connection->capable & FUSE_CAP_AUTO_INVAL_DATA)
    connection->want |= FUSE_CAP_AUTO_INVAL_DATA;
}

void on_lookup(fuse_req_t r, fuse_ino_t directory, const char* name) {
  session_of(r).ask(r, call_lookup{lin_of(directory), name}, reply_entry);
}
void on_forget(fuse_req_t r, fuse_ino_t, std::uint64_t) {
  fuse_reply_none(r);
}
void on_forget_many(fuse_req_t r, std::size_t, fuse_forget_data*) {
  fuse_reply_none(r);
}

void on_make_node(fuse_req_t r, fuse_ino_t directory, const char* name, mode_t mode, dev_t device) {
  session_of(r).ask(r, call_make{lin_of(directory), name, inode_for(r, mode, device)}, reply_entry);
}
void on_make_directory(fuse_req_t r, fuse_ino_t directory, const char* name, mode_t mode) {
  session_of(r).ask(r, call_make{lin_of(directory), name, inode_for(r, (mode & 07777) | S_IFDIR)},
                    reply_entry);
}
void on_symlink(fuse_req_t r, const char* target, fuse_ino_t directory, const char* name) {
  auto inode = inode_for(r, S_IFLNK | 0777);
  inode.symlink_target = target;
  session_of(r).ask(r, call_make{lin_of(directory), name, std::move(inode)}, reply_entry);
}
void on_read_symlink(fuse_req_t r, fuse_ino_t inode) {
  session_of(r).ask(r, call_read_symlink{lin_of(inode)},
                    [](fuse_req_t q, const call_result& result) {
                      fuse_reply_readlink(q, std::get<symlink_target_is>(result).target.c_str());
                    });
}
void on_unlink(fuse_req_t r, fuse_ino_t directory, const char* name) {
  session_of(r).ask(r, call_unlink{lin_of(directory), name}, reply_done);
}
void on_remove_directory(fuse_req_t r, fuse_ino_t directory, const char* name) {
  session_of(r).ask(r, call_remove_directory{lin_of(directory), name}, reply_done);
}
void on_rename(fuse_req_t r, fuse_ino_t from, const char* name, fuse_ino_t to, const char* new_name,
               unsigned flags) {
  if (flags & ~static_cast<unsigned>(RENAME_NOREPLACE | RENAME_EXCHANGE)) {
    fuse_reply_err(r, EINVAL);
    return;
  }
  session_of(r).ask(r,
                    call_rename{lin_of(from), name, lin_of(to), new_name,
                                (flags & RENAME_NOREPLACE) != 0, (flags & RENAME_EXCHANGE) != 0},
                    reply_done);
}
void on_link(fuse_req_t r, fuse_ino_t inode, fuse_ino_t directory, const char* name) {
  session_of(r).ask(r, call_link{lin_of(inode), lin_of(directory), name}, reply_entry);
}

/// Fills one reply with entries. @returns false when the next entry does not fit.
class directory_buffer {
public:
  directory_buffer(fuse_req_t request, std::size_t bytes_max)
    : request_(request), bytes_(bytes_max) {}
  bool add(const std::string& name, std::uint64_t inode, mode_t format, off_t next_offset) {
    struct stat s {};
    s.st_ino = inode;
    s.st_mode = format;
    auto needed = fuse_add_direntry(request_, bytes_.data() + used_, bytes_.size() - used_,
                                    name.c_str(), &s, next_offset);
    if (needed > bytes_.size() - used_)
      return false;
    used_ += needed;
    return true;
  }
  void reply() { fuse_reply_buf(request_, bytes_.data(), used_); }

private:
  fuse_req_t request_;
  std::vector<char> bytes_;
  std::size_t used_ = 0;
};

void on_read_directory(fuse_req_t r, fuse_ino_t inode, std::size_t bytes, off_t offset,
                       fuse_file_info*) {
  auto after = offset <= offset_dot_dot ? 0 : static_cast<std::uint64_t>(offset);
  session_of(r).ask(
    r, call_read_directory{lin_of(inode), after, entries_per_page, false},
    [inode, bytes, offset](fuse_req_t q, const call_result& result) {
      directory_buffer out{q, bytes};
      bool fits = offset >= offset_dot || out.add(".", inode, S_IFDIR, offset_dot);
      fits = fits && (offset >= offset_dot_dot || out.add("..", inode, S_IFDIR, offset_dot_dot));
      for (const auto& e : std::get<directory_page>(result).entries)
        fits =
          fits && out.add(e.name, e.child.value, format_of(e.kind), static_cast<off_t>(e.cookie));
      out.reply();
    });
}

// -- attributes -----------------------------------------------------------------------------------

void on_get_attributes(fuse_req_t r, fuse_ino_t inode, fuse_file_info*) {
  session_of(r).ask(r, call_get_attributes{lin_of(inode)}, reply_attributes);
}

void on_set_attributes(fuse_req_t r, fuse_ino_t inode, struct stat* wanted, int which,
                       fuse_file_info*) {
  call_set_attributes c;
  c.id = lin_of(inode);
  if (which & FUSE_SET_ATTR_MODE)
    c.mode = wanted->st_mode & 07777;
  if (which & FUSE_SET_ATTR_UID)
    c.uid = wanted->st_uid;
  if (which & FUSE_SET_ATTR_GID)
    c.gid = wanted->st_gid;
  if (which & FUSE_SET_ATTR_SIZE)
    c.size = static_cast<std::uint64_t>(wanted->st_size);
  if (which & FUSE_SET_ATTR_ATIME)
    c.access_time = which & FUSE_SET_ATTR_ATIME_NOW ? wall_now() : to_wall(wanted->st_atim);
  if (which & FUSE_SET_ATTR_MTIME)
    c.modify_time = which & FUSE_SET_ATTR_MTIME_NOW ? wall_now() : to_wall(wanted->st_mtim);
  session_of(r).ask(r, std::move(c), reply_attributes);
}

void on_statfs(fuse_req_t r, fuse_ino_t) {
  session_of(r).ask(r, call_space{}, [](fuse_req_t q, const call_result& result) {
    const auto& space = std::get<space_is>(result);
    struct statvfs s {};
    s.f_bsize = block_bytes;
    s.f_frsize = block_bytes;
    s.f_blocks = space.blocks_total;
    s.f_bfree = space.blocks_free;
    s.f_bavail = space.blocks_free;
    s.f_namemax = name_bytes_max;
    fuse_reply_statfs(q, &s);
  });
}

// -- data -----------------------------------------------------------------------------------------

void on_create(fuse_req_t r, fuse_ino_t directory, const char* name, mode_t mode,
               fuse_file_info* info) {
  call_create c{lin_of(directory), name, inode_for(r, S_IFREG | (mode & 07777)),
                mode_from(info->flags)};
  session_of(r).ask(r, std::move(c),
                    [opened = *info](fuse_req_t q, const call_result& result) mutable {
                      const auto& file = std::get<file_opened>(result);
                      auto e = to_entry(*file.attributes);
                      opened.fh = file.handle.value;
                      fuse_reply_create(q, &e, &opened);
                    });
}

void on_open(fuse_req_t r, fuse_ino_t inode, fuse_file_info* info) {
  session_of(r).ask(r, call_open{lin_of(inode), mode_from(info->flags)},
                    [opened = *info](fuse_req_t q, const call_result& result) mutable {
                      opened.fh = std::get<file_opened>(result).handle.value;
                      fuse_reply_open(q, &opened);
                    });
}

void on_read(fuse_req_t r, fuse_ino_t, std::size_t bytes, off_t offset, fuse_file_info* info) {
  session_of(r).ask(r,
                    call_read{file_handle{info->fh}, static_cast<std::uint64_t>(offset),
                              static_cast<std::uint32_t>(bytes)},
                    [](fuse_req_t q, const call_result& result) {
                      std::vector<iovec> pieces;
                      for (const auto& part : std::get<bytes_read>(result).parts)
                        pieces.push_back({const_cast<std::byte*>(part.data()), part.size()});
                      fuse_reply_iov(q, pieces.data(), static_cast<int>(pieces.size()));
                    });
}

void on_write(fuse_req_t r, fuse_ino_t, const char* data, std::size_t bytes, off_t offset,
              fuse_file_info* info) {
  call_write c;
  c.handle = file_handle{info->fh};
  c.offset = static_cast<std::uint64_t>(offset);
  c.append = (info->flags & O_APPEND) != 0;
  c.durable = (info->flags & (O_SYNC | O_DSYNC)) != 0;
  // The one copy on the way in: the kernel's buffer is used again for the next request.
  auto copy = std::make_shared_for_overwrite<std::byte[]>(bytes);
  std::memcpy(copy.get(), data, bytes);
  byte_view view{copy.get(), bytes};
  c.data = shared_bytes{std::move(copy), view};
  session_of(r).ask(r, std::move(c), [](fuse_req_t q, const call_result& result) {
    fuse_reply_write(q, std::get<bytes_written>(result).bytes);
  });
}

void on_flush(fuse_req_t r, fuse_ino_t, fuse_file_info* info) {
  session_of(r).ask(r, call_flush{file_handle{info->fh}}, reply_done);
}
void on_fsync(fuse_req_t r, fuse_ino_t, int, fuse_file_info* info) {
  session_of(r).ask(r, call_fsync{file_handle{info->fh}}, reply_done);
}
/// Name-space operations are durable when they return.
void on_fsync_directory(fuse_req_t r, fuse_ino_t, int, fuse_file_info*) {
  fuse_reply_err(r, 0);
}
void on_release(fuse_req_t r, fuse_ino_t, fuse_file_info* info) {
  session_of(r).ask(r, call_release{file_handle{info->fh}}, reply_done);
}

} // namespace

const fuse_lowlevel_ops& fuse_handlers() {
  static const fuse_lowlevel_ops table = [] {
    fuse_lowlevel_ops t{};
    t.init = on_init;
    t.lookup = on_lookup;
    t.forget = on_forget;
    t.forget_multi = on_forget_many;
    t.getattr = on_get_attributes;
    t.setattr = on_set_attributes;
    t.readlink = on_read_symlink;
    t.mknod = on_make_node;
    t.mkdir = on_make_directory;
    t.unlink = on_unlink;
    t.rmdir = on_remove_directory;
    t.symlink = on_symlink;
    t.rename = on_rename;
    t.link = on_link;
    t.open = on_open;
    t.read = on_read;
    t.write = on_write;
    t.flush = on_flush;
    t.release = on_release;
    t.fsync = on_fsync;
    t.readdir = on_read_directory;
    t.fsyncdir = on_fsync_directory;
    t.statfs = on_statfs;
    t.create = on_create;
    return t;
  }();
  return table;
}

} // namespace troupe
