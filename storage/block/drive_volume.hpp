#pragma once

#include "storage/block/drive_mount.hpp"

#include <functional>
#include <map>
#include <memory>

namespace troupe {

/// I/O on a block file that never blocks the caller. Ends come on the caller's thread, in any
/// order, never inside the call; file and buffers must live until then.
class drive_io {
public:
  using read_done = std::function<void(expected<std::size_t>)>;
  using write_done = std::function<void(expected<void>)>;

  virtual ~drive_io() = default;
  /// Fills `into`; fewer bytes only at the end of the file.
  virtual void read(file& blocks, std::uint64_t offset, std::span<std::byte> into,
                    read_done done) = 0;
  /// All pieces, one behind the other. Not durable by itself.
  virtual void write(file& blocks, std::uint64_t offset, std::vector<shared_bytes> pieces,
                     write_done done) = 0;
  /// Makes durable what was reported written before.
  virtual void sync(file& blocks, write_done done) = 0;
};

/// A mounted drive with its I/O: feeds the drive's decisions (`block_store_state`) and executes
/// them on the block file. One thread. Completions of a volume that was destroyed are dropped; its
/// file and buffers live until the I/O ended.
class drive_volume {
public:
  using answer = decltype(drive_reply::result);
  using callback = std::function<void(answer)>;
  /// Told once, when the drive is DEAD for the rest of this mount.
  using died = std::function<void(error)>;

  drive_volume(mounted_drive drive, std::shared_ptr<drive_io> io, died on_death);
  ~drive_volume();
  drive_volume(const drive_volume&) = delete;
  drive_volume& operator=(const drive_volume&) = delete;

  /// Each calls `done` once, now or later, unless the volume is destroyed before.
  void store(const store_run& what, callback done);
  void read(const read_run& what, callback done);
  void free(const free_runs& what, callback done);
  void abandon(const abandon_write& what, callback done);
  void list(std::uint64_t from_block, callback done);

  const block_format::superblock& superblock() const { return core_->drive.superblock; }
  const drive_mount_report& found() const { return core_->drive.found; }
  drive_report report() const { return core_->drive.state.report(); }

private:
  /// What outlives the volume while I/O is in flight.
  struct core : std::enable_shared_from_this<core> {
    core(mounted_drive d, std::shared_ptr<drive_io> i, died on)
      : drive(std::move(d)), io(std::move(i)), on_death(std::move(on)) {}
    request_token remember(callback done);
    void run(block_store_effects& effects);
    void execute(const drive_write& x);
    void execute(const drive_read& x);
    void execute(const drive_sync& x);
    void execute(drive_reply& x);
    void execute(const drive_died& x);
    void finish(io_token token, expected<shared_bytes> result);

    mounted_drive drive;
    std::shared_ptr<drive_io> io;
    died on_death;
    std::map<request_token, callback> waiting;
    std::uint64_t requests = 0;
    bool closed = false;
  };
  std::shared_ptr<core> core_;
};

} // namespace troupe
