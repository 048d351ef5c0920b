#pragma once

#include "messages/ids.hpp"
#include "messages/units.hpp"
#include "storage/layout/layout_table.hpp"
#include "storage/layout/stripe_notation.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace troupe {

/// One node of a pool, as the layout sees it. A node that is down stays in the list with
/// `drives_up` 0: then the stripes of the full pool are narrowed, not its rules changed.
struct pool_node {
  node_id node;
  std::uint32_t drives = 0;    ///< All its drives of this pool, up or not.
  std::uint32_t drives_up = 0; ///< Those that take new runs now: writable and not full.
};

/// The layout of one stripe: how many units, and what a placement must keep to.
struct layout_choice {
  protection_level level{};             ///< What was asked for.
  std::uint32_t data_units = 0;         ///< n of this stripe
  std::uint32_t parity_units = 0;       ///< m: parity, or further copies where n is 1
  std::uint32_t units_per_node_max = 0; ///< b
  std::uint32_t unit_blocks = 0;        ///< Length of every unit of this stripe, 1…16.
  std::uint32_t data_blocks = 0; ///< Blocks of the file that the stripe takes, <= n*unit_blocks.
  std::uint32_t full_data_units = 0;  ///< n of a full stripe of such a file now.
  std::uint32_t nodes_up = 0;         ///< Nodes with a drive that is up.
  std::uint32_t nodes_all = 0;        ///< Nodes of the pool.
  layout_source source{};             ///< Where `table_data_units` comes from.
  std::uint32_t table_nodes = 0;      ///< The number of nodes that was looked up.
  std::uint32_t table_data_units = 0; ///< n before the drives that are up limited it.
  /// False: the stripe survives less than `level` says, because too few drives are up. Whoever
  /// commits it enters it in the at-risk table in the same entry (hazards F29).
  bool attained = false;
  std::string at_risk_reason; ///< Empty if attained.

  std::uint32_t units() const { return data_units + parity_units; }
  /// Copies of each byte if the stripe is mirrored, else 0.
  std::uint32_t copies() const { return data_units == 1 ? 1 + parity_units : 0; }
  stripe_notation notation() const { return {data_units, parity_units, units_per_node_max, 1}; }
};

/// Lays out the next stripe of a file over the drives that are up. Pure and deterministic.
///
/// n comes from the table or its rule for the number of nodes that are up; where the pool is
/// degraded so far that the level has no stripe there, from the full pool's. It shrinks until n+m
/// units fit on different drives with at most b per node, down to 1+m, which are copies; m stays.
/// If not even copies fit, the stripe keeps as many of them as there are drives (at least two) with
/// the smallest b that works, and `attained` is false.
///
/// @param pool    the pool's nodes that have drives, in any order.
/// @param blocks  data blocks still to be laid out, >= 1; the stripe takes `data_blocks` of them:
///                at most 16 per unit. A short stripe has ceil(blocks/16) units of equal length, so
///                a file of up to 16 blocks is copied.
/// @returns errc::invalid_argument for 0 blocks; errc::unavailable with trp::level_needs_more and a
/// text that says what would work if fewer than two drives are up: nothing is written without a
/// second copy.
expected<layout_choice> choose_layout(std::span<const pool_node> pool, protection_level level,
                                      std::uint32_t blocks,
                                      layout_table_mode mode = layout_table_mode::printed);

/// Whether a pool can hold a level at all, with every drive up: the check of every verb that sets
/// one. Gives the layout of a full stripe; `source` none says that files are mirrored instead.
/// @returns errc::invalid_argument with trp::level_needs_more and a text with what is missing and
/// which levels would work.
expected<layout_choice> check_level(std::span<const pool_node> pool, protection_level level,
                                    layout_table_mode mode = layout_table_mode::printed);

/// The levels that `check_level` accepts, in the order of `all_protection_levels`.
std::vector<protection_level> levels_that_work(std::span<const pool_node> pool);

/// Places for units on different drives that are up, with at most `units_per_node_max` per node.
std::uint32_t unit_places(std::span<const pool_node> pool, std::uint32_t units_per_node_max);

} // namespace troupe
