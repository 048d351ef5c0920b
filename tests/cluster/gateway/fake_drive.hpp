#pragma once

#include "cluster/gateway/gateway_effects.hpp"
#include "storage/codec/unit_checksum.hpp"

#include <map>
#include <set>

namespace troupe::test {

/// A drive in memory that keeps to the contract of messages/drive.hpp, and breaks on demand.
class fake_drive {
public:
  struct stored {
    store_run what;
    run_ref run;
  };
  drive_uuid id;
  node_id node;
  drive_bay bay;
  std::uint64_t blocks_total = 100'000;
  std::uint64_t blocks_used = 0;
  bool silent = false;  ///< Answers nothing.
  bool failing = false; ///< Answers io_error.
  std::uint64_t stores = 0;
  std::uint64_t reads = 0;

  std::uint64_t blocks_free() const { return blocks_total - blocks_used; }
  const std::map<birth, stored>& runs() const { return runs_; }

  expected<drive_answer> handle(const drive_request& request) {
    if (failing)
      return error{errc::io_error, "drive " + to_string(id)};
    return std::visit([&](const auto& x) { return execute(x); }, request);
  }

  /// Flips a bit of a run, as a bad sector does.
  void damage(birth born, std::size_t at) {
    auto& run = runs_.at(born);
    byte_vector copy{run.what.data.view().begin(), run.what.data.view().end()};
    copy[at % copy.size()] ^= std::byte{1};
    run.what.data = shared_bytes{std::move(copy)};
  }
  void lose(birth born) { runs_.erase(born); }

private:
  expected<drive_answer> execute(const store_run& x) {
    if (abandoned_.contains(x.key))
      return error{errc::interrupted, "abandoned"};
    if (auto known = by_key_.find(x.key); known != by_key_.end())
      return drive_answer{run_stored{runs_.at(known->second).run}};
    if (x.drive != id || x.data.size() % block_bytes != 0 || x.data.empty()
        || first_bad_block(x.data.view(), x.checksums))
      return error{errc::corrupt, "store"};
    auto blocks = static_cast<std::uint32_t>(x.data.size() / block_bytes);
    if (blocks > blocks_free())
      return error{errc::no_space, "drive " + to_string(id)};
    birth born{++births_};
    run_ref run{id, 16 * born.value, blocks, born};
    runs_[born] = {x, run};
    by_key_[x.key] = born;
    blocks_used += blocks;
    ++stores;
    return drive_answer{run_stored{run}};
  }
  expected<drive_answer> execute(const read_run& x) {
    auto it = runs_.find(x.run.born);
    if (it == runs_.end() || it->second.run != x.run)
      return error{errc::stale, "run"};
    if (x.block_count == 0 || x.first_block + x.block_count > x.run.block_count)
      return error{errc::invalid_argument, "blocks"};
    ++reads;
    run_data out;
    out.checksums = it->second.what.checksums;
    out.data = it->second.what.data.slice(std::size_t{x.first_block} * block_bytes,
                                          std::size_t{x.block_count} * block_bytes);
    return drive_answer{std::move(out)};
  }
  expected<drive_answer> execute(const free_runs& x) {
    std::uint32_t count = 0;
    for (const auto& run : x.runs)
      count += drop(run.born) ? 1 : 0;
    return drive_answer{runs_freed{count}};
  }
  expected<drive_answer> execute(const abandon_write& x) {
    abandoned_.insert(x.key);
    auto known = by_key_.find(x.key);
    bool dropped = known != by_key_.end() && drop(known->second);
    return drive_answer{runs_freed{dropped ? 1u : 0u}};
  }
  bool drop(birth born) {
    auto it = runs_.find(born);
    if (it == runs_.end())
      return false;
    blocks_used -= it->second.run.block_count;
    runs_.erase(it);
    return true;
  }

  std::map<birth, stored> runs_;
  std::map<write_key, birth> by_key_;
  std::set<write_key> abandoned_;
  std::uint64_t births_ = 0;
};

} // namespace troupe::test
