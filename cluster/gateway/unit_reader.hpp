#pragma once

#include "cluster/gateway/drive_exchange.hpp"
#include "cluster/gateway/gateway_context.hpp"
#include "cluster/gateway/layout_cache.hpp"

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>

namespace troupe {

/// Blocks [first, first + count) of one unit of a stripe.
struct unit_blocks_key {
  stripe_id stripe;
  std::uint32_t unit = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  auto operator<=>(const unit_blocks_key&) const = default;
};

/// A unit that was missing or wrong when it was read.
struct damaged_unit {
  lin file;
  stripe_ptr stripe;
  std::uint32_t unit = 0;
  error cause; ///< errc::corrupt, io_error, or stale and not_found for a run that is not there.
};

/// Reads blocks of stripes: verified against the checksums of the stripe record, kept for the next
/// reader (a stripe never changes, so what was read stays right), reconstructed from the other
/// units where one is missing, wrong or late.
class unit_reader {
public:
  unit_reader(gateway_context& context, drive_exchange& drives) : ctx_(context), drives_(drives) {}
  void listen(std::function<void(damaged_unit)> damaged) { damaged_ = std::move(damaged); }

  /// Blocks of one data unit of a file's stripe.
  /// @returns errc::stale if the run is not there and could not be reconstructed either: the
  /// stripe was freed or moved, ask for the layout again; errc::unavailable if too few drives
  /// answer now; errc::io_error with trp::data_lost if more units are lost than the level bears.
  procedure<expected<shared_bytes>> read(lin file, stripe_ptr stripe, std::uint32_t unit,
                                         std::uint32_t first, std::uint32_t count);

  /// A whole unit, data or parity, as its drive has it now; verified.
  procedure<expected<shared_bytes>> read_whole(stripe_ptr stripe, std::uint32_t unit);
  /// A whole unit as it must be, computed from the others; verified. Errors as those of `read`.
  procedure<expected<shared_bytes>> rebuild(lin file, stripe_ptr stripe, std::uint32_t unit);

  std::uint64_t cached_bytes() const { return cached_bytes_; }

private:
  /// One read of a drive, shared by all who want it.
  struct unit_load {
    std::optional<expected<shared_bytes>> result;
    wait_list done;
  };
  using load_ptr = std::shared_ptr<unit_load>;
  struct cached_unit {
    std::uint32_t first = 0;
    shared_bytes data;
    std::list<std::pair<stripe_id, std::uint32_t>>::iterator age;
  };
  /// Units that are being collected to compute another one.
  struct gathering {
    lin file;
    stripe_ptr stripe;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::vector<std::pair<std::uint32_t, shared_bytes>> have;
    std::uint32_t outstanding = 0;
    std::uint32_t unreachable = 0;
    std::uint32_t gone = 0;    ///< No such run: moved, freed or lost.
    std::uint32_t damaged = 0; ///< There, but wrong.
    wait_list progress;
  };

  load_ptr begin_load(lin file, stripe_ptr stripe, const unit_blocks_key& key);
  procedure<void> load(lin file, stripe_ptr stripe, unit_blocks_key key, load_ptr out);
  expected<shared_bytes> verify(const stripe_info& stripe, const unit_blocks_key& key,
                                expected<drive_answer> answer) const;
  procedure<expected<shared_bytes>> reconstruct(lin file, stripe_ptr stripe, unit_blocks_key lost);
  procedure<void> gather_one(std::shared_ptr<gathering> g, std::uint32_t unit);
  expected<shared_bytes> compute(const gathering& g, const unit_blocks_key& lost);
  error too_few(const gathering& g) const;
  void note_damage(lin file, const stripe_ptr& stripe, std::uint32_t unit, const error& cause);

  std::optional<shared_bytes> find_cached(const unit_blocks_key& key);
  void keep(const unit_blocks_key& key, const shared_bytes& data);

  gateway_context& ctx_;
  drive_exchange& drives_;
  std::map<unit_blocks_key, load_ptr> loads_; ///< Under way.
  std::map<std::pair<stripe_id, std::uint32_t>, cached_unit> cache_;
  std::list<std::pair<stripe_id, std::uint32_t>> ages_; ///< Oldest first.
  std::uint64_t cached_bytes_ = 0;
  std::function<void(damaged_unit)> damaged_;
};

} // namespace troupe
