#include "storage/base/fault_env.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>

namespace troupe {

namespace fault_env_detail {

struct flip {
  std::string path_part;
  std::uint64_t offset = 0;
  std::uint8_t mask = 0;
};
struct short_read {
  std::string path_part;
  std::uint64_t bytes_max = 0;
};

bool concerns(const std::string& path_part, const std::string& path) {
  return path.find(path_part) != std::string::npos;
}

/// What a call must answer instead of running, and how much of a write runs first.
struct verdict {
  error answer;
  std::uint64_t done_bytes = 0;
};

struct plan {
  mutable std::mutex mutex;
  std::vector<env_fault> faults;
  std::vector<flip> flips;
  std::vector<short_read> short_reads;
  std::optional<std::uint64_t> space_bytes;
  std::optional<std::uint64_t> changes_left;
  bool stopped = false; ///< A change was already refused for want of `changes_left`.
  env_counters counters;

  /// Counts one call. @returns what it must answer, or nothing if it may pass.
  std::optional<verdict> judge(env_call call, const std::string& path, std::uint64_t bytes = 0) {
    std::lock_guard guard{mutex};
    if (call == env_call::read)
      ++counters.reads;
    else if (call != env_call::open)
      ++counters.changes;
    if (call == env_call::write)
      ++counters.writes;
    if (call == env_call::sync)
      ++counters.syncs;
    if (changes_left && call != env_call::read && call != env_call::open) {
      if (*changes_left == 0) {
        auto in_flight = stopped ? 0 : bytes;
        stopped = true;
        return verdict{{errc::unavailable, path + ": stopped"}, in_flight};
      }
      --*changes_left;
    }
    for (auto& fault : faults) {
      if (fault.call != call || fault.count == 0 || !concerns(fault.path_part, path))
        continue;
      if (fault.after > 0) {
        --fault.after;
        continue;
      }
      if (fault.count != UINT64_MAX)
        --fault.count;
      return verdict{{fault.code, path + ": planned fault"}, std::min(fault.done_bytes, bytes)};
    }
    if (call == env_call::write && space_bytes) {
      if (bytes > *space_bytes) {
        auto part = *space_bytes;
        space_bytes = 0;
        return verdict{{errc::no_space, path + ": planned end of space"}, part};
      }
      *space_bytes -= bytes;
    }
    if (call == env_call::write)
      counters.written_bytes += bytes;
    return {};
  }
};

namespace {

class fault_file final : public file {
public:
  fault_file(std::unique_ptr<file> inner, std::shared_ptr<plan> p, std::string path)
    : inner_(std::move(inner)), plan_(std::move(p)), path_(std::move(path)) {}

  expected<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) override {
    if (auto stop = plan_->judge(env_call::read, path_))
      return stop->answer;
    std::vector<flip> flips;
    {
      std::lock_guard guard{plan_->mutex};
      for (const auto& cut : plan_->short_reads)
        if (concerns(cut.path_part, path_))
          into = into.first(std::min<std::uint64_t>(into.size(), cut.bytes_max));
      flips = plan_->flips;
    }
    auto got = inner_->read_at(offset, into);
    if (!got)
      return got;
    for (const auto& x : flips)
      if (concerns(x.path_part, path_) && x.offset >= offset && x.offset - offset < *got)
        into[x.offset - offset] ^= std::byte{x.mask};
    return got;
  }

  expected<void> write_at(std::uint64_t offset, byte_view from) override {
    if (failed_)
      return poisoned();
    if (auto stop = plan_->judge(env_call::write, path_, from.size())) {
      if (stop->done_bytes > 0)
        if (auto written = inner_->write_at(offset, from.first(stop->done_bytes)); !written)
          return written;
      return stop->answer;
    }
    return inner_->write_at(offset, from);
  }

  expected<void> sync() override {
    if (failed_)
      return poisoned();
    if (auto stop = plan_->judge(env_call::sync, path_)) {
      failed_ = true;
      return stop->answer;
    }
    return inner_->sync();
  }

  expected<void> preallocate(std::uint64_t bytes) override {
    if (failed_)
      return poisoned();
    if (auto stop = plan_->judge(env_call::preallocate, path_))
      return stop->answer;
    return inner_->preallocate(bytes);
  }

