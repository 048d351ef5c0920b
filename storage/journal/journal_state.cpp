#include "storage/journal/journal_state.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace troupe {

namespace {

/// What a record may use of the room that is left, least privileged first.
enum class room_class { growth, housekeeping, relief };

room_class class_of(const journal_record& x) {
  // The first entry of a new leader is what lets everybody apply and checkpoint: it must fit.
  if (const auto* entry = std::get_if<journal_entry>(&x.what))
    return entry->entry.kind == entry_kind::command ? room_class::growth : room_class::housekeeping;
  if (std::holds_alternative<checkpoint_record>(x.what)
      || std::holds_alternative<install_record>(x.what)
      || std::holds_alternative<rewritten_entry>(x.what)
      || std::holds_alternative<replica_removed>(x.what))
    return room_class::relief;
  return room_class::housekeeping;
}

error option_error(const char* what) {
  return {errc::invalid_argument, std::string{"journal option "} + what};
}

/// One record of consensus as those of the journal: entries stand one by one.
struct record_splitter {
  replica_id replica;
  std::vector<journal_record>& out;
  void operator()(const append_record& x) const {
    auto index = x.first_index;
    for (const auto& entry : x.entries)
      out.push_back({replica, journal_entry{index++, entry}});
  }
  void operator()(const rewrite_record& x) const {
    auto index = x.first_index;
    for (const auto& entry : x.entries)
      out.push_back({replica, rewritten_entry{index++, entry}});
  }
  template <class T>
  void operator()(const T& x) const {
    out.push_back({replica, x});
  }
};

} // namespace

expected<void> check(const journal_options& x) {
  if (x.segment_bytes == 0 || x.segment_bytes % journal_page_bytes != 0)
    return option_error("segment_bytes: not whole pages");
  if (x.segment_bytes > std::uint64_t{1} << 30)
    return option_error("segment_bytes: above 1 GiB");
  if (x.reserve_segments < 1 || x.segment_count < x.reserve_segments + 3)
    return option_error("segment_count: below reserve_segments + 3");
  if (x.segment_count > 65536)
    return option_error("segment_count: above 65536");
  // Behind the state (a quarter at most) and an unused end there must be room for records.
  if (x.batch_bytes_max < 512 || batch_bytes_on_disk(x.batch_bytes_max) > x.segment_bytes / 4)
    return option_error("batch_bytes_max: below 512 or above a quarter of a segment");
  if (x.rewrite_percent > 100)
    return option_error("rewrite_percent: above 100");
  if (x.segment_bytes < 8 * journal_page_bytes)
    return option_error("segment_bytes: below 8 pages");
  if (x.removed_ids_max < 1 || x.removed_ids_max > x.segment_bytes / 64)
    return option_error("removed_ids_max: too many for a segment");
  return {};
}

journal_state::journal_state(const journal_superblock& superblock, const journal_options& options,
                             journal_position position, journal_heads heads, segment_pins pins)
  : superblock_(superblock), options_(options), position_(std::move(position)), queued_(heads),
    written_(std::move(heads)), pins_(std::move(pins)), queued_lsn_(position_.last_lsn),
    durable_lsn_(position_.last_lsn) {
  options_.segment_bytes = superblock_.segment_bytes;
  options_.segment_count = superblock_.segment_count;
  TROUPE_ASSERT(check(options_));
  TROUPE_ASSERT(position_.incarnation == 0 || !position_.first_batches.empty());
  rewrite_credit_ = rewrite_credit_max();
  oldest_durable_ = position_.incarnation == 0 ? 1 : position_.first_batches.begin()->first;
  TROUPE_ASSERT(position_.incarnation < oldest_durable_ + options_.segment_count);
}

expected<journal_lsn> journal_state::create_replica(replica_id replica, group_id group,
                                                    const durable_state& initial) {
  std::vector<journal_record> records{{replica, replica_created{group, initial.checkpoint}}};
  if (initial.term != 0 || initial.vote)
    records.push_back({replica, term_vote_record{initial.term, initial.vote}});
  record_splitter{replica, records}(append_record{initial.checkpoint.index + 1, initial.entries});
  return submit(std::move(records));
}

expected<journal_lsn> journal_state::remove_replica(replica_id replica) {
  return submit({{replica, replica_removed{}}});
}

expected<journal_lsn> journal_state::append(replica_id replica,
                                            const std::vector<log_record>& records) {
  std::vector<journal_record> split;
  for (const auto& record : records)
    std::visit(record_splitter{replica, split}, record);
  return submit(std::move(split));
}

