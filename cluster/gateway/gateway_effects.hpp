#pragma once

#include "cluster/gateway/file_calls.hpp"
#include "messages/drive.hpp"
#include "messages/metadata.hpp"

#include <variant>
#include <vector>

namespace troupe {

/// Names one request of the gateway to a partition until it is answered; never reused.
using meta_token = strong_id<struct meta_token_tag, std::uint64_t>;
/// Names one request of the gateway to a drive until it is answered; never reused.
using drive_token = strong_id<struct drive_token_tag, std::uint64_t>;

/// Send the request to that replica on that node, once: repeating is the gateway's business.
/// Answer with `meta_answered`, or `meta_failed` if the link broke.
struct send_meta {
  meta_token token;
  node_id node;
  group_id group;
  replica_id replica;
  meta_request request;
};

using drive_request = std::variant<store_run, read_run, free_runs, abandon_write>;
using drive_answer = std::variant<run_stored, run_data, runs_freed>;

/// Send the request to that drive on that node, once. Answer with `drive_answered`.
struct send_drive {
  drive_token token;
  node_id node;
  drive_uuid drive;
  drive_request request;
};

/// The answer to a door's call.
struct call_reply {
  call_token token;
  expected<call_result> outcome;
};

/// A unit was read and is damaged or gone; the bytes that were asked for came from the others. An
/// event for the operator. Told once per unit and a while.
struct damage_seen {
  lin file;
  stripe_id stripe;
  std::uint32_t unit_index = 0;
  run_ref run;
  error cause;
};

/// A damaged unit was computed from the others and lies on a drive again. An event.
struct unit_repaired {
  lin file;
  stripe_id stripe;
  std::uint32_t unit_index = 0;
  run_ref damaged; ///< Where it was; a pending free of the partition now.
  run_ref run;     ///< Where it is.
};

/// Buffered data of a file could not be made durable and is gone; the next flush or fsync of each
/// of its handles says so too. An event for the operator.
struct writes_lost {
  lin file;
  std::uint64_t bytes = 0;
  error cause;
};

/// Somebody acts under a newer configuration: get it and call `update_view`.
struct fetch_config {
  config_version at_least;
};

/// What the owner must do after an input, in this order.
using gateway_effect = std::variant<send_meta, send_drive, call_reply, damage_seen, unit_repaired,
                                    writes_lost, fetch_config>;
using gateway_effects = std::vector<gateway_effect>;

} // namespace troupe
