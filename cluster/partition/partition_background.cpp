#include "cluster/partition/partition_state.hpp"

// What the leader of a partition does by itself, in small steps between requests: at most one of
// each kind is under way.

namespace troupe {

namespace {

constexpr std::uint64_t ns_per_ms = 1'000'000;
/// How long a leader that found nothing to do does not look again, unless something is committed.
constexpr std::uint64_t quiet_ms = 1000;

} // namespace

void partition_state::background(const partition_now& now, partition_effects& out) {
  if (!now.may_act() || background_loading_ || background_stopped_)
    return;
  if (frees_to_remove_)
    remove_frees(now, out);
  bool idle = waiting_.empty() && pipeline_.idle();
  if (background_loading_ || now.boot < quiet_until_ || pipeline_.full()
      || (!idle && now.boot.ns < background_at_.ns + options_.background_ms * ns_per_ms))
    return;
  background_at_ = now.boot;
  bool begun = forget_clients(now, out);
  begun |= !background_loading_ && clean(now, out);
  begun |= !background_loading_ && send_next_frees(now, out);
  if (!begun && !background_loading_)
    quiet_until_ = {now.boot.ns + quiet_ms * ns_per_ms};
}

/// Rows that a background step needs: nothing else is begun until they are there.
void partition_state::load_for_background(row_needs needs, partition_effects& out) {
  background_loading_ = true;
  load(std::move(needs), {load_purpose::background, {}}, out);
}

/// A row that cannot be read: nothing is cleaned, freed or forgotten here until somebody looked.
void partition_state::background_failed(const error& why, partition_effects& out) {
  background_stopped_ = true;
  report_damage(why, out);
}

evaluation_context partition_state::context_of_own(const partition_now& now) const {
  return context_of({}, now);
}

/// Puts a background step into the log. @returns false if there was nothing to do, or not yet.
bool partition_state::add_background(evaluation_result result, promise p, partition_effects& out) {
  if (auto* needs = std::get_if<row_needs>(&result)) {
    load_for_background(std::move(*needs), out);
    return false;
  }
  auto& step = std::get<evaluation>(result);
  if (const auto* why = std::get_if<error>(&step.outcome)) {
    background_failed(*why, out);
    return false;
  }
  if (step.batch.empty())
    return false;
  if (auto bytes = entry_bytes(step.batch); bytes > options_.limits.entry_bytes_max) {
    // No log takes it; to propose it would hold up everybody for ever.
    background_failed({errc::too_large, "a step of " + std::to_string(bytes) + " bytes"}, out);
    return false;
  }
  partition_entry entry;
  entry.changes = std::move(step.batch);
  promise_at(add(entry), std::move(p));
  return true;
}

/// A client that was silent so long that no late request of it may be executed any more (F20).
bool partition_state::forget_clients(const partition_now& now, partition_effects& out) {
  auto span = options_.client_forget_ms * ns_per_ms;
  if (forgetting_ || now.boot.ns < span)
    return false;
  auto silent = leases_.silent_since({now.boot.ns - span});
  if (silent.empty())
    return false;
  auto client = silent.front();
  auto result = expire_client(client.id, client.life, context_of_own(now), pipeline_.view());
  forgetting_ = add_background(std::move(result), {.kind = promise_kind::forget_client}, out);
  if (!forgetting_ && !background_loading_ && !background_stopped_)
    leases_.forgotten(client.id); // its record was gone already
  return forgetting_;
}

/// Removes what big truncates and unlinks left, one bounded entry at a time (hazards F32).
bool partition_state::clean(const partition_now& now, partition_effects& out) {
  if (cleaning_)
    return false;
  if (clean_items_.empty()) {
    auto found =
      list_clean_work(context_of_own(now), pipeline_.view(), clean_from_, options_.clean_rows_max);
    if (auto* needs = std::get_if<row_needs>(&found)) {
      load_for_background(std::move(*needs), out);
      return false;
    }
    auto& page = std::get<0>(found);
    if (!page) {
      background_failed(page.error(), out);
      return false;
    }
    clean_items_.assign(page->items.begin(), page->items.end());
    bool wrapped = page->next.empty();
    clean_from_ = std::move(page->next);
    if (clean_items_.empty())
      return !wrapped; // there is more to look at, next time
  }
  return clean_next(now, out);
}

bool partition_state::clean_next(const partition_now& now, partition_effects& out) {
  while (!clean_items_.empty()) {
    auto result = clean_step(clean_items_.front(), context_of_own(now), pipeline_.view());
    cleaning_ = add_background(std::move(result), {.kind = promise_kind::cleaning}, out);
    if (cleaning_ || background_loading_ || background_stopped_)
      return cleaning_;
    clean_items_.pop_front();
  }
  return true; // done with these: look for more
}

bool partition_state::send_next_frees(const partition_now& now, partition_effects& out) {
  auto next = frees_.next(applied_, facts_, now.boot);
  if (auto* needs = std::get_if<row_needs>(&next)) {
    load_for_background(std::move(*needs), out);
    return false;
  }
  if (const auto* why = std::get_if<error>(&next)) {
    background_failed(*why, out);
    return false;
  }
  auto* frees = std::get_if<pending_frees>(&next);
  if (!frees)
    return false;
  send_frees effect{{}, frees->drive, frees->runs};
  effect.number = frees_.started(std::move(*frees));
  out.push_back(std::move(effect));
  return true;
}

/// The drive has freed them durably: their rows go. Until that is committed the next leader sends
/// them again, which is harmless.
void partition_state::remove_frees(const partition_now& now, partition_effects& out) {
  promise p;
  p.kind = promise_kind::frees;
  p.count = frees_to_remove_->runs.size();
  auto result = frees_done(frees_to_remove_->keys, context_of_own(now), pipeline_.view());
  bool added = add_background(std::move(result), std::move(p), out);
  if (background_loading_)
    return; // again when the rows are there
  frees_to_remove_.reset();
  if (!added)
    frees_.finished();
}

} // namespace troupe
