#include "cluster/gateway/lease_keeper.hpp"

#include <algorithm>

namespace troupe {

namespace {
boot_time after_ms(boot_time from, std::uint64_t ms) {
  return {from.ns + ms * 1'000'000};
}
} // namespace

std::optional<lease_id> lease_keeper::held(lin file) const {
  auto it = leases_.find(file);
  if (it == leases_.end())
    return std::nullopt;
  return it->second.lease;
}

bool lease_keeper::good(lin file) const {
  auto it = leases_.find(file);
  return it != leases_.end() && !it->second.doubtful && ctx_.now() < it->second.runs_out;
}

bool lease_keeper::recalled(lin file) const {
  auto it = leases_.find(file);
  return it != leases_.end() && it->second.recalled;
}

procedure<expected<lease_granted>> lease_keeper::acquire(lin file, const bool* give_up) {
  while (releasing_.contains(file))
    co_await released_.wait();
  auto deadline = ctx_.in_ms(ctx_.options.wait_ms_max);
  for (;;) {
    meta_operation operation = op_acquire_write_lease{file};
    auto answer = co_await partitions_.ask(std::move(operation));
    if (answer.outcome) {
      auto* granted = std::get_if<lease_granted>(&*answer.outcome);
      if (!granted)
        co_return error{errc::corrupt, "a partition answered a lease with something else"};
      bool ours = co_await adopt(file, {granted->lease, granted->lease_ms}, answer.sent_at);
      if (ours)
        co_return std::move(*granted);
      answer.outcome = error{errc::busy, "the write lease of " + to_string(file)
                                           + " came from a leader of the past"};
    }
    if (answer.outcome.error().code != errc::busy || ctx_.now() >= deadline)
      co_return answer.outcome.error();
    if (give_up && *give_up)
      co_return error{errc::interrupted, to_string(file)};
    co_await sleep_until(ctx_.in_ms(ctx_.options.lease_retry_ms));
  }
}

procedure<bool> lease_keeper::adopt(lin file, granted_lease lease, boot_time sent_at) {
  bool first = leases_.empty();
  auto group = partitions_.group_of(file);
  bool doubtful = is_doubtful(group, lease.lease, sent_at);
  auto& record = leases_[file];
  record.lease = lease.lease;
  record.lease_ms = lease.lease_ms;
  record.runs_out = after_ms(sent_at, lease.lease_ms);
  record.doubtful = doubtful;
  record.recalled = false;
  if (first)
    more_.wake_all();
  if (!doubtful)
    co_return true;
  co_await confirm(file);
  if (held(file) == lease.lease && good(file))
    co_return true;
  if (held(file) == lease.lease)
    leases_.erase(file); // nobody answered: it ends by itself
  co_return false;
}

/// A grant that travelled for long may come from a leader that is none any more, and whose
/// successor has heard the list of this client's leases without it (hazards F14).
bool lease_keeper::is_doubtful(group_id group, lease_id lease, boot_time sent_at) {
  auto& known = groups_[group];
  auto term = lease.value >> 32;
  bool is_old = term < known.term;
  known.term = std::max(known.term, term);
  return is_old || partitions_.leader_changed_at(group) > sent_at;
}

procedure<expected<void>> lease_keeper::wait_until_good(lin file) {
  auto deadline = ctx_.in_ms(ctx_.options.wait_ms_max);
  for (;;) {
    auto it = leases_.find(file);
    if (it == leases_.end())
      co_return error{errc::stale, "the write lease of " + to_string(file) + " is lost"};
    if (good(file))
      co_return expected<void>{};
    if (ctx_.now() >= deadline)
      co_return error{errc::unavailable,
                      "the write lease of " + to_string(file) + " could not be renewed",
                      trp::no_quorum};
    co_await renewed_.wait_until(deadline);
  }
}

procedure<void> lease_keeper::release(lin file) {
  auto it = leases_.find(file);
  if (it == leases_.end())
    co_return;
  meta_operation operation = op_release_lease{file, it->second.lease};
  leases_.erase(it);
  renewed_.wake_all(); // nobody need wait for its renewal
  ++releasing_[file];
  // If the partition does not hear it, the lease runs out there: nothing names it any more.
  auto answer = co_await partitions_.ask(std::move(operation));
  static_cast<void>(answer);
  if (--releasing_[file] == 0)
    releasing_.erase(file);
  released_.wake_all();
}

procedure<void> lease_keeper::confirm(lin file) {
  auto group = partitions_.group_of(file);
  while (groups_[group].renewing) // it may have begun before the newest lease
    co_await renewed_.wait();
  co_await renew_group(group);
}

procedure<void> lease_keeper::renew_for_ever() {
  for (;;) {
    auto pause = leases_.empty() ? ctx_.options.idle_renew_ms : ctx_.options.lease_renew_ms;
    co_await more_.wait_until(ctx_.in_ms(pause));
    std::set<group_id> due;
    for (const auto& [group, record] : groups_)
      if (ctx_.now() >= after_ms(record.renewed_at, ctx_.options.idle_renew_ms))
        due.insert(group);
    for (const auto& [file, record] : leases_) {
      auto group = partitions_.group_of(file);
      if (ctx_.now() >= after_ms(groups_[group].renewed_at, ctx_.options.lease_renew_ms))
        due.insert(group);
    }
    for (auto group : due)
      if (!groups_[group].renewing)
        ctx_.run.start(renew_group(group));
  }
}

procedure<void> lease_keeper::renew_group(group_id group) {
  auto& state = groups_[group]; // a map: the reference stays valid
  state.renewing = true;
  do {
    state.again = false;
    state.renewed_at = ctx_.now();
    lose_run_out(group);
    // Each attempt names what is held then: a leader that is found late must not hear an old list.
    auto named = std::make_shared<std::vector<held_lease>>();
    std::function<meta_operation()> make = [this, group, named]() -> meta_operation {
      auto request = renewal_of(group);
      *named = request.held;
      return request;
    };
    auto answer = co_await partitions_.ask_anew(std::move(make), ctx_.options.lease_attempt_ms);
    auto* news = answer.outcome ? std::get_if<leases_renewed>(&*answer.outcome) : nullptr;
    if (news)
      take_news(*named, *news, answer.sent_at);
    lose_run_out(group); // while nobody answered
  } while (state.again);
  state.renewing = false;
  renewed_.wake_all();
}

op_renew_leases lease_keeper::renewal_of(group_id group) const {
  op_renew_leases request;
  request.slot = groups_.at(group).slot;
  for (const auto& [file, record] : leases_)
    if (partitions_.group_of(file) == group && may_name(record))
      request.held.push_back({file, record.lease});
  if (!request.held.empty())
    request.slot = slot_of(request.held.front().id);
  return request;
}

/// A new leader believes what it is told: it does not know that the one before it had given the
/// file to another client, who wrote and gave it back. That client wrote when this lease had run
/// out. One that ran out is asked for anew, and the answer tells whether the file has changed.
bool lease_keeper::may_name(const lease_record& record) const {
  return ctx_.now() < record.runs_out;
}

void lease_keeper::lose_run_out(group_id group) {
  std::vector<lin> files;
  for (const auto& [file, record] : leases_)
    if (partitions_.group_of(file) == group && !may_name(record))
      files.push_back(file);
  for (auto file : files)
    lose(file);
}

void lease_keeper::take_news(const std::vector<held_lease>& named, const leases_renewed& news,
                             boot_time sent_at) {
  auto contains = [](const std::vector<lin>& list, lin file) {
    return std::find(list.begin(), list.end(), file) != list.end();
  };
  for (const auto& [file, lease] : named) {
    auto it = leases_.find(file);
    if (it == leases_.end() || it->second.lease != lease)
      continue; // released, or another grant, meanwhile
    if (contains(news.lost, file)) {
      lose(file);
      continue;
    }
    auto& record = it->second;
    record.runs_out = std::max(record.runs_out, after_ms(sent_at, record.lease_ms));
    record.doubtful = false;
    if (contains(news.recalled, file) && !std::exchange(record.recalled, true)
        && listener_.recalled)
      listener_.recalled(file);
  }
}

void lease_keeper::lose(lin file) {
  if (leases_.erase(file) > 0 && listener_.lost)
    listener_.lost(file);
  renewed_.wake_all(); // nobody need wait for its renewal
}

void lease_keeper::session_ready(group_id group, slot_id slot) {
  auto& record = groups_[group];
  record.slot = slot;
  record.renewed_at = ctx_.now();
  if (!std::exchange(running_, true))
    ctx_.run.start(renew_for_ever());
}

void lease_keeper::session_lost(group_id group) {
  std::vector<lin> files;
  for (const auto& [file, record] : leases_)
    if (partitions_.group_of(file) == group)
      files.push_back(file);
  for (auto file : files)
    lose(file);
  renewed_.wake_all();
}

void lease_keeper::leader_changed(group_id group) {
  auto it = groups_.find(group);
  if (it == groups_.end())
    return;
  if (it->second.renewing)
    it->second.again = true;
  else
    ctx_.run.start(renew_group(group));
}

} // namespace troupe
