#include "storage/meta/sessions.hpp"

#include "storage/base/assert.hpp"

namespace troupe {

namespace {

std::string object_of_client(const evaluation_context& context) {
  return "client " + std::to_string(context.client.value) + " incarnation "
         + std::to_string(context.client_incarnation.value);
}

/// The client is registered with this incarnation and alive.
expected<void> check_here(evaluation_scope& scope) {
  const auto& context = scope.context;
  auto here = scope.find(here_key(context.client), decode_here);
  if (!here)
    return here.error();
  if (!*here || (*here)->client_incarnation < context.client_incarnation)
    return error{errc::unknown_client, object_of_client(context)};
  if (context.client_incarnation < (*here)->client_incarnation)
    return error{errc::stale, object_of_client(context) + " was replaced"};
  if ((*here)->expired)
    return error{errc::unknown_client, object_of_client(context) + " has expired"};
  return {};
}

inode_attributes attributes_now(lin id, evaluation_scope& scope) {
  inode_attributes none;
  none.id = id;
  if (!scope.is_local(id))
    return none;
  auto row = scope.find_inode(id);
  return row && *row ? attributes_of(id, **row) : none;
}

} // namespace

expected<session_verdict> check_session(evaluation_scope& scope, slot_id slot) {
  const auto& context = scope.context;
  if (context.sequence == 0 || context.low_water >= context.sequence)
    return error{errc::invalid_argument, "sequence " + std::to_string(context.sequence)
                                           + " low water " + std::to_string(context.low_water)};
  auto stored = scope.find(session_key(slot, context.client), decode_session);
  if (auto ok = check_here(scope); !ok)
    return ok.error();
  if (!stored)
    return stored.error();
  session_verdict verdict;
  if (*stored && (*stored)->client_incarnation == context.client_incarnation)
    verdict.session = std::move(**stored);
  else // what an earlier incarnation did here, nobody asks for any more
    verdict.session.client_incarnation = context.client_incarnation;

  auto& session = verdict.session;
  if (context.sequence <= session.low_water)
    return error{errc::stale, object_of_client(context) + " sequence "
                                + std::to_string(context.sequence) + " was acknowledged"};
  if (auto it = session.results.find(context.sequence); it != session.results.end()) {
    verdict.result = it->second;
    return verdict;
  }
  if (session.low_water < context.low_water) {
    session.low_water = context.low_water;
    session.results.erase(session.results.begin(), session.results.upper_bound(context.low_water));
  }
  // The oldest change of a client is always let in: the mark moves only when it is answered.
  if (context.sequence - session.low_water > context.limits.session_results_max)
    return error{errc::busy, object_of_client(context) + " sequence "
                               + std::to_string(context.sequence) + " is too far above "
                               + std::to_string(session.low_water)};
  return verdict;
}

stored_result to_stored(const std::variant<meta_result, error>& outcome) {
  if (const auto* refusal = std::get_if<error>(&outcome))
    return stored_refusal{refusal->code, refusal->id};
  return std::visit(
    [](const auto& x) -> stored_result {
      using T = std::decay_t<decltype(x)>;
      if constexpr (std::is_same_v<T, entry_found>)
        return stored_entry{x.child, x.kind};
      else if constexpr (std::is_same_v<T, attributes_are>)
        return stored_attributes{x.attributes.id};
      else if constexpr (std::is_same_v<T, write_committed>)
        return stored_commit{x.attributes.id, x.stripes.empty() ? stripe_id{} : x.stripes.front(),
                             static_cast<std::uint32_t>(x.stripes.size())};
      else {
        TROUPE_ASSERT((std::is_same_v<T, done>));
        return stored_done{};
      }
    },
    std::get<meta_result>(outcome));
}

std::variant<meta_result, error> from_stored(const stored_result& result, evaluation_scope& scope) {
  using outcome = std::variant<meta_result, error>;
  struct rebuild {
    evaluation_scope& scope;
    outcome operator()(const stored_refusal& x) const {
      return error{x.code, "as answered before", x.id};
    }
    outcome operator()(const stored_done&) const { return meta_result{done{}}; }
    outcome operator()(const stored_entry& x) const {
      entry_found found{x.child, x.kind, {}, {}};
      if (scope.is_local(x.child))
        found.attributes = attributes_now(x.child, scope);
      return meta_result{std::move(found)};
    }
    outcome operator()(const stored_attributes& x) const {
      return meta_result{attributes_are{attributes_now(x.id, scope)}};
    }
    outcome operator()(const stored_commit& x) const {
      write_committed committed{attributes_now(x.id, scope), {}};
      for (std::uint64_t i = 0; i < x.stripe_count; ++i)
        committed.stripes.push_back(stripe_id{x.first_stripe.value + i});
      return meta_result{std::move(committed)};
    }
  };
  return std::visit(rebuild{scope}, result);
}

expected<meta_result> run(const op_register_client&, evaluation_scope& scope) {
  const auto& context = scope.context;
  if (!context.client || !context.client_incarnation)
    return error{errc::invalid_argument, "client 0 or incarnation 0"};
  auto here = scope.find(here_key(context.client), decode_here);
  if (!here)
    return here.error();
  meta_result registered{client_registered{context.limits.lease_ms}};
  if (*here) {
    if (context.client_incarnation < (*here)->client_incarnation)
      return error{errc::stale, object_of_client(context) + " was replaced"};
    if (context.client_incarnation == (*here)->client_incarnation) {
      if ((*here)->expired)
        return error{errc::stale, object_of_client(context) + " has expired"};
      return registered;
    }
  }
  scope.rows.put(here_key(context.client),
                 encode(here_row{context.client_incarnation, false, context.now}));
  return registered;
}

evaluation_result expire_client(client_id client, incarnation client_incarnation,
                                const evaluation_context& context, const table_view& view) {
  evaluation_scope scope{context, view};
  evaluation out{{}, meta_result{done{}}, false};
  auto here = scope.find(here_key(client), decode_here);
  if (here && *here && (*here)->client_incarnation == client_incarnation && !(*here)->expired) {
    (*here)->expired = true;
    (*here)->since = context.now;
    scope.rows.put(here_key(client), encode(**here));
    for (std::uint16_t s = 0; s < slot_count; ++s)
      if (scope.is_local(slot_id{s}) && scope.rows.get(session_key(slot_id{s}, client)))
        scope.rows.erase(session_key(slot_id{s}, client));
  }
  if (scope.rows.blocked())
    return scope.rows.take_needs();
  if (!here)
    out.outcome = here.error();
  else
    out.batch = scope.rows.take_batch();
  return out;
}

} // namespace troupe
