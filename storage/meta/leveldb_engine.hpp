#pragma once

#include "storage/base/env.hpp"
#include "storage/meta/table_engine.hpp"

#include <string>

namespace troupe {

struct leveldb_options {
  std::uint64_t write_buffer_bytes = 4u << 20; ///< Memtable; there can be two.
  std::uint64_t block_cache_bytes = 4u << 20;
  int open_files_max = 128;
  std::uint64_t file_bytes_max = 16u << 20;
  int bloom_bits = 10; ///< Per key, over the whole key.
  /// The way to its files, for tests of power cuts; empty for LevelDB's own, which is quicker.
  env* files = nullptr;
};

/// Rows of one drive in a LevelDB database: one per drive that hosts replicas.
class leveldb_engine : public table_engine {
public:
  /// Opens the database in `directory`, or makes it if `create`. Replays LevelDB's own log, which
  /// may block for seconds. @returns errc::not_found without a database and `create`,
  /// errc::already_exists with both, errc::busy if another process has it open, errc::corrupt.
  static expected<std::shared_ptr<leveldb_engine>> open(const std::string& directory, bool create,
                                                        leveldb_options options = {});
  /// LevelDB's own summary of its levels, for people.
  virtual std::string statistics() = 0;
};

} // namespace troupe
