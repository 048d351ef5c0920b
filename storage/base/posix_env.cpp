#include "storage/base/posix_env.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>

namespace troupe {

namespace {

errc to_errc(int number) {
  switch (number) {
  case ENOENT: return errc::not_found;
  case EEXIST: return errc::already_exists;
  case EACCES:
  case EPERM:
  case EROFS: return errc::permission_denied;
  case ENOSPC:
  case EDQUOT: return errc::no_space;
  case ENOTDIR: return errc::not_directory;
  case EISDIR: return errc::is_directory;
  case ENOTEMPTY: return errc::not_empty;
  case ENAMETOOLONG: return errc::name_too_long;
  case EFBIG: return errc::too_large;
  case EAGAIN:
  case EBUSY:
  case EMFILE:
  case ENFILE:
  case ENOMEM: return errc::busy;
  case EINVAL:
  case EBADF: // opened for reading only
  case ELOOP: return errc::invalid_argument;
  case EOPNOTSUPP: return errc::not_supported;
  default: return errc::io_error;
  }
}

error_id to_error_id(errc code) {
  switch (code) {
  case errc::not_found: return trp::path_not_found;
  case errc::permission_denied: return trp::no_permission;
  case errc::no_space: return trp::not_enough_disk_space;
  case errc::io_error: return trp::drive_failed;
  default: return {};
  }
}

/// Repeats a system call that a signal interrupted.
template <class Call>
auto uninterrupted(Call call) {
  decltype(call()) result;
  do
    result = call();
  while (result < 0 && errno == EINTR);
  return result;
}

error last_error(const char* verb, const std::string& path) {
  return posix_error(errno, verb, path);
}

class posix_file final : public file {
public:
  posix_file(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  posix_file(const posix_file&) = delete;
  posix_file& operator=(const posix_file&) = delete;
  ~posix_file() override { ::close(fd_); }

  expected<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) override {
    std::size_t done = 0;
    while (done < into.size()) {
      auto got = uninterrupted([&] {
        return ::pread(fd_, into.data() + done, into.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (got < 0)
        return last_error("read", path_);
      if (got == 0)
        break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  expected<void> write_at(std::uint64_t offset, byte_view from) override {
    if (failed_)
      return poisoned();
    while (!from.empty()) {
      auto put = uninterrupted(
        [&] { return ::pwrite(fd_, from.data(), from.size(), static_cast<off_t>(offset)); });
      if (put < 0)
        return last_error("write", path_);
      offset += static_cast<std::uint64_t>(put);
      from = from.subspan(static_cast<std::size_t>(put));
    }
    return {};
  }

  expected<void> sync() override {
    if (failed_)
      return poisoned();
    if (uninterrupted([&] { return ::fdatasync(fd_); }) == 0)
      return {};
    failed_ = true;
    return last_error("sync", path_);
  }

  expected<void> preallocate(std::uint64_t bytes) override {
    if (failed_)
      return poisoned();
    auto old_bytes = size();
    if (!old_bytes)
      return old_bytes.error();
    if (bytes == 0)
      return {};
    if (uninterrupted([&] { return ::fallocate(fd_, 0, 0, static_cast<off_t>(bytes)); }) == 0)
      return {};
    if (errno != EOPNOTSUPP)
      return last_error("preallocate", path_);
    // A file system without fallocate: writing is the only way to get the room.
    if (auto written = write_zeros(*old_bytes, bytes); !written) {
      static_cast<void>(truncate(*old_bytes));
      return written;
    }
    return {};
  }

  expected<void> truncate(std::uint64_t bytes) override {
    if (failed_)
      return poisoned();
    if (uninterrupted([&] { return ::ftruncate(fd_, static_cast<off_t>(bytes)); }) != 0)
      return last_error("truncate", path_);
    return {};
  }

  expected<std::uint64_t> size() override {
    struct stat st {};
    if (::fstat(fd_, &st) != 0)
      return last_error("stat", path_);
    return static_cast<std::uint64_t>(st.st_size);
  }

  int descriptor() const override { return fd_; }

private:
  error poisoned() const {
    return {errc::io_error, path_ + ": an earlier sync failed", trp::drive_failed};
  }

  int fd_;
  std::string path_;
  std::atomic<bool> failed_ = false;
};

int open_flags(open_mode mode) {
  switch (mode) {
  case open_mode::read_only: return O_RDONLY;
  case open_mode::read_write: return O_RDWR;
  case open_mode::create_new: return O_RDWR | O_CREAT | O_EXCL;
  case open_mode::create_or_open: return O_RDWR | O_CREAT;
  }
  return O_RDONLY;
}

std::string parent_of(const std::string& path) {
  auto end = path.find_last_not_of('/');
  auto slash = end == std::string::npos ? std::string::npos : path.rfind('/', end);
  if (slash == std::string::npos)
    return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

} // namespace

error posix_error(int number, const char* verb, const std::string& path) {
  auto code = to_errc(number);
  return {code, std::string{verb} + " " + path + ": " + std::generic_category().message(number),
          to_error_id(code)};
}

expected<std::unique_ptr<file>> posix_env::open(const std::string& path, open_mode mode) {
  auto fd = uninterrupted([&] { return ::open(path.c_str(), open_flags(mode) | O_CLOEXEC, 0600); });
  if (fd < 0)
    return last_error("open", path);
  return std::unique_ptr<file>{std::make_unique<posix_file>(fd, path)};
}

expected<void> posix_env::make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0) {
    auto number = errno;
    struct stat st {};
    if (number == EEXIST && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode))
      return {};
    auto parent = parent_of(path);
    if (number != ENOENT || parent == path || parent == ".")
      return posix_error(number, "make directory", path);
    if (auto made = make_directory(parent); !made)
      return made;
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
      return last_error("make directory", path);
  }
  return sync_directory(parent_of(path));
}

expected<void> posix_env::remove_directory(const std::string& path) {
  if (::rmdir(path.c_str()) != 0)
    return last_error("remove directory", path);
  return sync_directory(parent_of(path));
}

expected<std::vector<std::string>> posix_env::list(const std::string& path) {
  std::unique_ptr<DIR, int (*)(DIR*)> dir{::opendir(path.c_str()), ::closedir};
  if (!dir)
    return last_error("list", path);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const auto* entry = ::readdir(dir.get());
    if (entry == nullptr)
      break;
    std::string name = entry->d_name;
    if (name != "." && name != "..")
      names.push_back(std::move(name));
  }
  if (errno != 0)
    return last_error("list", path);
  std::sort(names.begin(), names.end());
  return names;
}

expected<bool> posix_env::exists(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) == 0)
    return true;
  if (errno == ENOENT || errno == ENOTDIR)
    return false;
  return last_error("stat", path);
}

expected<void> posix_env::remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0)
    return last_error("remove", path);
  return {};
}

expected<void> posix_env::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return last_error("rename", from);
  return {};
}

expected<void> posix_env::sync_directory(const std::string& path) {
  auto fd = uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd < 0)
    return last_error("open", path);
  auto result = uninterrupted([&] { return ::fsync(fd); });
  auto number = errno;
  ::close(fd);
  if (result != 0)
    return posix_error(number, "sync", path);
  return {};
}

expected<std::uint64_t> posix_env::free_bytes(const std::string& path) {
  struct statvfs st {};
  if (::statvfs(path.c_str(), &st) != 0)
    return last_error("stat file system of", path);
  return static_cast<std::uint64_t>(st.f_bavail) * st.f_frsize;
}

expected<std::unique_ptr<file>> posix_env::lock(const std::string& path) {
  auto opened = open(path, open_mode::create_or_open);
  if (!opened)
    return opened;
  auto fd = (*opened)->descriptor();
  if (uninterrupted([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) != 0)
    return last_error("lock", path);
  return opened;
}

} // namespace troupe
