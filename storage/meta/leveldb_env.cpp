#include "storage/meta/leveldb_env.hpp"

#include <string_view>

namespace troupe {

namespace {

leveldb::Status to_status(const error& why) {
  if (why.code == errc::not_found)
    return leveldb::Status::NotFound(why.context);
  return leveldb::Status::IOError(why.context);
}
leveldb::Status to_status(const expected<void>& done) {
  return done ? leveldb::Status::OK() : to_status(done.error());
}

/// Reads up to `bytes` into `scratch`.
leveldb::Status read_into(file& from, std::uint64_t offset, std::size_t bytes,
                          leveldb::Slice* result, char* scratch) {
  auto got = from.read_at(offset, std::as_writable_bytes(std::span{scratch, bytes}));
  if (!got)
    return to_status(got.error());
  *result = leveldb::Slice{scratch, *got};
  return {};
}

class sequential_file final : public leveldb::SequentialFile {
public:
  explicit sequential_file(std::unique_ptr<file> from) : from_(std::move(from)) {}
  leveldb::Status Read(std::size_t bytes, leveldb::Slice* result, char* scratch) override {
    auto status = read_into(*from_, at_, bytes, result, scratch);
    if (status.ok())
      at_ += result->size();
    return status;
  }
  leveldb::Status Skip(std::uint64_t bytes) override {
    at_ += bytes;
    return {};
  }

private:
  std::unique_ptr<file> from_;
  std::uint64_t at_ = 0;
};

class random_access_file final : public leveldb::RandomAccessFile {
public:
  explicit random_access_file(std::unique_ptr<file> from) : from_(std::move(from)) {}
  leveldb::Status Read(std::uint64_t offset, std::size_t bytes, leveldb::Slice* result,
                       char* scratch) const override {
    return read_into(*from_, offset, bytes, result, scratch);
  }

private:
  std::unique_ptr<file> from_;
};

class writable_file final : public leveldb::WritableFile {
public:
  /// @param directory  to sync before this file; empty if LevelDB does not rely on it.
  writable_file(std::unique_ptr<file> to, std::uint64_t end, env& files, std::string directory)
    : to_(std::move(to)), end_(end), files_(files), directory_(std::move(directory)) {}
  leveldb::Status Append(const leveldb::Slice& data) override {
    auto put = to_->write_at(end_, as_bytes(std::string_view{data.data(), data.size()}));
    if (put)
      end_ += data.size();
    return to_status(put);
  }
  leveldb::Status Close() override {
    to_.reset();
    return {};
  }
  leveldb::Status Flush() override { return {}; }
  leveldb::Status Sync() override {
    if (!directory_.empty())
      if (auto synced = files_.sync_directory(directory_); !synced)
        return to_status(synced.error());
    return to_status(to_->sync());
  }

private:
  std::unique_ptr<file> to_;
  std::uint64_t end_;
  env& files_;
  std::string directory_;
};

struct held_lock final : leveldb::FileLock {
  std::unique_ptr<file> handle;
};

std::string_view name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

expected<leveldb::WritableFile*> open_to_write(env& files, const std::string& path, bool append) {
  auto opened = files.open(path, open_mode::create_or_open);
  if (!opened)
    return opened.error();
  std::uint64_t end = 0;
  if (append) {
    auto bytes = (*opened)->size();
    if (!bytes)
      return bytes.error();
    end = *bytes;
  } else if (auto cut = (*opened)->truncate(0); !cut) {
    return cut.error();
  }
  bool manifest = name_of(path).starts_with("MANIFEST");
  auto directory = manifest ? path.substr(0, path.rfind('/')) : std::string{};
  return new writable_file{std::move(*opened), end, files, std::move(directory)};
}

} // namespace

leveldb::Status leveldb_env::NewSequentialFile(const std::string& path,
                                               leveldb::SequentialFile** out) {
  *out = nullptr;
  auto opened = files_.open(path, open_mode::read_only);
  if (!opened)
    return to_status(opened.error());
  *out = new sequential_file{std::move(*opened)};
  return {};
}

leveldb::Status leveldb_env::NewRandomAccessFile(const std::string& path,
                                                 leveldb::RandomAccessFile** out) {
  *out = nullptr;
  auto opened = files_.open(path, open_mode::read_only);
  if (!opened)
    return to_status(opened.error());
  *out = new random_access_file{std::move(*opened)};
  return {};
}

leveldb::Status leveldb_env::NewWritableFile(const std::string& path, leveldb::WritableFile** out) {
  auto opened = open_to_write(files_, path, false);
  *out = opened ? *opened : nullptr;
  return opened ? leveldb::Status{} : to_status(opened.error());
}

leveldb::Status leveldb_env::NewAppendableFile(const std::string& path,
                                               leveldb::WritableFile** out) {
  auto opened = open_to_write(files_, path, true);
  *out = opened ? *opened : nullptr;
  return opened ? leveldb::Status{} : to_status(opened.error());
}

bool leveldb_env::FileExists(const std::string& path) {
  auto there = files_.exists(path);
  return there && *there;
}

leveldb::Status leveldb_env::GetChildren(const std::string& path, std::vector<std::string>* out) {
  auto names = files_.list(path);
  if (!names)
    return to_status(names.error());
  *out = std::move(*names);
  return {};
}

leveldb::Status leveldb_env::RemoveFile(const std::string& path) {
  return to_status(files_.remove_file(path));
}

leveldb::Status leveldb_env::CreateDir(const std::string& path) {
  return to_status(files_.make_directory(path));
}

leveldb::Status leveldb_env::RemoveDir(const std::string& path) {
  return to_status(files_.remove_directory(path));
}

leveldb::Status leveldb_env::GetFileSize(const std::string& path, std::uint64_t* bytes) {
  auto opened = files_.open(path, open_mode::read_only);
  if (!opened)
    return to_status(opened.error());
  auto size = (*opened)->size();
  if (!size)
    return to_status(size.error());
  *bytes = *size;
  return {};
}

leveldb::Status leveldb_env::RenameFile(const std::string& from, const std::string& to) {
  if (name_of(from) == "LOG") // written by LevelDB's own logger, past `files_`
    return target()->RenameFile(from, to);
  return to_status(files_.rename(from, to));
}

leveldb::Status leveldb_env::LockFile(const std::string& path, leveldb::FileLock** lock) {
  *lock = nullptr;
  auto handle = files_.lock(path);
  if (!handle)
    return leveldb::Status::IOError("lock " + path, handle.error().context);
  auto out = std::make_unique<held_lock>();
  out->handle = std::move(*handle);
  *lock = out.release();
  return {};
}

leveldb::Status leveldb_env::UnlockFile(leveldb::FileLock* lock) {
  delete static_cast<held_lock*>(lock);
  return {};
}

} // namespace troupe
