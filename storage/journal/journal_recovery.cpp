#include "storage/journal/journal_recovery.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <optional>

namespace troupe {

namespace {

error quarantined(const std::string& what) {
  return {errc::quarantined, "journal: " + what, trp::journal_quarantined};
}

/// More entries of one replica than any journal holds: damage, not data.
constexpr std::uint64_t entry_count_max = std::uint64_t{1} << 28;

struct batch_view {
  batch_header header;
  std::uint64_t offset = 0; ///< In its segment.
  byte_view payload;
};

/// The valid batch at `offset` of a segment, if there is one.
std::optional<batch_view> batch_at(byte_view segment, std::uint64_t offset,
                                   const drive_uuid& owner) {
  if (offset + batch_header_bytes > segment.size())
    return {};
  auto header = read_batch_header(segment.subspan(offset), owner);
  if (!header || batch_bytes_on_disk(header->payload_bytes) > segment.size() - offset)
    return {};
  auto payload = segment.subspan(offset + batch_header_bytes, header->payload_bytes);
  if (!payload_matches(*header, payload, owner))
    return {};
  return batch_view{*header, offset, payload};
}

class recovery {
public:
  recovery(file& from, const drive_uuid& owner) : file_(from), owner_(owner) {}

  expected<recovered_journal> run() {
    if (auto read = read_superblock(); !read)
      return read.error();
    if (auto found = find_segments(); !found)
      return found.error();
    auto newest = segments_.rbegin()->first;
    auto scanned = find_end(newest);
    if (!scanned)
      return scanned.error();
    auto oldest = find_start(newest);
    if (!oldest)
      return oldest.error();
    for (auto segment = *oldest; segment <= newest; ++segment)
      if (auto replayed = replay_segment(segment); !replayed)
        return replayed.error();
    if (number_ != last_.number)
      return quarantined("its end cannot be read twice");
    if (auto finished = finish(*oldest, newest); !finished)
      return finished.error();
    return std::move(out_);
  }

private:
  expected<void> read_superblock() {
    byte_vector page(journal_page_bytes);
    auto got = file_.read_at(0, page);
    if (!got)
      return got.error();
    page.resize(*got);
    auto superblock = decode_superblock(page);
    if (!superblock)
      return superblock.error().code == errc::corrupt ? quarantined(superblock.error().context)
                                                      : superblock.error();
    if (superblock->owner != owner_)
      return error{errc::wrong_cluster,
                   "journal of drive " + to_string(superblock->owner) + ", expected "
                     + to_string(owner_),
                   trp::foreign_data_directory};
    if (superblock->cipher != 0)
      return error{errc::not_supported, "journal: encrypted", trp::not_available_yet};
    journal_options geometry;
    geometry.segment_bytes = superblock->segment_bytes;
    geometry.segment_count = superblock->segment_count;
    geometry.reserve_segments = 1;
    geometry.batch_bytes_max = 512;
    geometry.removed_ids_max = 1;
    if (auto sane = check(geometry); !sane)
      return quarantined(sane.error().context);
    auto size = file_.size();
    if (!size)
      return size.error();
    if (*size < journal_page_bytes + superblock->segment_bytes * superblock->segment_count)
      return quarantined("shorter than it was made");
    out_.superblock = *superblock;
    segment_.resize(superblock->segment_bytes);
    return {};
  }

  std::uint64_t offset_of(std::uint64_t segment) const {
    auto index = (segment - 1) % out_.superblock.segment_count;
    return journal_page_bytes + index * out_.superblock.segment_bytes;
  }

  /// Fills `segment_` from the place of that incarnation, at least `bytes` of it.
  expected<void> load(std::uint64_t segment, std::uint64_t bytes) {
    auto got = file_.read_at(offset_of(segment), std::span{segment_}.first(bytes));
    if (!got)
      return got.error();
    if (*got != bytes)
      return error{errc::io_error, "journal: short read", trp::drive_failed};
    return {};
  }

  /// Finds every segment whose first batch is valid.
  expected<void> find_segments() {
    for (std::uint32_t i = 1; i <= out_.superblock.segment_count; ++i) {
      if (auto loaded = load(i, journal_page_bytes); !loaded)
        return loaded;
      auto header = read_batch_header(segment_, owner_);
      if (!header || !header->begins_segment || header->incarnation == 0
          || offset_of(header->incarnation) != offset_of(i)
          || batch_bytes_on_disk(header->payload_bytes) > segment_.size())
        continue;
      if (auto loaded = load(i, batch_bytes_on_disk(header->payload_bytes)); !loaded)
        return loaded;
      if (batch_at(segment_, 0, owner_))
        segments_[header->incarnation] = header->number;
    }
    if (segments_.empty())
      return quarantined("no valid batch");
    return {};
  }

