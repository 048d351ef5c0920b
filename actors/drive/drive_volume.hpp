#pragma once

#include "actors/kit/file_io.hpp"
#include "storage/block/drive_mount.hpp"

#include <functional>
#include <map>
#include <memory>

namespace troupe {

/// A mounted drive with its I/O: feeds the drive's decisions (`block_store_state`) and executes
/// them on the block file through `file_io`. Reactor thread only. Completions of a volume that was
/// destroyed are dropped; its descriptor and buffers live until the kernel gave them back.
class drive_volume {
public:
  using answer = decltype(drive_reply::result);
  using callback = std::function<void(answer)>;
  /// Told once, when the drive is DEAD for the rest of this mount.
  using died = std::function<void(error)>;

  drive_volume(mounted_drive drive, file_io& io, died on_death);
  ~drive_volume();
  drive_volume(const drive_volume&) = delete;
  drive_volume& operator=(const drive_volume&) = delete;

  /// Each calls `done` once, now or later, unless the volume is destroyed before.
  void store(const store_run& what, callback done);
  void read(const read_run& what, callback done);
  void free(const free_runs& what, callback done);
  void abandon(const abandon_write& what, callback done);

  const block_format::superblock& superblock() const { return core_->drive.superblock; }
  const drive_mount_report& found() const { return core_->drive.found; }
  drive_report report() const { return core_->drive.state.report(); }

private:
  /// What outlives the volume while I/O is in flight.
  struct core : std::enable_shared_from_this<core> {
    core(mounted_drive d, file_io& f, died on)
      : drive(std::move(d)), io(f), on_death(std::move(on)) {}
    request_token remember(callback done);
    void run(block_store_effects& effects);
    void execute(const drive_write& x);
    void execute(const drive_read& x);
    void execute(const drive_sync& x);
    void execute(drive_reply& x);
    void execute(const drive_died& x);
    void finish(io_token token, expected<shared_bytes> result);

    mounted_drive drive;
    file_io& io;
    died on_death;
    std::map<request_token, callback> waiting;
    std::uint64_t requests = 0;
    bool closed = false;
  };
  std::shared_ptr<core> core_;
};

} // namespace troupe
