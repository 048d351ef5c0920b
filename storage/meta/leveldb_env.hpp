#pragma once

#include "storage/base/env.hpp"

#include <leveldb/env.h>

namespace troupe {

/// LevelDB's way to its files through one of our environments (for `hold_unsynced_env`: LevelDB's
/// own way is quicker). Syncs the directory where LevelDB's own does: before a MANIFEST is synced.
/// Threads, time and the text log LOG stay with LevelDB's own.
class leveldb_env final : public leveldb::EnvWrapper {
public:
  /// @param files  must outlive this.
  explicit leveldb_env(env& files) : EnvWrapper(leveldb::Env::Default()), files_(files) {}

  leveldb::Status NewSequentialFile(const std::string& path,
                                    leveldb::SequentialFile** out) override;
  leveldb::Status NewRandomAccessFile(const std::string& path,
                                      leveldb::RandomAccessFile** out) override;
  leveldb::Status NewWritableFile(const std::string& path, leveldb::WritableFile** out) override;
  leveldb::Status NewAppendableFile(const std::string& path, leveldb::WritableFile** out) override;
  bool FileExists(const std::string& path) override;
  leveldb::Status GetChildren(const std::string& path, std::vector<std::string>* out) override;
  leveldb::Status RemoveFile(const std::string& path) override;
  leveldb::Status CreateDir(const std::string& path) override;
  leveldb::Status RemoveDir(const std::string& path) override;
  leveldb::Status GetFileSize(const std::string& path, std::uint64_t* bytes) override;
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
  leveldb::Status LockFile(const std::string& path, leveldb::FileLock** lock) override;
  leveldb::Status UnlockFile(leveldb::FileLock* lock) override;

private:
  env& files_;
};

} // namespace troupe
