#pragma once

#include "storage/base/memory_env.hpp"
#include "storage/journal/journal.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <string>
#include <vector>

namespace troupe::test {

inline drive_uuid test_drive() {
  drive_uuid x;
  for (std::size_t i = 0; i < x.bytes.size(); ++i)
    x.bytes[i] = static_cast<std::uint8_t>(i + 1);
  return x;
}

/// Segments of 32 KiB: every few batches the next one.
inline journal_options tiny_journal_options() {
  journal_options x;
  x.segment_bytes = 32 * kib;
  x.segment_count = 8;
  x.batch_bytes_max = 4 * kib;
  x.queue_bytes_max = 64 * kib;
  x.reserve_segments = 2;
  x.removed_ids_max = 3;
  return x;
}

inline log_entry command(std::uint64_t term, std::string text) {
  return {term, entry_kind::command, shared_bytes{std::move(text)}};
}

inline log_checkpoint checkpoint_at(std::uint64_t index, std::uint64_t term,
                                    std::uint64_t state_id = 0) {
  log_checkpoint x;
  x.index = index;
  x.term = term;
  x.configuration.members = {{replica_id{1}, member_role::voter}};
  x.configuration_index = index / 2;
  x.state_id = state_id;
  return x;
}

/// All of a state as text, to compare and to show.
inline std::string dump(const durable_state& x) {
  const auto& c = x.checkpoint;
  auto out = "term " + std::to_string(x.term) + " vote " + std::to_string(x.vote.value)
             + " checkpoint " + std::to_string(c.index) + "/" + std::to_string(c.term) + "/"
             + std::to_string(c.configuration_index) + "/" + std::to_string(c.state_id)
             + " members";
  for (const auto& m : c.configuration.members)
    out += " " + std::to_string(m.replica.value) + ":" + std::to_string(static_cast<int>(m.role));
  for (const auto& e : x.entries)
    out += "\n  " + std::to_string(e.term) + " " + std::to_string(static_cast<int>(e.kind)) + " "
           + std::string{as_text(e.payload.view())};
  return out + "\n";
}

/// What the replicas of a drive must be: folded by the rules of consensus, without a journal.
using model = std::map<replica_id, recovered_replica>;

inline std::string dump(const model& x) {
  std::string out;
  for (const auto& [replica, r] : x)
    out +=
      std::to_string(replica.value) + " in " + std::to_string(r.group.value) + ": " + dump(r.state);
  return out;
}

/// Random orders of many replicas, with the model beside them. Every order is small enough for one
/// batch, so that a crash must leave the model as it was after some order.
class workload {
public:
  workload(std::uint64_t seed, model start, std::uint64_t next_id)
    : random_(seed), now_(std::move(start)), next_id_(next_id) {
    history_[0] = dump(now_);
  }

  /// Gives the journal one random order. @returns its LSN, or 0 if the journal had no room.
  std::uint64_t step(journal_state& journal) {
    for (const auto& laggard : journal.laggards(3))
      if (now_.contains(laggard.replica)) // else its removal waits to be written
        give_checkpoint(journal, laggard.replica);
    auto draw = up_to(99);
    if (now_.size() < 2 || (draw < 2 && now_.size() < 5))
      return create(journal);
    auto it = std::next(now_.begin(), static_cast<std::ptrdiff_t>(up_to(now_.size() - 1)));
    if (draw < 4) {
      auto replica = it->first;
      auto lsn = journal.remove_replica(replica);
      REQUIRE(lsn);
      now_.erase(replica);
      return remember(*lsn);
    }
    if (draw < 14)
      return give_checkpoint(journal, it->first);
    if (draw > 90 && !it->second.state.entries.empty())
      return give(journal, it->first, {random_rewrite(it->second.state)});
    return give(journal, it->first, random_records(it->second.state, draw));
  }

  const model& now() const { return now_; }
  std::uint64_t refused_count() const { return refused_count_; }
  std::uint64_t next_id() const { return next_id_; }
  /// True if this is what the replicas were after some order whose LSN is at least `lsn`.
  bool was_after(const std::string& found, std::uint64_t lsn) const {
    auto it = history_.upper_bound(lsn);
    if (it != history_.begin())
      --it; // the last order that was durable
    for (; it != history_.end(); ++it)
      if (it->second == found)
        return true;
    return false;
  }
  /// Orders before this one can no longer be asked for.
  void forget_before(std::uint64_t lsn) {
    auto it = history_.upper_bound(lsn);
    if (it != history_.begin())
      history_.erase(history_.begin(), std::prev(it));
  }

private:
  std::uint64_t up_to(std::uint64_t most) { return random_() % (most + 1); }

  std::uint64_t remember(journal_lsn lsn) {
    history_[lsn.value] = dump(now_);
    return lsn.value;
  }

  std::uint64_t create(journal_state& journal) {
    replica_id replica{next_id_++};
    recovered_replica x;
    x.group = group_id{static_cast<std::uint32_t>(up_to(15))};
    if (up_to(1) == 1)
      x.state = bootstrap_state(checkpoint_at(0, 0).configuration, up_to(3));
    auto lsn = journal.create_replica(replica, x.group, x.state);
    if (!lsn) {
      REQUIRE(lsn.error().code == errc::no_space);
      ++refused_count_;
      return 0;
    }
    now_.emplace(replica, x);
    return remember(*lsn);
  }

  std::uint64_t give(journal_state& journal, replica_id replica,
                     const std::vector<log_record>& records) {
    auto lsn = journal.append(replica, records);
    if (!lsn) {
      REQUIRE(lsn.error().code == errc::no_space);
      ++refused_count_;
      return 0;
    }
    for (const auto& record : records)
      REQUIRE(fold(now_.at(replica).state, record));
    return remember(*lsn);
  }

  std::uint64_t give_checkpoint(journal_state& journal, replica_id replica) {
    const auto& state = now_.at(replica).state;
    auto index = state.last_index() - up_to(state.entries.size()) / 4;
    auto lsn = give(journal, replica, {checkpoint_record{checkpoint_at(index, 1, up_to(3))}});
    REQUIRE(lsn != 0); // there is always room for what makes room
    return lsn;
  }

  /// Some of the log once more, as it is.
  log_record random_rewrite(const durable_state& state) {
    auto begin = up_to(state.entries.size() - 1);
    auto count = std::min<std::uint64_t>(1 + up_to(3), state.entries.size() - begin);
    rewrite_record out{state.checkpoint.index + 1 + begin, {}};
    for (auto i = begin; i < begin + count; ++i)
      out.entries.push_back(state.entries[i]);
    return out;
  }

  std::vector<log_record> random_records(const durable_state& state, std::uint64_t draw) {
    if (draw < 20)
      return {term_vote_record{state.term + up_to(1), replica_id{up_to(3)}}};
    if (draw < 23)
      return {install_record{checkpoint_at(state.last_index() + up_to(10), state.term, up_to(9))}};
    std::vector<log_record> out;
    auto last = state.last_index();
    if (draw < 35 && !state.entries.empty()) {
      auto from = last + 1 - up_to(state.entries.size());
      out.push_back(truncate_record{from});
      last = from - 1;
    }
    append_record append{last + 1, {}};
    for (auto count = 1 + up_to(2); count > 0; --count)
      append.entries.push_back(
        command(state.term + 1, std::to_string(random_()) + std::string(up_to(600), 'x')));
    out.push_back(append);
    return out;
  }

  std::mt19937_64 random_;
  model now_;
  std::uint64_t next_id_;
  std::uint64_t refused_count_ = 0;
  std::map<std::uint64_t, std::string> history_; // by LSN of the order
};

} // namespace troupe::test
