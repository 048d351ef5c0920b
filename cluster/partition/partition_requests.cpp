#include "cluster/partition/partition_state.hpp"

// One request on its way through the leader of a partition.

namespace troupe {

client_ref client_of(const meta_request& body) {
  return {body.client, body.client_incarnation};
}

/// Does what can be done for a request now. @returns false if it must wait for better conditions.
bool partition_state::step(waiting_request& r, const partition_now& now, partition_effects& out) {
  if (!now.may_act())
    return hold(r, obstacle::lease);
  if (needs_configuration(r, now, out))
    return hold(r, obstacle::configuration);
  const auto& operation = r.body.operation;
  if (std::holds_alternative<op_renew_leases>(operation))
    return renew(r, now, out);
  if (std::holds_alternative<op_acquire_write_lease>(operation))
    return acquire(r, now, out);
  if (const auto* release = std::get_if<op_release_lease>(&operation)) {
    leases_.release(release->id, release->lease, client_of(r.body), now.boot);
    answer(r, meta_result{done{}}, false, out);
    return true;
  }
  if (is_read_only(operation))
    return read(r, now, out);
  return change(r, now, out);
}

bool partition_state::hold(waiting_request& r, obstacle why) const {
  r.why = why;
  return false;
}

/// The sender knows more than this leader: it asks first (hazards F10, F28).
bool partition_state::needs_configuration(const waiting_request& r, const partition_now& now,
                                          partition_effects& out) {
  if (facts_.version < r.body.config) {
    fetch(r.body.config, now, out);
    return true;
  }
  // An epoch that the cluster group has not told us of yet: its configuration is on its way.
  if (epoch_ < r.body.epoch) {
    fetch(config_version{facts_.version.value + 1}, now, out);
    return true;
  }
  return false;
}

evaluation_context partition_state::context_of(const meta_request& body,
                                               const partition_now& now) const {
  evaluation_context context;
  context.now = now.wall;
  context.client = body.client;
  context.client_incarnation = body.client_incarnation;
  context.sequence = body.sequence;
  context.low_water = body.low_water;
  context.below_floor = body.config < floor_;
  context.epoch = epoch_;
  context.drives = &facts_.drives;
  context.slots = &facts_.slots;
  context.metadata_full = now.metadata_full;
  context.limits = options_.limits;
  return context;
}

/// A change is evaluated against everything before it and answered when all that is committed.
bool partition_state::change(waiting_request& r, const partition_now& now, partition_effects& out) {
  if (pipeline_.full() || now.store_overloaded)
    return hold(r, obstacle::room);
  auto self = client_of(r.body);
  if (std::holds_alternative<op_register_client>(r.body.operation) && leases_.full()
      && !leases_.is_registered(self)) {
    refuse(r, {errc::busy, std::to_string(leases_.client_count()) + " clients in one partition"},
           out);
    return true;
  }
  auto context = context_of(r.body, now);
  const auto* commit = std::get_if<op_commit_write>(&r.body.operation);
  bool unnamed = commit && leases_.is_unnamed(commit->id, commit->lease, self, now.boot);
  if (commit)
    context.lease_valid = leases_.holds(commit->id, commit->lease, self, now.boot);
  auto result = evaluate(r.body.operation, context, pipeline_.view());
  if (auto* needs = std::get_if<row_needs>(&result))
    return park(r, std::move(*needs), out);
  auto& done = std::get<evaluation>(result);
  promise p;
  p.outcome = std::move(done.outcome);
  p.definite = done.recorded;
  p.changed = !done.batch.empty();
  if (p.changed && unnamed) { // whether it holds the lease is not known yet: nothing is decided
    refuse(r, {errc::busy, "a new leader waits until the client has named its leases"}, out);
    return true;
  }
  if (p.changed) {
    p.under_lease = commit && context.lease_valid && std::holds_alternative<meta_result>(p.outcome);
    if (p.under_lease)
      leases_.commit_started(commit->id);
    partition_entry entry;
    entry.changes = std::move(done.batch);
    p.request = std::move(r);
    promise_at(add(entry), std::move(p));
    return true;
  }
  if (pipeline_.idle()) {
    if (!now.may_read()) // what was evaluated may be out of date
      return hold(r, obstacle::lease);
    p.request = std::move(r);
    keep(p, now, out);
    return true;
  }
  // It may have seen rows that are not committed yet: their fate is its fate.
  p.request = std::move(r);
  promise_at(pipeline_.newest(), std::move(p));
  return true;
}

/// A read sees committed rows only, under the lease of the moment in which it is answered.
bool partition_state::read(waiting_request& r, const partition_now& now, partition_effects& out) {
  if (!now.may_read())
    return hold(r, obstacle::lease);
  auto result = evaluate(r.body.operation, context_of(r.body, now), applied_);
  if (auto* needs = std::get_if<row_needs>(&result))
    return park(r, std::move(*needs), out);
  auto& outcome = std::get<evaluation>(result).outcome;
  // Data and size of a file that another client may be writing are not the committed ones.
  const inode_attributes* attributes = nullptr;
  if (const auto* found = std::get_if<meta_result>(&outcome)) {
    if (const auto* layout = std::get_if<layout_is>(found))
      attributes = &layout->attributes;
    else if (const auto* plain = std::get_if<attributes_are>(found))
      attributes = &plain->attributes;
  }
  if (attributes && attributes->kind == file_kind::regular) {
    auto allowed = leases_.may_read(attributes->id, r.body.client, now.boot);
    if (!allowed) {
      refuse(r, allowed.error(), out);
      return true;
    }
  }
  answer(r, std::move(outcome), false, out);
  return true;
}

// -- leases
// -----------------------------------------------------------------------------------------

bool partition_state::renew(waiting_request& r, const partition_now& now, partition_effects& out) {
  if (!now.may_read())
    return hold(r, obstacle::lease);
  const auto& held = std::get<op_renew_leases>(r.body.operation).held;
  auto renewed = leases_.renew(client_of(r.body), held, now.boot);
  if (renewed)
    answer(r, meta_result{std::move(*renewed)}, false, out);
  else
    refuse(r, renewed.error(), out);
  return true;
}

bool partition_state::acquire(waiting_request& r, const partition_now& now,
                              partition_effects& out) {
  if (!now.may_read())
    return hold(r, obstacle::lease);
  auto file = std::get<op_acquire_write_lease>(r.body.operation).id;
  auto result = evaluate(op_get_attributes{file}, context_of(r.body, now), applied_);
  if (auto* needs = std::get_if<row_needs>(&result))
    return park(r, std::move(*needs), out);
  auto& outcome = std::get<evaluation>(result).outcome;
  if (const auto* why = std::get_if<error>(&outcome)) {
    refuse(r, *why, out);
    return true;
  }
  auto& attributes = std::get<attributes_are>(std::get<meta_result>(outcome)).attributes;
  if (attributes.kind != file_kind::regular) {
    refuse(r, {errc::invalid_argument, to_string(file) + " is no regular file"}, out);
    return true;
  }
  auto lease = leases_.acquire(file, client_of(r.body), false, now.boot);
  if (!lease)
    refuse(r, lease.error(), out);
  else
    answer(r, meta_result{lease_granted{*lease, options_.leases.lease_ms, attributes}}, false, out);
  return true;
}

/// A create may bring the write lease along; if it cannot, the client asks for it.
void partition_state::attach_lease(promise& p, const partition_now& now) {
  const auto* create = std::get_if<op_create>(&p.request.body.operation);
  auto* result = std::get_if<meta_result>(&p.outcome);
  if (!create || !create->want_lease || !result || !now.may_read())
    return;
  auto* entry = std::get_if<entry_found>(result);
  if (!entry || entry->kind != file_kind::regular)
    return;
  auto lease = leases_.acquire(entry->child, client_of(p.request.body), p.changed, now.boot);
  if (lease)
    entry->lease = granted_lease{*lease, options_.leases.lease_ms};
}

// -- answers
// ----------------------------------------------------------------------------------------

/// Sets a request aside until its rows are in memory. Others go on meanwhile.
bool partition_state::park(waiting_request& r, row_needs needs, partition_effects& out) {
  ++counters_.restarts;
  if (++r.restarts > options_.restarts_max) {
    refuse(r, {errc::busy, "rows are evicted faster than they are used"}, out);
    return true;
  }
  r.why = obstacle::rows;
  load(std::move(needs), {load_purpose::request, std::move(r)}, out);
  return true;
}

void partition_state::answer(const waiting_request& r, std::variant<meta_result, error> outcome,
                             bool definite, partition_effects& out) {
  auto& counted = counters_.operations[name_of(r.body.operation)];
  ++(std::holds_alternative<meta_result>(outcome) ? counted.succeeded : counted.refused);
  meta_response response;
  response.outcome = std::move(outcome);
  response.definite = definite;
  response.config = facts_.version;
  response.epoch = epoch_;
  response.leader = role_.leader;
  out.push_back(reply_meta{r.token, std::move(response)});
}

void partition_state::refuse(const waiting_request& r, error why, partition_effects& out) {
  answer(r, std::move(why), false, out);
}

/// Why a request that waited too long could not go on.
error partition_state::refusal_of(const waiting_request& r, const partition_now& now) const {
  auto partition = "partition " + std::to_string(group_.value);
  switch (r.why) {
  case obstacle::configuration:
    return {errc::behind,
            partition + " knows configuration " + std::to_string(facts_.version.value)};
  case obstacle::lease:
    if (!now.may_act())
      return {errc::unavailable, "this node holds no lease of the cluster group", trp::no_quorum};
    return {errc::unavailable, explain_missing(facts_, group_, missing_), trp::no_quorum};
  case obstacle::room: return {errc::busy, partition + " has too much in flight"};
  case obstacle::rows: return {errc::unavailable, partition + ": rows were not read in time"};
  case obstacle::none:
  case obstacle::opening: break;
  }
  return {errc::unavailable,
          partition + " has no ready leader yet: " + explain_missing(facts_, group_, missing_)};
}

} // namespace troupe
