#include "storage/journal/journal_heads.hpp"

#include "storage/base/assert.hpp"
#include "storage/journal/journal_format.hpp"

#include <algorithm>
#include <optional>

namespace troupe {

namespace {

std::string name_of(replica_id replica) {
  return "replica " + std::to_string(replica.value);
}

error misfit(replica_id replica, const char* what) {
  return {errc::invalid_argument, name_of(replica) + ": " + what};
}

bool changes_state_bytes(const journal_record& x) {
  return std::holds_alternative<replica_created>(x.what)
         || std::holds_alternative<replica_removed>(x.what)
         || std::holds_alternative<checkpoint_record>(x.what)
         || std::holds_alternative<install_record>(x.what);
}

/// What a record does to a head; the same rules as `fold`, without the entries.
struct head_change {
  replica_head& head;
  const char* operator()(const replica_created&) const { return "created inside its own log"; }
  const char* operator()(const replica_removed&) const { return "removed inside its own log"; }
  const char* operator()(const term_vote_record& x) const {
    if (x.term < head.term)
      return "the term goes back";
    head.term = x.term;
    head.vote = x.vote;
    return nullptr;
  }
  const char* operator()(const journal_entry& x) const {
    if (x.index != head.last_index + 1)
      return "an entry that is not the next one";
    if (x.entry.term == 0)
      return "an entry without a term";
    head.last_index = x.index;
    return nullptr;
  }
  const char* operator()(const truncate_record& x) const {
    if (x.from <= head.checkpoint.index || x.from > head.last_index + 1)
      return "truncated outside its log";
    head.last_index = x.from - 1;
    return nullptr;
  }
  const char* operator()(const checkpoint_record& x) const {
    if (x.checkpoint.index < head.checkpoint.index || x.checkpoint.index > head.last_index)
      return "a checkpoint outside its log";
    head.checkpoint = x.checkpoint;
    return nullptr;
  }
  const char* operator()(const install_record& x) const {
    head.checkpoint = x.checkpoint;
    head.last_index = x.checkpoint.index;
    return nullptr;
  }
  const char* operator()(const rewritten_entry& x) const {
    if (x.index <= head.checkpoint.index || x.index > head.last_index)
      return "an entry outside its log written again";
    if (x.entry.term == 0)
      return "an entry without a term";
    return nullptr;
  }
};

} // namespace

journal_heads::journal_heads(std::uint32_t removed_ids_max, segment_state state)
  : removed_ids_max_(removed_ids_max), state_(std::move(state)) {
  TROUPE_ASSERT(removed_ids_max_ >= 1);
  bound_removed();
  state_bytes_ = record_bytes(state_);
}

void journal_heads::bound_removed() {
  auto& removed = state_.removed;
  if (removed.size() <= removed_ids_max_)
    return;
  auto kept = removed.end() - static_cast<std::ptrdiff_t>(removed_ids_max_);
  state_.removed_floor = std::prev(kept)->value;
  removed.erase(removed.begin(), kept);
}

expected<void> journal_heads::create(replica_id replica, const replica_created& x) {
  auto used = !replica || replica.value <= state_.removed_floor
              || std::binary_search(state_.removed.begin(), state_.removed.end(), replica)
              || state_.replicas.contains(replica);
  if (used)
    return error{errc::already_exists, name_of(replica) + ": its id was used here before"};
  replica_head head;
  head.group = x.group;
  head.checkpoint = x.checkpoint;
  head.last_index = x.checkpoint.index;
  state_.replicas.emplace(replica, std::move(head));
  return {};
}

expected<void> journal_heads::remove(replica_id replica) {
  if (state_.replicas.erase(replica) == 0)
    return error{errc::not_found, name_of(replica) + ": not on this drive"};
  auto& removed = state_.removed;
  removed.insert(std::lower_bound(removed.begin(), removed.end(), replica), replica);
  bound_removed();
  return {};
}

expected<void> journal_heads::apply_to(replica_head& head, const journal_record& record) const {
  if (const auto* misuse = std::visit(head_change{head}, record.what))
    return misfit(record.replica, misuse);
  return {};
}

expected<void> journal_heads::apply(const journal_record& record) {
  expected<void> done;
  if (const auto* created = std::get_if<replica_created>(&record.what)) {
    done = create(record.replica, *created);
  } else if (std::holds_alternative<replica_removed>(record.what)) {
    done = remove(record.replica);
  } else {
    auto it = state_.replicas.find(record.replica);
    if (it == state_.replicas.end())
      return error{errc::not_found, name_of(record.replica) + ": not on this drive"};
    done = apply_to(it->second, record);
  }
  if (done && changes_state_bytes(record))
    state_bytes_ = record_bytes(state_);
  return done;
}

expected<void> journal_heads::apply(std::span<const journal_record> records) {
  if (records.empty())
    return {};
  auto replica = records.front().replica;
  std::optional<replica_head> before;
  if (const auto* head = find(replica))
    before = *head;
  for (std::size_t i = 0; i < records.size(); ++i) {
    TROUPE_ASSERT(records[i].replica == replica);
    TROUPE_ASSERT(i + 1 == records.size()
                  || !std::holds_alternative<replica_removed>(records[i].what));
    auto done = apply(records[i]);
    if (done)
      continue;
    state_.replicas.erase(replica);
    if (before)
      state_.replicas.emplace(replica, std::move(*before));
    state_bytes_ = record_bytes(state_);
    return done;
  }
  return {};
}

const replica_head* journal_heads::find(replica_id replica) const {
  auto it = state_.replicas.find(replica);
  return it == state_.replicas.end() ? nullptr : &it->second;
}

/// Index is in this segment from now on, wherever it was before.
void segment_pins::place(replica_spans& spans, std::uint64_t index, std::uint64_t segment) {
  auto next = spans.upper_bound(index);
  if (next != spans.begin()) {
    auto at = std::prev(next);
    auto [first, was] = *at;
    if (index <= was.last_index) { // cut it out
      if (was.incarnation == segment)
        return;
      if (first < index)
        at->second.last_index = index - 1;
      else
        spans.erase(at);
      if (index < was.last_index)
        next = spans.emplace_hint(next, index + 1, was);
    }
  }
  if (next != spans.begin())
    if (auto& before = std::prev(next)->second;
        before.last_index + 1 == index && before.incarnation == segment) {
      before.last_index = index;
      return;
    }
  spans.emplace_hint(next, index, span{index, segment});
}

void segment_pins::note(const journal_record& record, std::uint64_t segment) {
  if (std::holds_alternative<replica_removed>(record.what)) {
    replicas_.erase(record.replica);
    return;
  }
  auto& spans = replicas_[record.replica];
  if (const auto* entry = std::get_if<journal_entry>(&record.what)) {
    place(spans, entry->index, segment);
  } else if (const auto* again = std::get_if<rewritten_entry>(&record.what)) {
    place(spans, again->index, segment);
  } else if (const auto* cut = std::get_if<truncate_record>(&record.what)) {
    spans.erase(spans.lower_bound(cut->from), spans.end());
    if (!spans.empty())
      if (auto& last = spans.rbegin()->second; last.last_index >= cut->from)
        last.last_index = cut->from - 1;
  } else if (const auto* reached = std::get_if<checkpoint_record>(&record.what)) {
    auto through = reached->checkpoint.index;
    while (!spans.empty() && spans.begin()->second.last_index <= through)
      spans.erase(spans.begin());
    if (!spans.empty() && spans.begin()->first <= through) {
      auto first = spans.extract(spans.begin());
      first.key() = through + 1;
      spans.insert(std::move(first));
    }
  } else if (std::holds_alternative<install_record>(record.what)) {
    spans.clear();
  }
}

std::uint64_t segment_pins::oldest(const replica_spans& spans, std::uint64_t otherwise) {
  for (const auto& [first, x] : spans)
    otherwise = std::min(otherwise, x.incarnation);
  return otherwise;
}

std::uint64_t segment_pins::oldest(replica_id replica) const {
  auto it = replicas_.find(replica);
  return it == replicas_.end() || it->second.empty() ? 0 : oldest(it->second, UINT64_MAX);
}

std::uint64_t segment_pins::oldest_of_all(std::uint64_t otherwise) const {
  for (const auto& [replica, spans] : replicas_)
    otherwise = oldest(spans, otherwise);
  return otherwise;
}

} // namespace troupe
