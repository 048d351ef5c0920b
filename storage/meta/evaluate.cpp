#include "storage/meta/evaluate.hpp"

#include "storage/base/assert.hpp"
#include "storage/meta/operations.hpp"
#include "storage/meta/partition_entry_format.hpp"
#include "storage/meta/sessions.hpp"

namespace troupe {

namespace {

using outcome = std::variant<meta_result, error>;

outcome to_outcome(expected<meta_result> x) {
  if (x)
    return std::move(*x);
  return x.error();
}

/// Runs an operation against a scope of its own.
expected<meta_result> run_any(const meta_operation& operation, evaluation_scope& scope) {
  return std::visit(
    [&](const auto& op) -> expected<meta_result> {
      if constexpr (requires { run(op, scope); }) {
        return run(op, scope);
      } else { // a lease operation: the caller is wrong
        TROUPE_ASSERT(!"operation of the leader's memory");
        return error{errc::not_supported, "lease operation"};
      }
    },
    operation);
}

/// Refusals that say something about the server or the moment, not about the operation: they are
/// not kept as its result, so that the same sequence can be tried again.
bool is_passing(errc code) {
  return code == errc::busy || code == errc::corrupt || code == errc::wrong_version
         || code == errc::not_supported;
}

evaluation_result evaluate_change(const meta_operation& operation,
                                  const evaluation_context& context, const table_view& view) {
  evaluation_scope scope{context, view};
  auto slot = slot_of(operation);
  auto verdict = check_session(scope, slot);
  if (!verdict || verdict->result) {
    evaluation out;
    if (verdict) {
      out.outcome = from_stored(*verdict->result, scope);
      out.recorded = true;
    } else {
      out.outcome = verdict.error();
    }
    if (scope.rows.blocked()) {
      if (verdict)
        return scope.rows.take_needs();
      // The session is missing or refused: find the operation's own needs in the same round.
      (void)run_any(operation, scope);
      return scope.rows.take_needs();
    }
    return out;
  }
  auto result = context.metadata_full && grows(operation)
                  ? error{errc::no_space, "the room for metadata is used up", trp::cluster_full}
                  : run_any(operation, scope);
  if (scope.rows.blocked())
    return scope.rows.take_needs();
  evaluation out;
  out.outcome = to_outcome(std::move(result));
  const auto* refusal = std::get_if<error>(&out.outcome);
  if (refusal != nullptr && is_passing(refusal->code))
    return out;
  auto key = session_key(slot, context.client);
  auto& kept = verdict->session.results[context.sequence];
  kept = to_stored(out.outcome);
  out.recorded = true;
  if (refusal == nullptr) {
    scope.rows.put(key, encode(verdict->session));
    out.batch = scope.rows.take_batch();
    auto bytes = entry_bytes(out.batch);
    if (bytes <= context.limits.entry_bytes_max)
      return out;
    out.outcome = error{errc::too_large, "a change of " + std::to_string(bytes) + " bytes"};
    kept = to_stored(out.outcome);
  }
  // A refused operation changes nothing, so its changes are dropped.
  out.batch = {{std::move(key), encode(verdict->session)}};
  return out;
}

} // namespace

bool grows(const meta_operation& operation) {
  // A cut may bring the rest of a block along.
  if (const auto* commit = std::get_if<op_commit_write>(&operation))
    return !commit->truncate_to
           && (!commit->stripes.empty() || !commit->extents.empty() || commit->inline_data);
  return std::holds_alternative<op_create>(operation)
         || std::holds_alternative<op_create_detached_directory>(operation)
         || std::holds_alternative<op_link>(operation);
}

evaluation_result evaluate(const meta_operation& operation, const evaluation_context& context,
                           const table_view& view) {
  TROUPE_ASSERT(context.epoch);
  evaluation_scope scope{context, view};
  auto slot = slot_of(operation);
  if (!scope.is_local(slot))
    return evaluation{
      {}, error{errc::stale, "slot " + std::to_string(slot.value) + " is not here"}, false};
  bool registers = std::holds_alternative<op_register_client>(operation);
  if (!registers && !is_read_only(operation)) {
    TROUPE_ASSERT(!context.read_epoch);
    return evaluate_change(operation, context, view);
  }
  auto result = run_any(operation, scope);
  if (scope.rows.blocked())
    return scope.rows.take_needs();
  evaluation out{{}, to_outcome(std::move(result)), false};
  if (registers && std::holds_alternative<meta_result>(out.outcome))
    out.batch = scope.rows.take_batch();
  return out;
}

table_batch root_directory_rows(std::uint32_t uid, std::uint32_t gid, std::uint32_t mode,
                                wall_time now, snapshot_epoch epoch) {
  inode_row root;
  root.written = epoch;
  root.kind = file_kind::directory;
  root.mode = static_cast<std::uint16_t>(mode & 07777);
  root.uid = uid;
  root.gid = gid;
  root.link_count = 2;
  root.access_time = root.modify_time = root.change_time = root.birth_time = now;
  root.change_count = 1;
  root.parent = root_lin;
  slot_row slot;
  slot.inode_count = 1;
  slot.directory_count = 1;
  return {{inode_key(root_lin), encode(root)}, {slot_key(slot_of(root_lin)), encode(slot)}};
}

} // namespace troupe
