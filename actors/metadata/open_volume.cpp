#include "actors/metadata/open_volume.hpp"

namespace troupe {

namespace {

/// The reactor's file I/O and its worker threads.
class real_runner final : public volume_runner {
public:
  real_runner(file_io& io, worker_pool& pool) : io_(io), pool_(pool) {}

  void write_journal(file& log, std::uint64_t offset, shared_bytes bytes,
                     std::function<void(expected<void>)> done) override {
    io_.write(log.descriptor(), {{offset, std::move(bytes)}}, true, std::move(done));
  }
  expected<void> run(std::function<void()> job, std::function<void()> done) override {
    return pool_.run(std::move(job), std::move(done));
  }

private:
  file_io& io_;
  worker_pool& pool_;
};

} // namespace

expected<std::unique_ptr<metadata_volume>>
open_metadata_volume(env& files, const std::string& drive_directory, const drive_uuid& drive,
                     const metadata_options& options, file_io& io, worker_pool& pool) {
  auto journal =
    open_journal(files, drive_directory + "/" + metadata_paths::journal, drive, options.journal);
  if (!journal)
    return journal.error();
  auto engine =
    leveldb_engine::open(drive_directory + "/" + metadata_paths::tables, false, options.leveldb);
  if (!engine)
    return engine.error();
  return metadata_volume::open(std::move(*journal), std::move(*engine), drive, options.volume,
                               std::make_unique<real_runner>(io, pool));
}

} // namespace troupe