  /// Walks the newest segment to its last batch, then makes sure that nothing newer lies behind
  /// it, there or in the segment that would come next.
  expected<void> find_end(std::uint64_t newest) {
    if (auto loaded = load(newest, segment_.size()); !loaded)
      return loaded;
    std::uint64_t offset = 0;
    std::optional<batch_view> last;
    while (auto batch = batch_at(segment_, offset, owner_)) {
      auto follows = last ? batch->header.number == last->header.number + 1
                              && batch->header.previous_crc == last->header.payload_crc
                              && !batch->header.begins_segment
                          : batch->header.number == segments_.at(newest);
      if (!follows || batch->header.incarnation != newest)
        break;
      last = batch;
      offset += batch_bytes_on_disk(batch->header.payload_bytes);
    }
    if (!last)
      return quarantined("its newest segment cannot be read twice");
    last_ = last->header;
    out_.position.segment_offset = offset;
    out_.last_batch_offset = offset_of(newest) + last->offset;
    out_.last_batch.assign(segment_.begin() + static_cast<std::ptrdiff_t>(last->offset),
                           segment_.begin() + static_cast<std::ptrdiff_t>(offset));
    if (auto clean = check_behind(offset); !clean)
      return clean;
    if (auto loaded = load(newest + 1, segment_.size()); !loaded)
      return loaded;
    return check_behind(0);
  }

  /// No valid batch newer than the last one may begin in `segment_` from `offset` on.
  expected<void> check_behind(std::uint64_t offset) {
    for (; offset < segment_.size(); offset += journal_page_bytes) {
      auto header = read_batch_header(byte_view{segment_}.subspan(offset), owner_);
      if (!header || header->number <= last_.number)
        continue;
      out_.tail_was_cut = true;
      if (batch_at(segment_, offset, owner_))
        return quarantined("batch " + std::to_string(header->number) + " is valid behind batch "
                           + std::to_string(last_.number + 1) + ", which is damaged");
    }
    return {};
  }

  /// The incarnation with segment replay starts; all from there on must be there, one by one.
  expected<std::uint64_t> find_start(std::uint64_t newest) {
    for (auto segment = newest;; --segment) {
      auto it = segments_.find(segment);
      if (it == segments_.end() || it->second < last_.replay_from)
        return quarantined("the segment with batch " + std::to_string(last_.replay_from)
                           + " is missing");
      if (it->second == last_.replay_from)
        return segment;
    }
  }

  expected<void> replay_segment(std::uint64_t segment) {
    if (auto loaded = load(segment, segment_.size()); !loaded)
      return loaded;
    std::uint64_t offset = 0;
    for (;;) {
      auto batch = batch_at(segment_, offset, owner_);
      if (!batch || batch->header.incarnation != segment
          || (number_ != 0 && batch->header.number != number_ + 1))
        break;
      const auto& header = batch->header;
      if (header.begins_segment != (offset == 0)
          || (number_ != 0
              && (header.previous_crc != crc_ || header.first_lsn != out_.position.last_lsn + 1)))
        return quarantined("batch " + std::to_string(header.number)
                           + " does not continue the one before");
      if (auto replayed = replay_batch(*batch); !replayed)
        return replayed;
      number_ = header.number;
      crc_ = header.payload_crc;
      out_.position.last_lsn = header.first_lsn + header.record_count - 1;
      offset += batch_bytes_on_disk(header.payload_bytes);
    }
    // A gap here shows as a wrong number in the next segment, or as an early end.
    if (offset == 0)
      return quarantined("batch " + std::to_string(number_ + 1) + " is damaged");
    out_.position.first_batches[segment] = segments_.at(segment);
    return {};
  }

