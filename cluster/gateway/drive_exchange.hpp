#pragma once

#include "cluster/gateway/gateway_context.hpp"
#include "messages/drive.hpp"

#include <map>
#include <memory>
#include <optional>

namespace troupe {

/// One request to a drive that is under way; whoever asked keeps it and waits for `answer`.
struct drive_call {
  drive_token token;
  node_id node;
  drive_uuid drive;
  std::optional<expected<drive_answer>> answer;
  wait_list arrived;
};

/// Requests to drives: each is sent once, to the node of the drive, and answered once, at the
/// latest when the link breaks. What is repeated, and where, is the business of those who ask.
class drive_exchange {
public:
  explicit drive_exchange(gateway_context& context) : ctx_(context) {}

  /// The name of the next write of this client.
  write_key new_write() {
    return {ctx_.options.client, ctx_.options.first_session, write_id{++write_count_}};
  }
  /// Sends it; answered at once with errc::unavailable if there is no way to the drive.
  std::shared_ptr<drive_call> begin(const drive_uuid& drive, drive_request request);
  /// Waits for the answer until `until`. @returns false if it is not there by then.
  procedure<bool> wait(std::shared_ptr<drive_call> call, boot_time until);
  /// Nobody waits any more; a late answer is dropped.
  void forget(const drive_call& call);

  /// "Whatever this write did, its run is not wanted": told in the background, a few times; if the
  /// drive does not hear it, the run is a leak for Collect.
  void abandon(const drive_uuid& drive, write_key key);
  /// Frees units that a definite refusal left without a file; in the background, likewise.
  void free(std::vector<run_ref> runs);

  // inputs
  void answered(drive_token token, expected<drive_answer> answer);
  void link_broke(node_id node);

private:
  procedure<void> tell(drive_uuid drive, drive_request request);

  gateway_context& ctx_;
  std::map<drive_token, std::shared_ptr<drive_call>> pending_;
  std::uint64_t token_count_ = 0;
  std::uint64_t write_count_ = 0;
};

} // namespace troupe
