#include "cluster/gateway/stripe_store.hpp"

#include "storage/codec/stripe_codec.hpp"

#include <algorithm>

namespace troupe {

namespace {
/// Between two tries of a stripe that found too few drives.
constexpr std::uint64_t replan_ms = 100;
} // namespace

protection_level stripe_store::level() const {
  auto number = ctx_.map.view().default_level;
  return is_protection_level(number) ? static_cast<protection_level>(number) : suggested_level;
}

expected<layout_choice> stripe_store::choose(std::span<const drive_candidate> drives,
                                             std::uint64_t blocks) const {
  auto pool = pool_of(drives, ctx_.map.left_out(drives));
  auto most = std::min<std::uint64_t>(blocks, stripe_data_units_max * unit_blocks);
  auto choice = choose_layout(pool, level(), static_cast<std::uint32_t>(most));
  bool too_few = !choice || !choice->attained;
  bool some_full = std::any_of(drives.begin(), drives.end(),
                               [](const auto& d) { return d.free_blocks < unit_blocks; });
  if (too_few && some_full) // drives that are down narrow a stripe, drives that are full do not
    return error{errc::no_space, "too few drives have room for " + to_string(level()),
                 trp::cluster_full};
  return choice;
}

std::uint64_t stripe_store::full_stripe_blocks() const {
  auto drives = ctx_.map.candidates(ctx_.now());
  auto choice = choose(drives, stripe_data_units_max * unit_blocks);
  return (choice ? choice->full_data_units : 1) * unit_blocks;
}

expected<stripe_store::plan_ptr> stripe_store::make_plan(lin owner, const frozen_blocks& blocks,
                                                         std::uint64_t first) {
  auto drives = ctx_.map.candidates(ctx_.now());
  auto choice = choose(drives, blocks.range().count - first);
  if (!choice)
    return choice.error();
  auto places =
    place_units(*choice, drives, ctx_.options.client.value * 0x9e3779b97f4a7c15u + ++stripe_count_);
  if (!places)
    return error{errc::no_space, places.error().context, trp::cluster_full};
  auto plan = std::make_shared<attempt_plan>();
  plan->owner = owner;
  plan->choice = std::move(*choice);
  for (auto i : *places) {
    plan->units.emplace_back().place = drives[i];
    plan->tried.insert(drives[i].drive);
  }
  auto coded = encode(*plan, blocks, first);
  if (!coded)
    return coded.error();
  return plan;
}

expected<void> stripe_store::encode(attempt_plan& plan, const frozen_blocks& blocks,
                                    std::uint64_t first) const {
  const auto& choice = plan.choice;
  auto n = choice.data_units;
  auto m = choice.parity_units;
  // Only the last stripe of a range is padded; a cut in the middle takes whole units.
  TROUPE_ASSERT(n * choice.unit_blocks == choice.data_blocks
                || first + choice.data_blocks == blocks.range().count);
  std::vector<byte_view> data;
  for (std::uint32_t i = 0; i < n; ++i) {
    plan.units[i].data = blocks.window(first + i * choice.unit_blocks, choice.unit_blocks);
    data.push_back(plan.units[i].data.view());
  }
  code_shape shape{n, m};
  if (!is_mirrored(shape) && m > 0) {
    auto unit_size = choice.unit_blocks * block_bytes;
    auto memory = std::shared_ptr<std::byte[]>(new std::byte[m * unit_size]);
    std::vector<std::span<std::byte>> parity;
    for (std::uint32_t i = 0; i < m; ++i)
      parity.emplace_back(memory.get() + i * unit_size, unit_size);
    auto coded = encode_parity(shape, data, parity);
    if (!coded)
      return coded.error();
    for (std::uint32_t i = 0; i < m; ++i)
      plan.units[n + i].data = shared_bytes{memory, parity[i]};
  }
  for (std::uint32_t i = 0; i < n + m; ++i) {
    auto& unit = plan.units[i];
    if (i > 0 && is_mirrored(shape)) {
      unit.data = plan.units[0].data;
      unit.checksums = plan.units[0].checksums;
    } else {
      unit.checksums =
        std::make_shared<const block_checksum_list>(block_checksums(unit.data.view()));
    }
    unit.checksum = unit_checksum(*unit.checksums);
  }
  return {};
}

procedure<expected<stored_stripe>>
stripe_store::store(lin owner, std::shared_ptr<const frozen_blocks> blocks, std::uint64_t first) {
  co_await in_flight_.acquire(1);
  auto deadline = ctx_.in_ms(ctx_.options.wait_ms_max);
  for (bool at_once = true;; at_once = false) {
    auto plan = make_plan(owner, *blocks, first);
    error cause;
    if (plan) {
      auto& units = (*plan)->units;
      for (std::size_t i = 0; i < units.size(); ++i)
        (*plan)->running.add();
      for (std::size_t i = 0; i < units.size(); ++i)
        ctx_.run.start(store_unit(*plan, i));
      co_await (*plan)->running.wait();
      if (!(*plan)->failed) {
        in_flight_.release(1);
        co_return finish(**plan, blocks->range(), first);
      }
      give_up(**plan);
      cause = (*plan)->last_error;
    } else {
      cause = plan.error();
    }
    if (cause.code == errc::no_space || ctx_.now() >= deadline) {
      in_flight_.release(1);
      co_return cause;
    }
    if (!at_once)
      co_await ctx_.map_changed.wait_until(ctx_.in_ms(replan_ms));
  }
}

procedure<void> stripe_store::store_unit(plan_ptr plan, std::size_t index) {
  auto& unit = plan->units[index];
  while (!plan->failed) {
    auto drive = unit.place.drive;
    auto key = drives_.new_write();
    store_run request{drive, key, plan->owner, *unit.checksums, unit.data};
    auto sent_at = ctx_.now();
    auto call = drives_.begin(drive, std::move(request));
    bool in_time = co_await drives_.wait(call, ctx_.in_ms(ctx_.options.store_timeout_ms));
    if (!in_time) {
      ctx_.map.slow(drive, ctx_.in_ms(ctx_.options.drive_rest_ms));
      if (!plan->failed && replace(*plan, index, true)) {
        drives_.forget(*call);
        drives_.abandon(drive, key);
        continue;
      }
      co_await drives_.wait(call, {sent_at.ns + ctx_.options.drive_timeout_ms * 1'000'000});
    }
    drives_.forget(*call);
    error cause{errc::timeout, "drive " + to_string(drive)};
    if (call->answer && *call->answer) {
      auto* stored = std::get_if<run_stored>(&**call->answer);
      if (stored && stored->run.drive == drive
          && stored->run.block_count == plan->choice.unit_blocks) {
        unit.run = stored->run;
        break;
      }
      cause = error{errc::corrupt, "drive " + to_string(drive) + " stored something else"};
    } else if (call->answer) {
      cause = call->answer->error();
    }
    drives_.abandon(drive, key);
    if (cause.code == errc::busy) { // it works, but has enough to do
      ctx_.map.slow(drive, ctx_.in_ms(replan_ms));
      if (!plan->failed && !replace(*plan, index, true))
        co_await sleep_until(ctx_.in_ms(replan_ms));
      continue;
    }
    note_failure(drive, cause);
    if (!plan->failed && !replace(*plan, index, false)) {
      plan->failed = true;
      plan->last_error = cause;
    }
  }
  plan->running.done();
}

bool stripe_store::replace(attempt_plan& plan, std::size_t index, bool only_quick) {
  std::map<node_id, std::uint32_t> on_node;
  for (std::size_t i = 0; i < plan.units.size(); ++i)
    if (i != index)
      ++on_node[plan.units[i].place.node];
  const drive_candidate* best = nullptr;
  auto candidates = ctx_.map.candidates(ctx_.now());
  auto rank = [&](const drive_candidate& c) {
    return std::tuple{c.busy, on_node[c.node], ~c.free_blocks};
  };
  for (const auto& c : candidates) {
    if (plan.tried.contains(c.drive) || c.free_blocks < plan.choice.unit_blocks
        || (only_quick && c.busy) || on_node[c.node] >= plan.choice.units_per_node_max)
      continue;
    if (!best || rank(c) < rank(*best))
      best = &c;
  }
  if (!best)
    return false;
  plan.tried.insert(best->drive);
  plan.units[index].place = *best;
  ++ctx_.report.units_replaced;
  return true;
}

void stripe_store::note_failure(const drive_uuid& drive, const error& cause) {
  if (cause.code == errc::no_space)
    ctx_.map.full(drive);
  else
    ctx_.map.rest(drive, ctx_.in_ms(ctx_.options.drive_rest_ms));
}

void stripe_store::give_up(attempt_plan& plan) {
  std::vector<run_ref> runs;
  for (auto& unit : plan.units)
    if (unit.run)
      runs.push_back(*unit.run);
  drives_.free(std::move(runs));
}

void stripe_store::free(const stripe_layout& layout) {
  std::vector<run_ref> runs;
  for (const auto& unit : layout.units)
    runs.push_back(unit.run);
  drives_.free(std::move(runs));
}

stored_stripe stripe_store::finish(const attempt_plan& plan, block_range blocks,
                                   std::uint64_t first) {
  const auto& choice = plan.choice;
  stored_stripe out;
  out.range = {blocks.first + first, choice.data_blocks};
  out.layout.shape = {static_cast<std::uint8_t>(choice.data_units),
                      static_cast<std::uint8_t>(choice.parity_units),
                      static_cast<std::uint8_t>(choice.units_per_node_max)};
  out.layout.unit_blocks = choice.unit_blocks;
  out.layout.requested_level = static_cast<std::uint8_t>(choice.level);
  out.layout.at_risk = !choice.attained;
  for (const auto& unit : plan.units)
    out.layout.units.push_back({*unit.run, unit.checksum});
  ++ctx_.report.stripes_stored;
  ctx_.report.stripes_at_risk += choice.attained ? 0 : 1;
  return out;
}

} // namespace troupe