expected<journal_lsn> journal_state::submit(std::vector<journal_record> records) {
  if (!health_)
    return health_.error();
  std::uint64_t bytes = 0;
  for (const auto& record : records) {
    auto size = record_bytes(record);
    if (size > chunk_bytes_max())
      return error{errc::too_large, "journal record of " + std::to_string(size) + " bytes, at most "
                                      + std::to_string(chunk_bytes_max())};
    bytes += size;
  }
  if (auto room = check_room(records, bytes); !room) {
    ++counters_.refused;
    return room.error();
  }
  if (auto fit = queued_.apply(records); !fit)
    return fit.error();
  for (const auto& record : records) {
    auto size = record_bytes(record);
    if (std::holds_alternative<rewritten_entry>(record.what))
      rewrite_credit_ -= std::min(rewrite_credit_, size);
    else
      rewrite_credit_ = std::min(rewrite_credit_max(), rewrite_credit_ + size);
  }
  // As few chunks as possible, each of which fits into a batch.
  bool open = false;
  for (auto& record : records) {
    auto size = record_bytes(record);
    if (!open || queue_.back().bytes + size > chunk_bytes_max())
      queue_.emplace_back();
    open = true;
    queue_.back().bytes += size;
    queue_.back().records.push_back(std::move(record));
  }
  queued_bytes_ += bytes;
  queued_lsn_ += records.size();
  return journal_lsn{queued_lsn_};
}

expected<void> journal_state::check_room(const std::vector<journal_record>& records,
                                         std::uint64_t bytes) const {
  if (queued_bytes_ + bytes > options_.queue_bytes_max)
    return error{errc::busy, "journal: too much waits to be written"};
  auto least = room_class::relief;
  for (const auto& record : records) {
    least = std::min(least, class_of(record));
    if (const auto* created = std::get_if<replica_created>(&record.what))
      if (queued_.state_bytes() + 2 * record_bytes(record) > options_.segment_bytes / 4)
        return error{errc::no_space, "journal: too many replicas on one drive (group "
                                       + std::to_string(created->group.value) + ")"};
  }
  auto reserve = reserve_bytes();
  auto kept = least == room_class::growth         ? reserve
              : least == room_class::housekeeping ? reserve / 2
                                                  : 0;
  if (room_bytes() < bytes + kept)
    return error{errc::no_space, "journal: full; replicas must checkpoint"};
  return {};
}

bool journal_state::admits(std::uint64_t bytes) const {
  return health_ && queued_bytes_ + bytes <= options_.queue_bytes_max
         && room_bytes() >= bytes + reserve_bytes();
}

std::uint64_t journal_state::entry_bytes_max() const {
  return chunk_bytes_max() - record_bytes(journal_record{replica_id{1}, journal_entry{}});
}

std::uint64_t journal_state::segment_left() const {
  return position_.incarnation == 0 ? 0 : options_.segment_bytes - position_.segment_offset;
}

/// Bytes of records that a fresh segment certainly takes, however they fall into batches: at its
/// end up to one batch may stay unused.
std::uint64_t journal_state::segment_usable() const {
  auto state = std::max(queued_.state_bytes(), written_.state_bytes()) + journal_page_bytes;
  return options_.segment_bytes
         - std::min(options_.segment_bytes, batch_bytes_on_disk(options_.batch_bytes_max) + state);
}

std::uint64_t journal_state::reserve_bytes() const {
  return options_.reserve_segments * segment_usable();
}

/// Bytes of records that certainly still find room behind those that wait.
std::uint64_t journal_state::room_bytes() const {
  auto free_segments = oldest_durable_ + options_.segment_count - 1 - position_.incarnation;
  auto unused = std::min(segment_left(), batch_bytes_on_disk(options_.batch_bytes_max));
  auto total = free_segments * segment_usable() + segment_left() - unused;
  // Each batch is padded, and what arrives during one sync makes at least one more.
  auto padding = journal_page_bytes * (2 + queued_bytes_ / (options_.batch_bytes_max / 2));
  return total - std::min(total, queued_bytes_ + padding);
}

void journal_state::begin_segment(byte_vector& image, batch_header& header) {
  ++position_.incarnation;
  // Guaranteed by check_room: whatever was queued has room.
  TROUPE_ASSERT(position_.incarnation < oldest_durable_ + options_.segment_count);
  position_.segment_offset = 0;
  position_.first_batches[position_.incarnation] = header.number;
  header.begins_segment = true;
  encode_record(written_.state(), image);
  ++counters_.segments;
}

