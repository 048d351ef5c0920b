#include "cluster/partition/partition_state.hpp"

#include "storage/base/assert.hpp"
#include "storage/meta/meta_keys.hpp"
#include "storage/meta/partition_format.hpp"
#include "storage/meta/session_format.hpp"

#include <algorithm>

namespace troupe {

namespace {

constexpr std::uint64_t ns_per_ms = 1'000'000;

bool passed(boot_time since, std::uint64_t ms, boot_time now) {
  return now.ns >= since.ns + ms * ns_per_ms;
}

error not_leader(group_id group) {
  return {errc::not_leader, "partition " + std::to_string(group.value)};
}

} // namespace

partition_state::partition_state(group_id group, replica_id self, const table_view& applied,
                                 partition_options options)
  : group_(group), self_(self), applied_(applied), options_(options), leases_(options.leases),
    pipeline_(applied, options.pipeline),
    frees_(options.frees_retry_ms, options.frees_batches_max) {
  options_.limits.lease_ms = options_.leases.lease_ms;
}

// -- inputs ---------------------------------------------------------------------------------------

void partition_state::request(partition_token token, meta_request body, const partition_now& now,
                              partition_effects& out) {
  ++counters_.operations[name_of(body.operation)].received;
  waiting_request r{token, std::move(body), now.boot, 0, obstacle::opening};
  if (phase_ == phase::following) {
    bool alone = leaderless_since_ && passed(*leaderless_since_, options_.leaderless_ms, now.boot);
    return refuse(r,
                  alone
                    ? error{errc::unavailable, explain_missing(facts_, group_, {}), trp::no_quorum}
                    : not_leader(group_),
                  out);
  }
  if (damage_)
    return refuse(r, *damage_, out);
  if (request_count() >= options_.requests_max)
    return refuse(r, {errc::busy, std::to_string(request_count()) + " requests wait"}, out);
  waiting_.push_back(std::move(r));
  pump(now, out);
}

void partition_state::raise_floor(partition_token token, config_version version,
                                  const partition_now& now, partition_effects& out) {
  if (phase_ == phase::following) {
    out.push_back(reply_floor{token, not_leader(group_)});
    return;
  }
  floors_.push_back({token, version, now.boot});
  pump(now, out);
}

void partition_state::rows_loaded(load_token token, const expected<void>& outcome,
                                  const partition_now& now, partition_effects& out) {
  auto at = loads_.find(token);
  if (at == loads_.end())
    return; // leadership changed meanwhile
  auto record = std::move(at->second);
  loads_.erase(at);
  if (record.purpose == load_purpose::request && !outcome)
    refuse(record.request, outcome.error(), out);
  else if (record.purpose == load_purpose::request)
    waiting_.push_front(std::move(record.request));
  else if (!outcome && record.purpose == load_purpose::opening)
    opening_failed(outcome.error(), out);
  else if (!outcome)
    background_failed(outcome.error(), out);
  if (record.purpose == load_purpose::background)
    background_loading_ = false;
  pump(now, out);
}

void partition_state::applied(const table_batch& rows, const partition_now& now,
                              partition_effects& out) {
  if (phase_ != phase::serving)
    return; // a leader reads what it must know when it begins to serve
  // Everything of earlier leaders was applied before; what comes now is ours, in order.
  if (pipeline_.in_flight())
    pipeline_.applied();
  watch(rows, now, out);
}

void partition_state::proposal_finished(batch_number batch, bool committed,
                                        const partition_now& now, partition_effects& out) {
  if (batch != batch_ || !pipeline_.in_flight())
    return; // of a leadership that is gone
  if (committed) {
    keep_promises(pipeline_.committed(), now, out);
  } else {
    lose(out);
    phase_ = role_.leads ? phase::elected : phase::following;
  }
  pump(now, out);
}

void partition_state::proposal_refused(batch_number batch, const partition_now&,
                                       partition_effects&) {
  if (batch == batch_ && pipeline_.in_flight())
    pipeline_.refused(); // the next input tries again
}

void partition_state::role_changed(const partition_role& role, const partition_now& now,
                                   partition_effects& out) {
  auto before = std::exchange(role_, role);
  if (role.leader || role.leads)
    leaderless_since_.reset();
  else if (!leaderless_since_)
    leaderless_since_ = now.boot;
  if (phase_ != phase::following && (!role.leads || role.term != before.term)) {
    lose(out);
    phase_ = phase::following;
    out.push_back(partition_event{
      event_severity::info,
      "partition_leadership_lost",
      {{"partition", std::to_string(group_.value)}, {"term", std::to_string(before.term)}}});
  }
  if (role.leads && phase_ == phase::following) {
    phase_ = phase::elected;
    elected_ = now.boot;
    damage_.reset();
    background_stopped_ = false;
  }
  if (role.ready && phase_ == phase::elected) {
    phase_ = phase::opening;
    client_reading_ = {};
  }
  pump(now, out);
}

void partition_state::adopt(const cluster_config& config, const partition_now& now,
                            partition_effects& out) {
  if (config.version <= facts_.version)
    return;
  facts_ = facts_for(config, group_);
  pump(now, out);
}

void partition_state::frees_sent(free_number number, bool taken, const partition_now& now,
                                 partition_effects& out) {
  if (auto frees = frees_.sent(number, taken, now.boot))
    frees_to_remove_ = std::move(frees);
  quiet_until_ = {};
  pump(now, out);
}

void partition_state::tick(std::vector<replica_id> missing, const partition_now& now,
                           partition_effects& out) {
  missing_ = std::move(missing);
  if (!leaderless_since_ && !role_.leader && !role_.leads)
    leaderless_since_ = now.boot;
  if (phase_ == phase::serving && now.may_read())
    leases_.tick(now.boot);
  pump(now, out);
  expire_waiting(now, out);
}

// -- life cycle
// -------------------------------------------------------------------------------------

void partition_state::pump(const partition_now& now, partition_effects& out) {
  if (phase_ == phase::opening)
    open(now, out);
  if (phase_ != phase::serving)
    return;
  auto conditions_now = [&] {
    return conditions{now.may_act(), now.may_read(), pipeline_.full() || now.store_overloaded,
                      facts_.version, floor_};
  };
  if (!held_.empty() && held_under_ != conditions_now()) {
    waiting_.insert(waiting_.begin(), std::make_move_iterator(held_.begin()),
                    std::make_move_iterator(held_.end()));
    held_.clear();
  }
  adopt_floor_and_epoch(now, out);
  while (!waiting_.empty()) {
    auto r = std::move(waiting_.front());
    waiting_.pop_front();
    if (!step(r, now, out))
      held_.push_back(std::move(r));
  }
  held_under_ = conditions_now(); // before `propose` makes room: the next input looks again
  background(now, out);
  propose(now, out);
}

/// Reads what a leader keeps in memory, then serves. Called until it could.
void partition_state::open(const partition_now& now, partition_effects& out) {
  bool loading = std::any_of(loads_.begin(), loads_.end(), [](const auto& x) {
    return x.second.purpose == load_purpose::opening;
  });
  if (loading || damage_)
    return;
  if (!facts_.version)
    return fetch(config_version{1}, now, out);
  auto found = read_opening_rows();
  if (auto* needs = std::get_if<row_needs>(&found))
    return load(std::move(*needs), {load_purpose::opening, {}}, out);
  if (auto* why = std::get_if<error>(&found))
    return opening_failed(*why, out);
  const auto& rows = std::get<opening_rows>(found);
  if (facts_.version < rows.floor)
    return fetch(rows.floor, now, out);
  floor_ = rows.floor;
  epoch_ = rows.epoch;
  leases_.begin(role_.term, elected_, rows.clients);
  client_reading_ = {};
  phase_ = phase::serving;
  ++counters_.elections;
  if (!rows.root_exists) {
    partition_entry first;
    first.changes = root_directory_rows(0, 0, options_.root_mode, now.wall, epoch_);
    promise_at(add(first), {.kind = promise_kind::other});
  }
  out.push_back(partition_event{event_severity::info,
                                "partition_serving",
                                {{"partition", std::to_string(group_.value)},
                                 {"term", std::to_string(role_.term)},
                                 {"clients", std::to_string(rows.clients.size())}}});
}

/// Leads, but cannot serve: says why to everybody, until another replica leads.
void partition_state::opening_failed(const error& why, partition_effects& out) {
  damage_ = why;
  report_damage(why, out);
  for (auto& r : std::exchange(waiting_, {}))
    refuse(r, why, out);
}

void partition_state::report_damage(const error& why, partition_effects& out) const {
  out.push_back(
    partition_event{event_severity::error,
                    "partition_damaged",
                    {{"partition", std::to_string(group_.value)}, {"reason", describe(why)}}});
}

/// What `open` must know from the applied rows.
std::variant<partition_state::opening_rows, row_needs, error> partition_state::read_opening_rows() {
  opening_rows found;
  row_needs needs;
  std::optional<error> damage;
  auto get = [&](const std::string& key) {
    auto row = applied_.get(key);
    if (row.state == row_state::unknown)
      needs.keys.push_back(key);
    return row;
  };
  auto floor_of = [&](const std::string& key) -> std::uint64_t {
    auto row = get(key);
    if (row.state != row_state::found)
      return 0;
    auto floor = decode_floor(row.value);
    if (!floor)
      damage = floor.error();
    return floor ? floor->value : 0;
  };
  found.floor = config_version{floor_of(floor_config_key())};
  found.epoch = snapshot_epoch{std::max<std::uint64_t>(1, floor_of(floor_epoch_key()))};
  if (facts_.slots.test(slot_of(root_lin).value)) {
    // A root that is lost is not made again: then the slot's own row is there, without it.
    bool root = get(inode_key(root_lin)).state == row_state::found;
    bool slot = get(slot_key(slot_of(root_lin))).state == row_state::found;
    found.root_exists = root || slot;
    if (slot && !root && needs.empty())
      damage = error{errc::corrupt, "the root directory is missing"};
  }
  auto clients = read_clients();
  if (auto* range = std::get_if<table_range>(&clients))
    needs.ranges.push_back(std::move(*range));
  else if (auto* why = std::get_if<error>(&clients))
    damage = std::move(*why);
  if (!needs.empty())
    return needs;
  if (damage)
    return *damage;
  found.clients = client_reading_.clients;
  return found;
}

/// Goes on where it stopped. @returns what must be in memory for the next step.
std::variant<std::monostate, table_range, error> partition_state::read_clients() {
  auto here = table_keys(meta_table::here);
  auto& at = client_reading_;
  for (;;) {
    auto page = applied_.scan({at.next.empty() ? here.begin : at.next, here.end, 256, false});
    if (page.missing)
      return *page.missing;
    for (const auto& row : page.rows) {
      auto client = parse_here_key(row.key);
      auto record = decode_here(row.value);
      if (!client || !record)
        return error{errc::corrupt, "record of a client"};
      if (!record->expired)
        at.clients[*client] = record->client_incarnation;
    }
    if (!page.more)
      return {};
    at.next = page.rows.back().key + '\0';
  }
}

/// Leadership is gone: everything that waits is told so.
void partition_state::lose(partition_effects& out) {
  auto proposed = pipeline_.proposed();
  auto promises = std::exchange(promises_, {});
  for (auto& p : promises) {
    error why = p.number <= proposed
                  ? error{errc::may_have_happened,
                          "partition " + std::to_string(group_.value) + " changed its leader"}
                  : not_leader(group_);
    if (p.kind == promise_kind::floor)
      out.push_back(reply_floor{p.request.token, why});
    else if (p.kind == promise_kind::answer && !p.answered)
      refuse(p.request, why, out);
  }
  for (auto& f : std::exchange(floors_, {}))
    out.push_back(reply_floor{f.token, not_leader(group_)});
  for (auto& r : std::exchange(waiting_, {}))
    refuse(r, not_leader(group_), out);
  for (auto& r : std::exchange(held_, {}))
    refuse(r, not_leader(group_), out);
  for (auto& [token, record] : std::exchange(loads_, {}))
    if (record.purpose == load_purpose::request)
      refuse(record.request, not_leader(group_), out);
  pipeline_.clear();
  leases_.end();
  frees_.reset();
  frees_to_remove_.reset();
  background_loading_ = false;
  forgetting_ = false;
  cleaning_ = false;
  clean_items_.clear();
  clean_from_.clear();
}

// -- into the log
// -----------------------------------------------------------------------------------

std::uint64_t partition_state::add(const partition_entry& change) {
  ++counters_.changes;
  return pipeline_.add(change);
}

void partition_state::promise_at(std::uint64_t number, promise p) {
  TROUPE_ASSERT(promises_.empty() || promises_.back().number <= number);
  p.number = number;
  promises_.push_back(std::move(p));
}

void partition_state::propose(const partition_now& now, partition_effects& out) {
  if (!now.may_act() || !pipeline_.can_propose())
    return;
  propose_entries effect{batch_number{++batch_.value}, pipeline_.propose()};
  ++counters_.batches;
  counters_.entries += effect.entries.size();
  for (const auto& entry : effect.entries)
    counters_.entry_bytes += entry.size();
  out.push_back(std::move(effect));
}

void partition_state::adopt_floor_and_epoch(const partition_now& now, partition_effects& out) {
  if (facts_.epoch > epoch_) {
    epoch_ = facts_.epoch;
    partition_entry change;
    change.adopted_epoch = epoch_;
    promise_at(add(change), {.kind = promise_kind::other});
  }
  for (auto& f : std::exchange(floors_, {})) {
    if (facts_.version < f.version) {
      fetch(f.version, now, out);
      floors_.push_back(f);
      continue;
    }
    if (floor_ < f.version) {
      floor_ = f.version;
      partition_entry change;
      change.adopted_config = floor_;
      add(change);
    }
    promise p;
    p.kind = promise_kind::floor;
    p.request.token = f.token;
    p.request.arrived = f.arrived;
    if (pipeline_.idle())
      keep(p, now, out); // adopted and committed long ago
    else
      promise_at(pipeline_.newest(), std::move(p));
  }
}

void partition_state::keep_promises(std::uint64_t committed, const partition_now& now,
                                    partition_effects& out) {
  quiet_until_ = {}; // there may be something to clean now
  while (!promises_.empty() && promises_.front().number <= committed) {
    auto p = std::move(promises_.front());
    promises_.pop_front();
    keep(p, now, out);
  }
}

void partition_state::keep(promise& p, const partition_now& now, partition_effects& out) {
  switch (p.kind) {
  case promise_kind::answer: return keep_answer(p, now, out);
  case promise_kind::floor: out.push_back(reply_floor{p.request.token, {}}); return;
  case promise_kind::forget_client: forgetting_ = false; return;
  case promise_kind::cleaning:
    cleaning_ = false;
    ++counters_.cleaned;
    return;
  case promise_kind::frees:
    frees_.finished();
    counters_.freed_runs += p.count;
    return;
  case promise_kind::other: return;
  }
}

void partition_state::keep_answer(promise& p, const partition_now& now, partition_effects& out) {
  bool success = std::holds_alternative<meta_result>(p.outcome);
  if (const auto* commit = std::get_if<op_commit_write>(&p.request.body.operation)) {
    bool release = commit->release_lease && success;
    if (p.under_lease)
      leases_.commit_finished(commit->id, release, now.boot);
    else if (release)
      leases_.release(commit->id, commit->lease, client_of(p.request.body), now.boot);
  }
  if (p.answered)
    return;
  if (!now.may_act()) // committed, but this node may be cut off: it must not say so (F6)
    return refuse(p.request,
                  {errc::may_have_happened, "this node holds no lease of the cluster group"}, out);
  attach_lease(p, now);
  answer(p.request, std::move(p.outcome), p.definite, out);
}

/// Committed rows that the leader keeps a memory of.
void partition_state::watch(const table_batch& rows, const partition_now& now,
                            partition_effects& out) {
  for (const auto& row : rows) {
    if (row.key.empty() || table_of_key(row.key) != meta_table::here)
      continue;
    auto client = parse_here_key(row.key);
    TROUPE_ASSERT(client);
    expected<here_row> record = here_row{};
    if (row.value)
      record = decode_here(*row.value);
    TROUPE_ASSERT(record);
    if (row.value && !record->expired) {
      leases_.registered({*client, record->client_incarnation}, now.boot);
    } else {
      leases_.forgotten(*client);
      out.push_back(partition_event{
        event_severity::info,
        "client_forgotten",
        {{"partition", std::to_string(group_.value)}, {"client", std::to_string(client->value)}}});
    }
  }
}

// -- waiting
// ----------------------------------------------------------------------------------------

void partition_state::load(row_needs needs, load_record record, partition_effects& out) {
  load_token token{++load_tokens_};
  loads_.emplace(token, std::move(record));
  out.push_back(load_rows{token, std::move(needs)});
}

void partition_state::fetch(config_version at_least, const partition_now& now,
                            partition_effects& out) {
  if (fetched_ >= at_least && !passed(fetched_at_, options_.fetch_ms, now.boot))
    return;
  fetched_ = at_least;
  fetched_at_ = now.boot;
  out.push_back(fetch_newer_config{at_least});
}

std::size_t partition_state::request_count() const {
  return waiting_.size() + held_.size() + loads_.size() + promises_.size();
}

/// Refuses what waited too long, saying for what.
void partition_state::expire_waiting(const partition_now& now, partition_effects& out) {
  auto overdue = [&](const waiting_request& r) {
    auto limit = r.why == obstacle::configuration ? options_.behind_ms_max : options_.wait_ms_max;
    return passed(r.arrived, limit, now.boot);
  };
  for (auto* queue : {&waiting_, &held_})
    std::erase_if(*queue, [&](const waiting_request& r) {
      if (!overdue(r))
        return false;
      refuse(r, refusal_of(r, now), out);
      return true;
    });
  std::erase_if(loads_, [&](const auto& x) {
    const auto& record = x.second;
    if (record.purpose != load_purpose::request || !overdue(record.request))
      return false;
    refuse(record.request, refusal_of(record.request, now), out);
    return true;
  });
  std::erase_if(floors_, [&](const waiting_floor& f) {
    if (!passed(f.arrived, options_.wait_ms_max, now.boot))
      return false;
    out.push_back(reply_floor{
      f.token, error{errc::behind, "configuration " + std::to_string(f.version.value)}});
    return true;
  });
  for (auto& p : promises_) {
    if (p.kind != promise_kind::answer || p.answered
        || !passed(p.request.arrived, options_.wait_ms_max, now.boot))
      continue;
    p.answered = true;
    refuse(p.request,
           {errc::may_have_happened, explain_missing(facts_, group_, missing_), trp::no_quorum},
           out);
  }
}

partition_counters partition_state::counters() const {
  auto out = counters_;
  out.clients = leases_.client_count();
  out.leases = leases_.lease_count();
  out.waiting = request_count();
  return out;
}

} // namespace troupe
