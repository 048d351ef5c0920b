#include "cluster/partition/partition_state.hpp"
#include "storage/meta/meta_keys.hpp"
#include "storage/meta/partition_format.hpp"

// What the leader of a partition does by itself, in small steps between requests: at most one of
// each kind is under way.

namespace troupe {

namespace {

constexpr std::uint64_t ns_per_ms = 1'000'000;
/// How long a leader that found nothing to do does not look again, unless something changes.
constexpr std::uint64_t quiet_ms = 1000;

} // namespace

void partition_state::background(const partition_now& now, partition_effects& out) {
  if (!now.may_act() || background_loading_ || background_stopped_)
    return;
  bool idle = waiting_.empty() && pipeline_.idle();
  if (!idle && now.boot.ns < background_at_.ns + options_.background_ms * ns_per_ms)
    return;
  if (frees_to_remove_)
    remove_frees(out);
  if (now.boot < quiet_until_)
    return;
  background_at_ = now.boot;
  quiet_until_ = {now.boot.ns + quiet_ms * ns_per_ms};
  forget_clients(now, out);
  if (!background_loading_)
    send_next_frees(now, out);
}

/// Rows that a background step needs: nothing else is begun until they are there.
void partition_state::load_for_background(row_needs needs, partition_effects& out) {
  background_loading_ = true;
  quiet_until_ = {};
  load(std::move(needs), {load_purpose::background, {}}, out);
}

/// A row that cannot be read: nothing is cleaned, freed or forgotten here until somebody looked.
void partition_state::background_failed(const error& why, partition_effects& out) {
  background_stopped_ = true;
  report_damage(why, out);
}

/// A client that was silent so long that no late request of it may be executed any more (F20).
void partition_state::forget_clients(const partition_now& now, partition_effects& out) {
  auto span = options_.client_forget_ms * ns_per_ms;
  if (forgetting_ || now.boot.ns < span)
    return;
  auto silent = leases_.silent_since({now.boot.ns - span});
  if (silent.empty())
    return;
  auto client = silent.front();
  meta_request nobody;
  nobody.epoch = epoch_;
  auto result = expire_client(client.id, client.life, context_of(nobody, now), pipeline_.view());
  if (auto* needs = std::get_if<row_needs>(&result))
    return load_for_background(std::move(*needs), out);
  auto& done = std::get<evaluation>(result);
  if (const auto* why = std::get_if<error>(&done.outcome))
    return background_failed(*why, out);
  if (done.batch.empty()) {
    leases_.forgotten(client.id);
    return;
  }
  partition_entry entry;
  entry.changes = std::move(done.batch);
  forgetting_ = true;
  promise_at(add(entry), {.kind = promise_kind::forget_client});
}

void partition_state::send_next_frees(const partition_now& now, partition_effects& out) {
  auto next = frees_.next(applied_, facts_, now.boot);
  if (auto* needs = std::get_if<row_needs>(&next))
    return load_for_background(std::move(*needs), out);
  if (const auto* why = std::get_if<error>(&next))
    return background_failed(*why, out);
  auto* frees = std::get_if<pending_frees>(&next);
  if (!frees)
    return;
  out.push_back(send_frees{frees->drive, frees->runs});
  frees_.started(std::move(*frees));
}

/// The drive has freed them durably: the record goes. Until that is committed the next leader
/// sends them again, which is harmless.
void partition_state::remove_frees(partition_effects& out) {
  auto key = drive_frees_key(frees_to_remove_->drive);
  auto row = pipeline_.view().get(key);
  if (row.state == row_state::unknown)
    return load_for_background({{key}, {}}, out);
  auto count = decode_drive_frees(row.value);
  if (row.state != row_state::found || !count)
    return background_failed({errc::corrupt, "count of frees of a drive"}, out);
  auto frees = *std::exchange(frees_to_remove_, {});
  count->pending_runs -= std::min<std::uint64_t>(count->pending_runs, frees.runs.size());
  partition_entry entry;
  entry.changes.push_back({pending_free_key(frees.drive, frees.batch), std::nullopt});
  entry.changes.push_back({key, encode(*count)});
  promise p;
  p.kind = promise_kind::frees;
  p.count = frees.runs.size();
  promise_at(add(entry), std::move(p));
}

} // namespace troupe
