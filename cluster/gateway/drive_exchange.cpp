#include "cluster/gateway/drive_exchange.hpp"

namespace troupe {

namespace {
/// How often a drive is told what it need not know: Collect finds what it never heard.
constexpr int tell_count_max = 4;
} // namespace

std::shared_ptr<drive_call> drive_exchange::begin(const drive_uuid& drive, drive_request request) {
  auto call = std::make_shared<drive_call>();
  call->drive = drive;
  const auto* known = ctx_.map.drive(drive);
  if (!known) {
    call->answer = error{errc::unavailable, "drive " + to_string(drive) + " is not in the cluster"};
    return call;
  }
  call->node = known->node;
  if (!ctx_.map.link_up(known->node)) {
    call->answer = error{errc::unavailable, "no link to node " + std::to_string(known->node.value)};
    return call;
  }
  call->token = drive_token{++token_count_};
  pending_.emplace(call->token, call);
  ++ctx_.report.drive_requests;
  ctx_.emit(send_drive{call->token, known->node, drive, std::move(request)});
  return call;
}

procedure<bool> drive_exchange::wait(std::shared_ptr<drive_call> call, boot_time until) {
  while (!call->answer && ctx_.now() < until)
    co_await call->arrived.wait_until(until);
  co_return call->answer.has_value();
}

void drive_exchange::forget(const drive_call& call) {
  pending_.erase(call.token);
}

void drive_exchange::abandon(const drive_uuid& drive, write_key key) {
  ctx_.run.start(tell(drive, abandon_write{drive, key}));
}

void drive_exchange::free(std::vector<run_ref> runs) {
  std::map<drive_uuid, free_runs> by_drive;
  for (auto& run : runs)
    by_drive[run.drive].runs.push_back(run);
  for (auto& [drive, request] : by_drive)
    ctx_.run.start(tell(drive, std::move(request)));
}

procedure<void> drive_exchange::tell(drive_uuid drive, drive_request request) {
  for (int i = 0; i < tell_count_max; ++i) {
    auto call = begin(drive, request);
    co_await wait(call, ctx_.in_ms(ctx_.options.drive_timeout_ms));
    forget(*call);
    if (call->answer && *call->answer)
      co_return;
    co_await sleep_until(ctx_.in_ms(ctx_.options.drive_rest_ms));
  }
}

void drive_exchange::answered(drive_token token, expected<drive_answer> answer) {
  auto it = pending_.find(token);
  if (it == pending_.end())
    return;
  auto call = it->second;
  pending_.erase(it);
  call->answer = std::move(answer);
  call->arrived.wake_all();
}

void drive_exchange::link_broke(node_id node) {
  for (auto it = pending_.begin(); it != pending_.end();) {
    auto call = it->second;
    if (call->node != node) {
      ++it;
      continue;
    }
    it = pending_.erase(it);
    call->answer =
      error{errc::may_have_happened, "link to node " + std::to_string(node.value) + " broke"};
    call->arrived.wake_all();
  }
}

} // namespace troupe
