#include "cluster/gateway/unit_repair.hpp"

#include "storage/codec/unit_checksum.hpp"

#include <algorithm>
#include <tuple>

namespace troupe {

namespace {

/// So many damaged units are remembered, so that each is told once.
constexpr std::size_t known_max = 4096;
/// Records that change under the repair, and refusals, before it is left for later.
constexpr int attempts_max = 4;

/// The drive said that the unit is bad, or what it gave was.
bool is_damage(errc code) {
  return code == errc::corrupt || code == errc::io_error;
}
/// The drive has no such run: damage, unless the unit lies elsewhere by now.
bool is_gone(errc code) {
  return code == errc::stale || code == errc::not_found;
}
const run_ref& run_of(const damaged_unit& damage) {
  return damage.stripe->layout.units[damage.unit].run;
}

} // namespace

void unit_repair::report(damaged_unit damage) {
  unit_key key{damage.stripe->id, run_of(damage)};
  auto known = known_.find(key);
  if (known != known_.end() && ctx_.now() < known->second)
    return;
  if (known_.size() >= known_max)
    known_.clear();
  known_[key] = ctx_.in_ms(ctx_.options.repair_again_ms);
  if (is_damage(damage.cause.code))
    tell(damage); // a run that is gone may have moved: that is asked first
  if (waiting_.size() >= ctx_.options.repairs_waiting_max)
    return;
  waiting_.push_back(std::move(damage));
  if (running_ < ctx_.options.repairs_at_once_max) {
    ++running_;
    ctx_.run.start(work());
  }
}

void unit_repair::tell(const damaged_unit& damage) {
  ctx_.emit(damage_seen{damage.file, damage.stripe->id, damage.unit, run_of(damage), damage.cause});
}

procedure<void> unit_repair::work() {
  co_await sleep_until(ctx_.in_ms(ctx_.options.repair_delay_ms)); // reads first
  while (!waiting_.empty()) {
    auto damage = std::move(waiting_.front());
    waiting_.pop_front();
    co_await repair(std::move(damage));
  }
  --running_;
}

procedure<void> unit_repair::repair(damaged_unit damage) {
  auto job = std::make_shared<repair_job>();
  job->damage = std::move(damage);
  for (int i = 0; i < attempts_max; ++i) {
    auto step = co_await look(job);
    if (step == next_step::done)
      co_return;
    auto stored = co_await store(job);
    if (!stored)
      co_return; // no drive takes it now; a later read reports it again
    step = co_await commit(job);
    if (step == next_step::done)
      co_return;
  }
}

/// Is the unit still where it was, still bad, and what should be there?
procedure<unit_repair::next_step> unit_repair::look(job_ptr job) {
  const auto& damage = job->damage;
  meta_operation question = op_get_stripe{damage.stripe->id};
  auto record = co_await partitions_.ask_for<stripe_is>(std::move(question));
  if (!record)
    co_return next_step::done; // the file is gone, or nobody answers
  const auto& units = record->stripe.layout.units;
  if (damage.unit >= units.size() || units[damage.unit].run != run_of(damage)) {
    if (moved_)
      moved_(damage.file);
    co_return next_step::done;
  }
  job->stripe = std::make_shared<const stripe_info>(std::move(record->stripe));
  if (!ctx_.map.lost(run_of(damage).drive)) {
    auto there = co_await units_.read_whole(job->stripe, damage.unit);
    if (there || !(is_damage(there.error().code) || is_gone(there.error().code)))
      co_return next_step::done; // good this time, or the drive does not answer
  }
  if (is_gone(damage.cause.code) && job->bytes.empty())
    tell(damage);
  auto bytes = co_await units_.rebuild(damage.file, job->stripe, damage.unit);
  if (!bytes)
    co_return next_step::done; // too few others are left now
  job->bytes = std::move(*bytes);
  co_return next_step::go_on;
}

/// The same drive, if only the block is bad; else one that keeps the level.
std::optional<drive_candidate> unit_repair::choose(const repair_job& job) const {
  const auto& layout = job.stripe->layout;
  std::map<node_id, std::uint32_t> on_node;
  std::set<drive_uuid> used;
  for (std::uint32_t i = 0; i < layout.units.size(); ++i) {
    if (i == job.damage.unit)
      continue;
    used.insert(layout.units[i].run.drive);
    if (const auto* known = ctx_.map.drive(layout.units[i].run.drive))
      ++on_node[known->node];
  }
  const auto& home = run_of(job.damage).drive;
  const auto* at_home = ctx_.map.drive(home);
  bool stay = job.damage.cause.code != errc::io_error;
  auto rank = [&](const drive_candidate& c) {
    bool same_node = at_home && c.node == at_home->node;
    return std::tuple{(c.drive == home) != stay, c.busy, !same_node, on_node[c.node],
                      ~c.free_blocks};
  };
  std::optional<drive_candidate> best;
  for (const auto& c : ctx_.map.candidates(ctx_.now())) {
    if (used.contains(c.drive) || job.tried.contains(c.drive) || c.free_blocks < layout.unit_blocks
        || on_node[c.node] >= layout.shape.per_node)
      continue;
    if (!best || rank(c) < rank(*best))
      best = c;
  }
  return best;
}

/// @returns false if no drive took it.
procedure<bool> unit_repair::store(job_ptr job) {
  const auto& layout = job->stripe->layout;
  auto checksums = block_checksums(job->bytes.view());
  // What goes into the record must be what was written there once.
  if (job->bytes.size() != std::size_t{layout.unit_blocks} * block_bytes
      || unit_checksum(checksums) != layout.units[job->damage.unit].checksum)
    co_return false;
  for (auto place = choose(*job); place; place = choose(*job)) {
    job->tried.insert(place->drive);
    auto key = drives_.new_write();
    store_run request{place->drive, key, job->damage.file, checksums, job->bytes};
    auto call = drives_.begin(place->drive, std::move(request));
    co_await drives_.wait(call, ctx_.in_ms(ctx_.options.drive_timeout_ms));
    drives_.forget(*call);
    auto* stored =
      call->answer && *call->answer ? std::get_if<run_stored>(&**call->answer) : nullptr;
    if (stored && stored->run.drive == place->drive
        && stored->run.block_count == layout.unit_blocks) {
      job->run = stored->run;
      co_return true;
    }
    drives_.abandon(place->drive, key);
  }
  co_return false;
}

procedure<unit_repair::next_step> unit_repair::commit(job_ptr job) {
  const auto& damage = job->damage;
  meta_operation change =
    op_repair_unit{job->stripe->id, job->stripe->version, damage.unit, job->run};
  auto answer = co_await partitions_.ask(std::move(change));
  if (answer.outcome) {
    ++ctx_.report.units_repaired;
    ctx_.emit(unit_repaired{damage.file, damage.stripe->id, damage.unit, run_of(damage), job->run});
    if (moved_)
      moved_(damage.file);
    co_return next_step::done;
  }
  if (!answer.definite)
    co_return next_step::done; // it may have happened: the run is left to Collect at the worst
  drives_.free({job->run});
  const auto& cause = answer.outcome.error();
  if (auto refused = drive_that_takes_no_data(cause))
    ctx_.map.rest(*refused, ctx_.in_ms(ctx_.options.drive_rest_ms));
  if (cause.code == errc::stale)
    job->tried.clear(); // the drive did nothing wrong
  bool passing = cause.code == errc::stale || cause.code == errc::below_floor;
  co_return passing ? next_step::again : next_step::done;
}

} // namespace troupe
