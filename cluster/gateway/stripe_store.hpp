#pragma once

#include "cluster/gateway/drive_exchange.hpp"
#include "cluster/gateway/gateway_context.hpp"
#include "cluster/gateway/write_buffer.hpp"
#include "messages/metadata.hpp"
#include "storage/codec/unit_checksum.hpp"
#include "storage/layout/layout_choice.hpp"

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

namespace troupe {

/// A stripe whose units are durable on their drives, and that no file names yet.
struct stored_stripe {
  block_range range; ///< Of the file.
  stripe_layout layout;
};

/// Stores the blocks of files as stripes: lays out over the drives that answer now, encodes,
/// checksums, stores all units at once. A drive that fails or is late is replaced by another one,
/// and its write abandoned; where no drive is left for a unit the stripe is laid out anew, narrower
/// and at the worst below its level, marked at risk (hazards F29).
class stripe_store {
public:
  stripe_store(gateway_context& context, drive_exchange& drives)
    : ctx_(context), drives_(drives), in_flight_(context.options.stripes_in_flight_max) {}

  /// Stores as many blocks as one stripe takes, from `first` (relative to `blocks`) on. Waits for
  /// its turn, and as long as the bounded wait for drives that answer.
  /// @returns errc::no_space with trp::cluster_full, errc::unavailable with trp::level_needs_more;
  /// then nothing is left behind but what `abandon` clears.
  procedure<expected<stored_stripe>> store(lin owner, std::shared_ptr<const frozen_blocks> blocks,
                                           std::uint64_t first);
  /// The units of a stripe that no file will ever name.
  void free(const stripe_layout& layout);

  /// Data blocks of a full stripe as drives are now, at least 16.
  std::uint64_t full_stripe_blocks() const;

private:
  struct unit_plan {
    drive_candidate place;
    shared_bytes data;
    std::shared_ptr<const block_checksum_list> checksums;
    std::uint32_t checksum = 0;
    std::optional<run_ref> run;
  };
  /// One try: a layout, its units, and how each of them fares.
  struct attempt_plan {
    lin owner;
    layout_choice choice;
    std::vector<unit_plan> units;
    std::set<drive_uuid> tried;
    error last_error;    ///< Of the unit that found no drive.
    bool failed = false; ///< Then the others need not go on trying.
    countdown running;
  };
  using plan_ptr = std::shared_ptr<attempt_plan>;

  protection_level level() const;
  expected<layout_choice> choose(std::span<const drive_candidate> drives,
                                 std::uint64_t blocks) const;
  expected<plan_ptr> make_plan(lin owner, const frozen_blocks& blocks, std::uint64_t first);
  expected<void> encode(attempt_plan& plan, const frozen_blocks& blocks, std::uint64_t first) const;
  procedure<void> store_unit(plan_ptr plan, std::size_t index);
  bool replace(attempt_plan& plan, std::size_t index, bool only_quick);
  void give_up(attempt_plan& plan);
  void note_failure(const drive_uuid& drive, const error& cause);
  stored_stripe finish(const attempt_plan& plan, block_range blocks, std::uint64_t first);

  gateway_context& ctx_;
  drive_exchange& drives_;
  fifo_budget in_flight_;
  std::uint64_t stripe_count_ = 0;
};

} // namespace troupe
