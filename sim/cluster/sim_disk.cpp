#include "sim/cluster/sim_disk.hpp"

namespace troupe {

namespace {

constexpr std::uint64_t us = 1000;
constexpr std::uint64_t ms = 1'000'000;
constexpr std::uint64_t log_bytes = 64 * kib; // of the tables: small, so that files change often

} // namespace

/// The block file's I/O: any order, parallel.
class sim_disk::block_io final : public drive_io {
public:
  explicit block_io(sim_disk& disk) : disk_(disk) {}

  void read(file& blocks, std::uint64_t offset, std::span<std::byte> into,
            read_done done) override {
    disk_.world_.mix(offset);
    disk_.later(disk_.latency(), [&blocks, offset, into, done = std::move(done)] {
      done(blocks.read_at(offset, into));
    });
  }
  void write(file& blocks, std::uint64_t offset, std::vector<shared_bytes> pieces,
             write_done done) override {
    disk_.world_.mix(offset);
    auto put = [&blocks, offset, pieces]() -> expected<void> {
      auto at = offset;
      for (const auto& piece : pieces) {
        if (auto written = blocks.write_at(at, piece.view()); !written)
          return written;
        at += piece.size();
      }
      return {};
    };
    auto arrives = disk_.latency() / 2;
    disk_.later(arrives, [this, put, done] {
      auto result = put();
      disk_.later(disk_.latency() / 2, [result, done] { done(result); });
    });
    if (offset >= disk_.data_offset_ && disk_.world_.planted(planted_bug::late_write))
      for (int i = 0; i < 5; ++i) // `done` keeps the file open
        disk_.later(disk_.world_.random.between(1000 * ms, 15'000 * ms),
                    [put, done] { (void)put(); });
  }
  void sync(file& blocks, write_done done) override {
    disk_.later(disk_.sync_latency(), [this, &blocks, done = std::move(done)] {
      if (std::exchange(disk_.failing_, false)) {
        disk_.world_.note(disk_.name_ + " fails a sync");
        return done(error{errc::io_error, disk_.name_ + ": sync failed"});
      }
      if (disk_.world_.planted(planted_bug::lying_drive))
        return done({});
      done(blocks.sync());
    });
  }

private:
  sim_disk& disk_;
};

/// Journal and table jobs. Jobs of one volume may run in any order, as on a pool.
class sim_disk::runner final : public volume_runner {
public:
  explicit runner(sim_disk& disk) : disk_(disk) {}

  void write_journal(file& log, std::uint64_t offset, shared_bytes bytes,
                     std::function<void(expected<void>)> done) override {
    disk_.world_.mix(offset + bytes.size());
    disk_.later(disk_.latency() / 2, [this, &log, offset, bytes, done = std::move(done)] {
      auto written = log.write_at(offset, bytes.view());
      disk_.later(disk_.sync_latency(), [this, &log, written, done] {
        if (!written)
          return done(written);
        if (disk_.world_.planted(planted_bug::lying_journal))
          return done({});
        done(log.sync());
      });
    });
  }
  expected<void> run(std::function<void()> job, std::function<void()> done) override {
    disk_.later(disk_.latency() / 2, [this, job = std::move(job), done = std::move(done)] {
      job();
      disk_.later(disk_.latency() / 2, done);
    });
    return {};
  }

private:
  sim_disk& disk_;
};

sim_disk::sim_disk(surroundings& world, std::string name)
  : world_(world), name_(std::move(name)), files_(std::make_unique<memory_env>()),
    tables_(std::make_shared<ordered_engine>(ordered_engine_options{log_bytes})) {}

void sim_disk::power_cut() {
  ++generation_;
  files_->crash(world_.random.next());
  tables_->crash(world_.random.next());
}

void sim_disk::slow_down(std::uint64_t latency_ns, std::uint64_t until) {
  slow_latency_ = latency_ns;
  slow_until_ = until;
}

void sim_disk::heal() {
  slow_until_ = 0;
  failing_ = false;
}

std::shared_ptr<drive_io> sim_disk::make_drive_io() {
  return std::make_shared<block_io>(*this);
}

std::unique_ptr<volume_runner> sim_disk::make_runner() {
  return std::make_unique<runner>(*this);
}

void sim_disk::later(std::uint64_t delay, std::function<void()> what) {
  world_.events.after(delay, [this, mine = generation_, what = std::move(what)]() mutable {
    if (mine != generation_)
      return;
    if (world_.events.now() < held_until_)
      return later(held_until_ - world_.events.now(), std::move(what));
    what();
  });
}

std::uint64_t sim_disk::latency() {
  return world_.random.between(20 * us, 400 * us);
}

std::uint64_t sim_disk::sync_latency() {
  auto slow = world_.events.now() < slow_until_ ? world_.random.below(slow_latency_) : 0;
  return world_.random.between(100 * us, 2 * ms) + slow;
}

} // namespace troupe
