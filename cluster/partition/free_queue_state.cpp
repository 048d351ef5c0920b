#include "cluster/partition/free_queue_state.hpp"

#include "storage/base/assert.hpp"
#include "storage/meta/cleaner.hpp"

namespace troupe {

free_queue_state::choice free_queue_state::next(const table_view& applied,
                                                const partition_facts& facts, boot_time now) {
  if (busy_)
    return std::monostate{};
  auto listed = list_drives(applied);
  if (auto* needs = std::get_if<row_needs>(&listed))
    return std::move(*needs);
  auto& drives = std::get<0>(listed);
  if (!drives)
    return drives.error();
  std::vector<drive_uuid> in_turn; // first those behind the last one, then the others
  std::vector<drive_uuid> others;
  for (const auto& x : *drives) {
    auto reachable = facts.reachable.find(x.drive);
    auto later = not_before_.find(x.drive);
    if (x.pending_runs == 0 || reachable == facts.reachable.end() || !reachable->second
        || (later != not_before_.end() && now < later->second))
      continue;
    (last_ < x.drive ? in_turn : others).push_back(x.drive);
  }
  in_turn.insert(in_turn.end(), others.begin(), others.end());
  for (const auto& drive : in_turn) {
    auto found = list_frees(applied, drive, batches_max_);
    if (auto* needs = std::get_if<row_needs>(&found))
      return std::move(*needs);
    auto& batches = std::get<0>(found);
    if (!batches)
      return batches.error();
    if (batches->empty())
      continue;
    pending_frees out{drive, {}, {}};
    for (auto& batch : *batches) {
      out.keys.push_back(std::move(batch.key));
      out.runs.insert(out.runs.end(), batch.runs.begin(), batch.runs.end());
    }
    return out;
  }
  return std::monostate{};
}

free_number free_queue_state::started(pending_frees frees) {
  TROUPE_ASSERT(!busy_);
  busy_ = true;
  last_ = frees.drive;
  out_ = std::move(frees);
  number_ = free_number{number_.value + 1};
  return number_;
}

std::optional<pending_frees> free_queue_state::sent(free_number number, bool taken, boot_time now) {
  if (!out_ || number != number_)
    return {}; // an answer from before a change of leaders
  auto frees = std::exchange(out_, {});
  if (taken)
    return frees;
  not_before_[frees->drive] = {now.ns + retry_ms_ * 1'000'000};
  busy_ = false;
  return {};
}

void free_queue_state::finished() {
  busy_ = false;
  out_.reset();
}

void free_queue_state::reset() {
  finished();
  not_before_.clear();
}

} // namespace troupe