std::optional<journal_batch> journal_state::next_batch() {
  if (!health_ || in_flight_ || queue_.empty())
    return {};
  flight out;
  out.number = position_.last_number + 1;
  batch_header header;
  header.number = out.number;
  header.first_lsn = position_.last_lsn + 1;
  header.previous_crc = position_.last_crc;
  out.image.resize(batch_header_bytes);
  if (batch_bytes_on_disk(queue_.front().bytes) > segment_left())
    begin_segment(out.image, header);
  header.incarnation = position_.incarnation;

  auto limit = out.image.size() + options_.batch_bytes_max;
  while (!queue_.empty()) {
    auto& next = queue_.front();
    auto end = out.image.size() + next.bytes;
    if (end > limit || batch_bytes_on_disk(end - batch_header_bytes) > segment_left())
      break;
    for (const auto& record : next.records) {
      auto fits = written_.apply(record);
      TROUPE_ASSERT(fits); // checked when it was queued
      pins_.note(record, position_.incarnation);
      encode_record(record, out.image);
    }
    header.record_count += static_cast<std::uint32_t>(next.records.size());
    queued_bytes_ -= next.bytes;
    queue_.pop_front();
  }
  TROUPE_ASSERT(out.image.size() <= limit && header.record_count > 0);

  out.oldest = pins_.oldest_of_all(position_.incarnation);
  TROUPE_ASSERT(out.oldest >= oldest_durable_);
  header.replay_from = position_.first_batches.at(out.oldest);
  position_.last_lsn += header.record_count;
  position_.last_number = out.number;
  position_.last_crc = seal_batch(out.image, header, superblock_.owner);
  out.last_lsn = position_.last_lsn;

  auto segment = (position_.incarnation - 1) % options_.segment_count;
  auto offset = journal_page_bytes + segment * options_.segment_bytes + position_.segment_offset;
  position_.segment_offset += out.image.size();
  TROUPE_ASSERT(position_.segment_offset <= options_.segment_bytes);
  ++counters_.batches;
  counters_.records += header.record_count;
  counters_.bytes += out.image.size();
  in_flight_ = std::move(out);
  return journal_batch{in_flight_->number, offset, in_flight_->image};
}

journal_lsn journal_state::batch_done(std::uint64_t number) {
  TROUPE_ASSERT(in_flight_ && in_flight_->number == number);
  durable_lsn_ = in_flight_->last_lsn;
  oldest_durable_ = in_flight_->oldest;
  auto& firsts = position_.first_batches;
  firsts.erase(firsts.begin(), firsts.lower_bound(oldest_durable_));
  in_flight_.reset();
  ++counters_.syncs;
  return durable_lsn();
}

void journal_state::batch_failed(const error& why) {
  if (health_)
    health_ = error{errc::io_error, "journal failed: " + describe(why), trp::drive_failed};
  queue_.clear();
  queued_bytes_ = 0;
}

/// At least one segment before growth is refused, the one being filled included.
std::uint64_t journal_state::rewrite_segments() const {
  return std::min(superblock_.segment_count * options_.rewrite_percent / 100,
                  superblock_.segment_count - options_.reserve_segments - 1);
}

std::uint64_t journal_state::rewrite_credit_max() const {
  return superblock_.segment_bytes * superblock_.segment_count / 2;
}

std::vector<journal_laggard> journal_state::laggards(std::uint64_t segments) const {
  std::vector<journal_laggard> out;
  // Some of the reserve stays for checkpoints, which are what makes room in the end.
  auto room = room_bytes();
  auto queue = options_.queue_bytes_max / 2;
  auto rewritable = std::min({rewrite_credit_, room - std::min(room, reserve_bytes() / 4),
                              queue - std::min(queue, queued_bytes_)});
  for (const auto& [replica, head] : written_.state().replicas)
    if (auto oldest = pins_.oldest(replica); oldest != 0)
      if (auto used = position_.incarnation - oldest + 1; used > segments)
        out.push_back({replica, used, used > rewrite_segments() ? rewritable : 0});
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.segments > b.segments; });
  return out;
}

std::uint64_t journal_state::segments_in_use() const {
  return position_.incarnation + 1 - oldest_durable_;
}

} // namespace troupe
