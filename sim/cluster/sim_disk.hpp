#pragma once

#include "cluster/replica/metadata_volume.hpp"
#include "sim/cluster/surroundings.hpp"
#include "storage/base/memory_env.hpp"
#include "storage/block/drive_volume.hpp"
#include "storage/meta/ordered_engine.hpp"

#include <functional>
#include <memory>

namespace troupe {

/// One simulated disk: files with a crash model, tables with one of their own, and what the machine
/// around them does to time. Everything that is started takes a while; a write reaches the cache of
/// the disk somewhere in that while, so a crash may find it done or not. Survives its node.
class sim_disk {
public:
  sim_disk(surroundings& world, std::string name);

  /// Where blocks of users begin in the block file, for the planted late writes.
  void data_begins_at(std::uint64_t offset) { data_offset_ = offset; }
  env& files() { return *files_; }
  memory_env& medium() { return *files_; }
  const std::shared_ptr<ordered_engine>& tables() const { return tables_; }

  /// The process using it died: what it had started and is not done, never will be.
  void process_died() { ++generation_; }
  /// The power failed: the same, and unsynced bytes and rows survive in any subset.
  void power_cut();
  /// Until then nothing ends: the machine stands still.
  void hold_until(std::uint64_t when) { held_until_ = when; }
  /// Syncs take up to so long until `until`.
  void slow_down(std::uint64_t latency_ns, std::uint64_t until);
  /// The next sync of the block file fails.
  void fail_next_sync() { failing_ = true; }
  void heal();

  /// For the block file of the drive on this disk.
  std::shared_ptr<drive_io> make_drive_io();
  /// For journal and tables on this disk.
  std::unique_ptr<volume_runner> make_runner();

private:
  class block_io;
  class runner;
  /// Runs `what` after `delay`, unless the process is gone by then.
  void later(std::uint64_t delay, std::function<void()> what);
  std::uint64_t latency();
  std::uint64_t sync_latency();

  surroundings& world_;
  std::string name_;
  std::unique_ptr<memory_env> files_;
  std::shared_ptr<ordered_engine> tables_;
  std::uint64_t generation_ = 0;
  std::uint64_t held_until_ = 0;
  std::uint64_t slow_latency_ = 0;
  std::uint64_t slow_until_ = 0;
  bool failing_ = false;
  std::uint64_t data_offset_ = 0;
};

} // namespace troupe
