#include "cluster/gateway/metadata_exchange.hpp"

#include <algorithm>
#include <string>

namespace troupe {

namespace {

/// After so many hints in a row that led nowhere, the next one is followed more slowly.
constexpr std::uint32_t redirects_max = 3;

bool is_registration(const meta_operation& op) {
  return std::holds_alternative<op_register_client>(op);
}
/// The first drive of new units that the view does not take data on.
std::optional<drive_uuid> unwritable_drive(const meta_operation& op, const cluster_map& map) {
  if (const auto* commit = std::get_if<op_commit_write>(&op))
    for (const auto& stripe : commit->stripes)
      for (const auto& unit : stripe.units)
        if (!map.writable(unit.run.drive))
          return unit.run.drive;
  if (const auto* repair = std::get_if<op_repair_unit>(&op))
    if (!map.writable(repair->run.drive))
      return repair->run.drive;
  return std::nullopt;
}
bool is_lease_operation(const meta_operation& op) {
  return std::holds_alternative<op_renew_leases>(op)
         || std::holds_alternative<op_acquire_write_lease>(op)
         || std::holds_alternative<op_release_lease>(op);
}

} // namespace

struct metadata_exchange::conversation {
  meta_operation operation;
  std::function<meta_operation()> make; ///< What to ask in the next attempt, if that changes.
  std::uint64_t attempt_ms = 0;
  slot_id slot;
  boot_time deadline;
  std::uint64_t sequence = 0;
  bool change = false;
  bool uncertain = false; ///< A request was sent whose fate is unknown.
  config_version config;  ///< Under which all drives of new units took data.
  std::uint32_t sent_count = 0;
  std::uint32_t redirects = 0;
  std::uint64_t backoff_ms = 0;
  // the current attempt
  group_id group;
  replica_id replica;
  incarnation session;
  boot_time sent_at;
  std::variant<meta_response, error> outcome;
  // the end
  error last_error;
  meta_answer answer{error{}, false, {}, false};
};

bool metadata_exchange::same_partition(lin a, lin b) const {
  return slot_of(a) == slot_of(b) || group_of(a) == group_of(b);
}

procedure<meta_answer> metadata_exchange::ask(meta_operation operation) {
  auto talk = std::make_shared<conversation>();
  talk->slot = slot_of(operation);
  talk->change = !is_read_only(operation) && !is_registration(operation);
  talk->deadline = ctx_.in_ms(ctx_.options.wait_ms_max);
  talk->attempt_ms = ctx_.options.meta_attempt_ms;
  talk->operation = std::move(operation);
  co_await converse(talk);
  if (talk->sequence != 0)
    sequences_.finish(talk->slot, talk->sequence);
  co_return std::move(talk->answer);
}

procedure<meta_answer> metadata_exchange::ask_anew(std::function<meta_operation()> make,
                                                   std::uint64_t attempt_ms) {
  auto talk = std::make_shared<conversation>();
  talk->operation = make();
  TROUPE_ASSERT(is_read_only(talk->operation));
  talk->slot = slot_of(talk->operation);
  talk->make = std::move(make);
  talk->attempt_ms = attempt_ms;
  talk->deadline = ctx_.in_ms(ctx_.options.wait_ms_max);
  co_await converse(talk);
  co_return std::move(talk->answer);
}

boot_time metadata_exchange::leader_changed_at(group_id group) const {
  auto it = sessions_.find(group);
  return it == sessions_.end() ? boot_time{} : it->second.since;
}

procedure<void> metadata_exchange::converse(std::shared_ptr<conversation> talk) {
  bool needs_session = talk->change || is_lease_operation(talk->operation);
  for (;;) {
    if (needs_session) {
      auto ready = co_await ensure_session(talk->slot, talk->deadline);
      if (!ready) {
        talk->answer.outcome = ready.error();
        co_return;
      }
    }
    if (talk->change && talk->uncertain
        && talk->session != sessions_[troupe::group_of(ctx_.map.view(), talk->slot)].session) {
      // Under another session it would be another change (hazards F20).
      talk->answer.outcome = wait_is_over(*talk);
      co_return;
    }
    auto unwritable = unwritable_drive(talk->operation, ctx_.map);
    if (!unwritable) {
      talk->config = ctx_.map.view().version;
    } else if (!talk->uncertain) {
      talk->answer.outcome = takes_no_data(*unwritable);
      talk->answer.definite = true;
      co_return;
    }
    if (talk->change && talk->sequence == 0)
      talk->sequence = sequences_.begin(talk->slot);
    co_await attempt(talk);
    auto step = judge(*talk);
    if (step == next_step::answer)
      co_return;
    if (ctx_.now() >= talk->deadline) {
      talk->answer.outcome = wait_is_over(*talk);
      co_return;
    }
    ++ctx_.report.meta_retries;
    if (step == next_step::new_session && talk->sequence != 0) {
      sequences_.finish(talk->slot, talk->sequence); // refused unseen, under the old session
      talk->sequence = 0;
    }
    if (step != next_step::again)
      continue;
    const auto& limits = ctx_.options;
    talk->backoff_ms =
      std::clamp(2 * talk->backoff_ms, limits.backoff_ms_min, limits.backoff_ms_max);
    auto pause_end = std::min(ctx_.in_ms(talk->backoff_ms), talk->deadline);
    co_await ctx_.map_changed.wait_until(pause_end);
  }
}

procedure<expected<void>> metadata_exchange::ensure_session(slot_id slot, boot_time deadline) {
  for (;;) {
    auto group = troupe::group_of(ctx_.map.view(), slot);
    auto& session = sessions_[group]; // a map: references stay valid
    if (session.state == group_session::phase::ready)
      co_return expected<void>{};
    if (ctx_.now() >= deadline)
      co_return error{errc::unavailable,
                      "partition " + std::to_string(group.value) + ": not registered",
                      trp::no_quorum};
    if (session.state == group_session::phase::registering) {
      co_await session.changed.wait_until(deadline);
      continue;
    }
    session.state = group_session::phase::registering;
    if (session.session < ctx_.options.first_session)
      session.session = ctx_.options.first_session;
    meta_operation registration = op_register_client{slot};
    auto answer = co_await ask(std::move(registration));
    session.state = answer.outcome ? group_session::phase::ready : group_session::phase::none;
    session.changed.wake_all();
    if (!answer.outcome)
      co_return answer.outcome.error();
    if (listener_.session_ready)
      listener_.session_ready(group, slot);
  }
}

meta_request metadata_exchange::request_of(const conversation& talk) {
  meta_request request;
  request.client = ctx_.options.client;
  request.client_incarnation = talk.session;
  request.sequence = talk.sequence;
  request.low_water = sequences_.low_water(talk.slot);
  request.config = talk.config;
  request.epoch = epoch_;
  request.operation = talk.operation;
  return request;
}

procedure<void> metadata_exchange::attempt(std::shared_ptr<conversation> talk) {
  if (talk->make) {
    talk->operation = talk->make();
    talk->slot = slot_of(talk->operation);
  }
  talk->group = troupe::group_of(ctx_.map.view(), talk->slot);
  auto to = ctx_.map.replica_to_ask(talk->group);
  if (!to) {
    talk->outcome = error{errc::unavailable,
                          "no partition is known for slot " + std::to_string(talk->slot.value)};
    co_return;
  }
  talk->replica = to->id;
  if (!ctx_.map.link_up(to->node)) {
    talk->outcome = error{errc::unavailable, "no link to node " + std::to_string(to->node.value)};
    co_return;
  }
  auto& session = sessions_[talk->group];
  talk->session = std::max(session.session, ctx_.options.first_session);
  talk->sent_at = ctx_.now();
  auto request = std::make_shared<pending_request>();
  request->node = to->node;
  meta_token token{++token_count_};
  pending_.emplace(token, request);
  ++ctx_.report.meta_requests;
  ++talk->sent_count;
  ctx_.emit(send_meta{token, to->node, talk->group, to->id, request_of(*talk)});
  auto until = std::min(ctx_.in_ms(talk->attempt_ms), talk->deadline);
  while (!request->answer && ctx_.now() < until)
    co_await request->arrived.wait_until(until);
  pending_.erase(token);
  if (request->answer)
    talk->outcome = std::move(*request->answer);
  else
    talk->outcome = error{errc::may_have_happened,
                          "no answer from node " + std::to_string(to->node.value) + " in time"};
}

metadata_exchange::next_step metadata_exchange::judge(conversation& talk) {
  if (auto* response = std::get_if<meta_response>(&talk.outcome)) {
    take_news(talk, *response);
    return judge_response(talk, *response);
  }
  auto& cause = std::get<error>(talk.outcome);
  if (cause.code != errc::unavailable)
    talk.uncertain = true;
  talk.last_error = cause;
  ctx_.map.leader_lost(talk.group, talk.replica, {});
  return talk.redirects++ < redirects_max ? next_step::again_at_once : next_step::again;
}

void metadata_exchange::take_news(const conversation& talk, const meta_response& response) {
  epoch_ = std::max(epoch_, response.epoch);
  if (response.config > ctx_.map.view().version && response.config > config_asked_) {
    config_asked_ = response.config;
    ctx_.emit(fetch_config{response.config});
  }
  auto* refusal = std::get_if<error>(&response.outcome);
  if (refusal && !response.definite) {
    switch (refusal->code) {
    case errc::not_leader:
    case errc::unavailable:
    case errc::shutdown:
    case errc::timeout:
    case errc::quarantined: return; // not a leader's voice
    default: break;
    }
  }
  ctx_.map.leader_found(talk.group, talk.replica);
  auto& session = sessions_[talk.group];
  if (session.leader == talk.replica)
    return;
  bool changed = session.leader != replica_id{0};
  session.leader = talk.replica;
  session.since = ctx_.now();
  if (changed && listener_.leader_changed)
    listener_.leader_changed(talk.group);
}

metadata_exchange::next_step metadata_exchange::judge_response(conversation& talk,
                                                               const meta_response& response) {
  auto* refusal = std::get_if<error>(&response.outcome);
  auto settle = [&] {
    talk.answer.definite = response.definite;
    talk.answer.sent_at = talk.sent_at;
    talk.answer.repeated = talk.sent_count > 1;
    if (refusal)
      talk.answer.outcome = *refusal;
    else
      talk.answer.outcome = std::get<meta_result>(response.outcome);
    return next_step::answer;
  };
  if (!refusal || response.definite)
    return settle();
  talk.last_error = *refusal;
  switch (refusal->code) {
  case errc::not_leader:
    ctx_.map.leader_lost(talk.group, talk.replica, response.leader);
    return response.leader && talk.redirects++ < redirects_max ? next_step::again_at_once
                                                               : next_step::again;
  case errc::unavailable:
  case errc::shutdown:
  case errc::quarantined:
    ctx_.map.leader_lost(talk.group, talk.replica, {});
    return next_step::again;
  case errc::timeout:
  case errc::may_have_happened: talk.uncertain = true; return next_step::again;
  case errc::behind:      // it fetches what it misses
  case errc::below_floor: // and so do we, see take_news
    return next_step::again;
  case errc::busy:
    return std::holds_alternative<op_acquire_write_lease>(talk.operation) ? settle()
                                                                          : next_step::again;
  case errc::unknown_client:
    if (!is_registration(talk.operation) && talk.session == sessions_[talk.group].session)
      forget_session(talk.group);
    else if (is_registration(talk.operation))
      ++sessions_[talk.group].session.value;
    if (talk.change && talk.uncertain) {
      // An earlier request may have been executed under the session that is gone: nobody can
      // tell any more, and a new one would be another change (hazards F20).
      talk.answer.outcome = wait_is_over(talk);
      return next_step::answer;
    }
    return next_step::new_session;
  case errc::stale:
    if (std::holds_alternative<op_commit_write>(talk.operation))
      return settle(); // its caller knows what else may be stale: lease, drives
    if (is_registration(talk.operation))
      ++sessions_[talk.group].session.value;
    return next_step::again; // the slot has moved, or the session: both are found out soon
  default: return settle();
  }
}

void metadata_exchange::forget_session(group_id group) {
  auto& session = sessions_[group];
  if (session.state != group_session::phase::ready)
    return;
  session.state = group_session::phase::none;
  ++session.session.value;
  if (listener_.session_lost)
    listener_.session_lost(group);
}

error metadata_exchange::wait_is_over(const conversation& talk) const {
  auto text = "partition " + std::to_string(talk.group.value) + ", slot "
              + std::to_string(talk.slot.value) + ": " + name_of(talk.operation) + ": "
              + to_string(talk.last_error.code);
  if (!talk.last_error.context.empty())
    text += ": " + talk.last_error.context;
  auto code = talk.change && talk.uncertain ? errc::may_have_happened : errc::unavailable;
  return error{code, std::move(text), trp::no_quorum};
}

void metadata_exchange::answered(meta_token token, meta_response response) {
  auto it = pending_.find(token);
  if (it == pending_.end())
    return;
  it->second->answer = std::move(response);
  it->second->arrived.wake_all();
}

void metadata_exchange::failed(meta_token token, error cause) {
  auto it = pending_.find(token);
  if (it == pending_.end())
    return;
  it->second->answer = std::move(cause);
  it->second->arrived.wake_all();
}

void metadata_exchange::link_broke(node_id node) {
  for (auto& [token, request] : pending_) {
    if (request->node != node || request->answer)
      continue;
    request->answer =
      error{errc::may_have_happened, "link to node " + std::to_string(node.value) + " broke"};
    request->arrived.wake_all();
  }
}

} // namespace troupe
