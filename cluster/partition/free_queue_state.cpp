#include "cluster/partition/free_queue_state.hpp"

#include "storage/base/assert.hpp"
#include "storage/meta/meta_keys.hpp"
#include "storage/meta/partition_format.hpp"

namespace troupe {

namespace {

/// More drives than a cluster has; their counts are one small row each.
constexpr std::uint32_t drives_max = 4096;

} // namespace

free_queue_state::choice free_queue_state::next(const table_view& applied,
                                                const partition_facts& facts, boot_time now) {
  if (busy_)
    return std::monostate{};
  auto all = table_keys(meta_table::drive_frees);
  auto counts = applied.scan({all.begin, all.end, drives_max, false});
  if (counts.missing)
    return row_needs{{}, {*counts.missing}};
  std::vector<drive_uuid> behind_last; // first those after the last one, then the others
  std::vector<drive_uuid> others;
  for (const auto& row : counts.rows) {
    auto drive = parse_drive_frees_key(row.key);
    auto count = decode_drive_frees(row.value);
    if (!drive || !count)
      return error{errc::corrupt, "row of frees of a drive"};
    auto reachable = facts.reachable.find(*drive);
    auto later = not_before_.find(*drive);
    if (count->pending_runs == 0 || reachable == facts.reachable.end() || !reachable->second
        || (later != not_before_.end() && now < later->second))
      continue;
    (last_ < *drive ? behind_last : others).push_back(*drive);
  }
  behind_last.insert(behind_last.end(), others.begin(), others.end());
  for (const auto& drive : behind_last) {
    auto keys = pending_free_keys(drive);
    auto rows = applied.scan({keys.begin, keys.end, 1, false});
    if (rows.missing)
      return row_needs{{}, {*rows.missing}};
    if (rows.rows.empty())
      continue;
    auto parts = parse_pending_free_key(rows.rows[0].key);
    auto row = decode_pending_free(rows.rows[0].value);
    if (!parts || !row)
      return error{errc::corrupt, "row of pending frees"};
    pending_frees out{drive, parts->batch, {}};
    for (const auto& run : row->runs)
      out.runs.push_back({drive, run.start_block, run.block_count, run.born});
    return out;
  }
  return std::monostate{};
}

void free_queue_state::started(pending_frees frees) {
  TROUPE_ASSERT(!busy_);
  busy_ = true;
  last_ = frees.drive;
  out_ = std::move(frees);
}

std::optional<pending_frees> free_queue_state::sent(const drive_uuid& drive, bool taken,
                                                    boot_time now) {
  if (!out_ || out_->drive != drive)
    return {}; // an answer from before a change of leaders
  auto frees = std::exchange(out_, {});
  if (taken)
    return frees;
  not_before_[drive] = {now.ns + retry_ms_ * 1'000'000};
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