  expected<void> truncate(std::uint64_t bytes) override {
    if (failed_)
      return poisoned();
    if (auto stop = plan_->judge(env_call::truncate, path_))
      return stop->answer;
    return inner_->truncate(bytes);
  }

  expected<std::uint64_t> size() override { return inner_->size(); }
  // No descriptor: what goes around `write_at` would go around the faults.

private:
  error poisoned() const {
    return {errc::io_error, path_ + ": an earlier sync failed", trp::drive_failed};
  }

  std::unique_ptr<file> inner_;
  std::shared_ptr<plan> plan_;
  std::string path_;
  std::atomic<bool> failed_ = false;
};

} // namespace
} // namespace fault_env_detail

using namespace fault_env_detail;

fault_env::fault_env(env& inner) : inner_(inner), plan_(std::make_shared<plan>()) {}

fault_env::~fault_env() = default;

expected<std::unique_ptr<file>> fault_env::open(const std::string& path, open_mode mode) {
  auto creates = mode == open_mode::create_new || mode == open_mode::create_or_open;
  if (auto stop = plan_->judge(creates ? env_call::create : env_call::open, path))
    return stop->answer;
  auto inner = inner_.open(path, mode);
  if (!inner)
    return inner;
  return std::unique_ptr<file>{std::make_unique<fault_file>(std::move(*inner), plan_, path)};
}

expected<void> fault_env::make_directory(const std::string& path) {
  if (auto stop = plan_->judge(env_call::make_directory, path))
    return stop->answer;
  return inner_.make_directory(path);
}

expected<void> fault_env::remove_directory(const std::string& path) {
  if (auto stop = plan_->judge(env_call::remove, path))
    return stop->answer;
  return inner_.remove_directory(path);
}

expected<std::vector<std::string>> fault_env::list(const std::string& path) {
  return inner_.list(path);
}

expected<bool> fault_env::exists(const std::string& path) {
  return inner_.exists(path);
}

expected<void> fault_env::remove_file(const std::string& path) {
  if (auto stop = plan_->judge(env_call::remove, path))
    return stop->answer;
  return inner_.remove_file(path);
}

expected<void> fault_env::rename(const std::string& from, const std::string& to) {
  if (auto stop = plan_->judge(env_call::rename, from))
    return stop->answer;
  return inner_.rename(from, to);
}

expected<void> fault_env::sync_directory(const std::string& path) {
  if (auto stop = plan_->judge(env_call::sync_directory, path))
    return stop->answer;
  return inner_.sync_directory(path);
}

expected<std::uint64_t> fault_env::free_bytes(const std::string& path) {
  auto inner = inner_.free_bytes(path);
  if (!inner)
    return inner;
  std::lock_guard guard{plan_->mutex};
  return std::min(*inner, plan_->space_bytes.value_or(UINT64_MAX));
}

expected<std::unique_ptr<file>> fault_env::lock(const std::string& path) {
  if (auto stop = plan_->judge(env_call::create, path))
    return stop->answer;
  return inner_.lock(path);
}

void fault_env::add(env_fault fault) {
  std::lock_guard guard{plan_->mutex};
  plan_->faults.push_back(std::move(fault));
}

void fault_env::limit_space(std::uint64_t bytes) {
  std::lock_guard guard{plan_->mutex};
  plan_->space_bytes = bytes;
}

void fault_env::stop_after(std::uint64_t changes) {
  std::lock_guard guard{plan_->mutex};
  plan_->changes_left = changes;
  plan_->stopped = false;
}

void fault_env::flip_on_read(std::string path_part, std::uint64_t offset, std::uint8_t mask) {
  std::lock_guard guard{plan_->mutex};
  plan_->flips.push_back({std::move(path_part), offset, mask});
}

void fault_env::shorten_reads(std::string path_part, std::uint64_t bytes_max) {
  std::lock_guard guard{plan_->mutex};
  plan_->short_reads.push_back({std::move(path_part), bytes_max});
}

void fault_env::heal() {
  std::lock_guard guard{plan_->mutex};
  plan_->faults.clear();
  plan_->flips.clear();
  plan_->short_reads.clear();
  plan_->space_bytes.reset();
  plan_->changes_left.reset();
}

env_counters fault_env::counters() const {
  std::lock_guard guard{plan_->mutex};
  return plan_->counters;
}

} // namespace troupe
