#pragma once

#include "actors/kit/file_io.hpp"
#include "actors/kit/worker_pool.hpp"
#include "cluster/replica/metadata_volume.hpp"
#include "storage/meta/leveldb_engine.hpp"

#include <memory>
#include <string>

namespace troupe {

/// Where the parts of a drive lie that hosts replicas, inside the drive's directory.
struct metadata_paths {
  static constexpr const char* journal = "journal"; ///< A directory, see create_journal.
  static constexpr const char* tables = "tables";   ///< The LevelDB database.
};

struct metadata_options {
  journal_options journal;
  volume_options volume;
  leveldb_options leveldb;
};

/// Opens journal and tables of a drive as a volume that runs on `io` and `pool`, which outlive it.
/// Blocks (start of a node). Never creates either (hazards F23d): errors as those of
/// `open_journal` and `leveldb_engine::open`.
expected<std::unique_ptr<metadata_volume>>
open_metadata_volume(env& files, const std::string& drive_directory, const drive_uuid& drive,
                     const metadata_options& options, file_io& io, worker_pool& pool);

} // namespace troupe
