#pragma once

#include "cluster/gateway/gateway_context.hpp"
#include "cluster/gateway/sequence_table.hpp"
#include "messages/metadata.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <variant>

namespace troupe {

/// How one operation of a partition ended for its caller.
struct meta_answer {
  expected<meta_result> outcome;
  /// The outcome was committed as the result of this sequence, or none was ever executed and none
  /// is on its way: a refusal that is definite has not happened and never will, for all others a
  /// repeated message may still arrive.
  bool definite = false;
  boot_time sent_at; ///< When the request that was answered went out.
  /// It was not the first request: what is answered may have been executed a while ago, and the
  /// attributes in it be those of today.
  bool repeated = false;
};

/// Gets operations executed by partitions, exactly once: finds leaders, repeats under the same
/// sequence until there is an answer or the bounded wait is over, registers the client in each
/// group before its first change, and registers anew when a group forgot it.
///
/// What brings new units into the metadata names the configuration under which all their drives
/// take data, as of the moment of sending (hazards M1, F5). If a newer one does not take them any
/// more, it is refused here (errc::below_floor, as by the partition), to be laid out again; unless
/// an earlier request may have been executed: that one is repeated as it was, and the partition
/// knows its result or refuses it for good.
class metadata_exchange {
public:
  /// What the exchange finds out about a group by the way.
  struct listener {
    std::function<void(group_id, slot_id)> session_ready; ///< Registered; the slot is one of its.
    std::function<void(group_id)> session_lost;           ///< The group has forgotten the client.
    std::function<void(group_id)> leader_changed;         ///< Another replica answers than before.
  };

  explicit metadata_exchange(gateway_context& context) : ctx_(context) {}
  void listen(listener x) { listener_ = std::move(x); }

  /// Executes one operation. An error that ends the bounded wait is errc::unavailable with
  /// trp::no_quorum, or errc::may_have_happened if a change was sent; both name the partition.
  procedure<meta_answer> ask(meta_operation operation);
  /// The same for a question whose content changes while it is repeated: `make` gives that of each
  /// request, of which every one waits for at most `attempt_ms`. Never a change.
  procedure<meta_answer> ask_anew(std::function<meta_operation()> make, std::uint64_t attempt_ms);
  /// The same, for callers that want one kind of answer; another kind is errc::corrupt.
  template <class Result>
  procedure<expected<Result>> ask_for(meta_operation operation);

  // inputs
  void answered(meta_token token, meta_response response);
  void failed(meta_token token, error cause);
  /// The link to a node broke: what was sent there may have happened.
  void link_broke(node_id node);

  snapshot_epoch epoch() const { return epoch_; }
  /// True if both slots are in one partition now.
  bool same_partition(lin a, lin b) const;
  /// When the replica that answers for a group was last another one than before.
  boot_time leader_changed_at(group_id group) const;
  group_id group_of(lin id) const { return troupe::group_of(ctx_.map.view(), slot_of(id)); }

private:
  /// One request that is under way.
  struct pending_request {
    node_id node;
    std::optional<std::variant<meta_response, error>> answer;
    wait_list arrived;
  };
  struct group_session {
    enum class phase : std::uint8_t { none, registering, ready };
    phase state = phase::none;
    incarnation session;
    wait_list changed;
    replica_id leader; ///< That answered last…
    boot_time since;   ///< …and not another one.
  };
  /// One operation on its way through several attempts.
  struct conversation;
  enum class next_step : std::uint8_t { answer, again, again_at_once, new_session };

  procedure<expected<void>> ensure_session(slot_id slot, boot_time deadline);
  procedure<void> converse(std::shared_ptr<conversation> talk);
  procedure<void> attempt(std::shared_ptr<conversation> talk);
  next_step judge(conversation& talk);
  next_step judge_response(conversation& talk, const meta_response& response);
  void take_news(const conversation& talk, const meta_response& response);
  meta_request request_of(const conversation& talk);
  void forget_session(group_id group);
  error wait_is_over(const conversation& talk) const;

  gateway_context& ctx_;
  listener listener_;
  sequence_table sequences_;
  std::map<group_id, group_session> sessions_;
  std::map<meta_token, std::shared_ptr<pending_request>> pending_;
  std::uint64_t token_count_ = 0;
  snapshot_epoch epoch_;
  config_version config_asked_; ///< The newest version that was asked for with fetch_config.
};

template <class Result>
procedure<expected<Result>> metadata_exchange::ask_for(meta_operation operation) {
  auto answer = co_await ask(std::move(operation));
  if (!answer.outcome)
    co_return answer.outcome.error();
  if (auto* result = std::get_if<Result>(&*answer.outcome))
    co_return std::move(*result);
  co_return error{errc::corrupt, "a partition gave another kind of answer than was asked for"};
}

} // namespace troupe