  expected<void> replay_batch(const batch_view& batch) {
    record_reader records{batch.payload};
    std::uint32_t count = 0;
    auto state_expected = batch.header.begins_segment;
    while (!records.at_end()) {
      auto next = records.next();
      if (!next)
        return quarantined(next.error().context);
      auto* state = std::get_if<segment_state>(&*next);
      if ((state != nullptr) != state_expected)
        return quarantined("a segment state in the wrong place");
      state_expected = false;
      if (auto done = state != nullptr
                        ? enter_segment(std::move(*state))
                        : replay_record(std::get<journal_record>(*next), batch.header.incarnation);
          !done)
        return done;
      count += state != nullptr ? 0 : 1;
    }
    if (count != batch.header.record_count)
      return quarantined("batch " + std::to_string(batch.header.number)
                         + " has another number of records than it says");
    return {};
  }

  /// The first segment says where everything stands; the later ones must agree with the records.
  expected<void> enter_segment(segment_state state) {
    if (number_ != 0) {
      if (state.replicas != heads_.state().replicas)
        return quarantined("a segment begins with another state than its records lead to");
      heads_ = journal_heads{removed_ids_any, std::move(state)};
      return {};
    }
    for (const auto& [replica, head] : state.replicas) {
      auto held_elsewhere = head.last_index - head.checkpoint.index;
      if (head.last_index < head.checkpoint.index || held_elsewhere > entry_count_max)
        return quarantined("replica " + std::to_string(replica.value) + " has an absurd log");
      recovered_replica x;
      x.group = head.group;
      x.state.term = head.term;
      x.state.vote = head.vote;
      x.state.checkpoint = head.checkpoint;
      // Entries of older segments. They are gone, which is right: a later record drops them, or
      // they were written again.
      x.state.entries.resize(held_elsewhere);
      out_.replicas.emplace(replica, std::move(x));
    }
    heads_ = journal_heads{removed_ids_any, std::move(state)};
    return {};
  }

  expected<void> replay_record(const journal_record& record, std::uint64_t segment) {
    if (auto fits = heads_.apply(record); !fits)
      return quarantined(fits.error().context);
    out_.pins.note(record, segment);
    if (const auto* created = std::get_if<replica_created>(&record.what)) {
      recovered_replica x;
      x.group = created->group;
      x.state.checkpoint = created->checkpoint;
      out_.replicas.emplace(record.replica, std::move(x));
      return {};
    }
    if (std::holds_alternative<replica_removed>(record.what)) {
      out_.replicas.erase(record.replica);
      return {};
    }
    if (!fold(out_.replicas.at(record.replica).state, to_log_record(record)))
      return quarantined("a record does not fit the log of replica "
                         + std::to_string(record.replica.value));
    return {};
  }

  static log_record to_log_record(const journal_record& record) {
    return std::visit(
      [](const auto& x) -> log_record {
        using type = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<type, journal_entry>)
          return append_record{x.index, {x.entry}};
        else if constexpr (std::is_same_v<type, rewritten_entry>)
          return rewrite_record{x.index, {x.entry}};
        else if constexpr (std::is_constructible_v<log_record, type>)
          return x;
        else
          return truncate_record{0}; // fits no log; not reached
      },
      record.what);
  }

  expected<void> finish(std::uint64_t oldest, std::uint64_t newest) {
    for (const auto& [replica, x] : out_.replicas) {
      const auto& head = *heads_.find(replica);
      auto whole = std::all_of(x.state.entries.begin(), x.state.entries.end(),
                               [](const log_entry& e) { return e.term != 0; });
      if (!whole || x.state.last_index() != head.last_index)
        return quarantined("entries of replica " + std::to_string(replica.value) + " are missing");
    }
    if (oldest > out_.pins.oldest_of_all(newest))
      return quarantined("needed entries lie before its start");
    out_.heads = heads_.state();
    out_.position.incarnation = newest;
    out_.position.last_number = last_.number;
    out_.position.last_crc = last_.payload_crc;
    return {};
  }

  /// While replaying, removed ids are not folded into the floor: the writer knows its own limit,
  /// and the next segment state has what came of it.
  static constexpr std::uint32_t removed_ids_any = UINT32_MAX;

  file& file_;
  drive_uuid owner_;
  recovered_journal out_;
  byte_vector segment_;
  std::map<std::uint64_t, std::uint64_t> segments_; // incarnation -> number of its first batch
  batch_header last_;
  std::uint64_t number_ = 0; // of the batch replayed last
  std::uint32_t crc_ = 0;
  journal_heads heads_;
};

} // namespace

expected<recovered_journal> recover_journal(file& from, const drive_uuid& owner) {
  return recovery{from, owner}.run();
}

} // namespace troupe
