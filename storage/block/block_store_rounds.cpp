#include "storage/base/assert.hpp"
#include "storage/block/block_store_core.hpp"

#include <algorithm>

namespace troupe {

using namespace block_format;

// How the table survives torn page writes, without a second sync:
//
//   round n      log batch ──┐                      The images of up to 64 dirty pages go to the
//                shadow slots┴─ sync ─► answers     shadow slots beside the batch. Torn? The pages
//                                  │                in place are untouched.
//                                  ▼
//   meanwhile    pages to their places              Torn? The slots are whole: mounting copies
//   them.
//                                  │
//                                  ▼
//   round n+1    log batch ─────── sync ─► answers  Pages are in place for good: the next batch
//                                                   carries a later log start.
//   round n+2    log batch ─────── sync             Now the log behind that start is used again.
//
// Two alternating copies of each page would cost the same writes and twice the space, and could not
// tell a rotten newer copy from a torn one: it would answer with an old state. Here a page that is
// bad in place, and not in a slot, is known to be damaged.

std::uint64_t block_store_state::core::log_needed_from() const {
  return std::min({dirty_.oldest_lsn(), keys_.oldest_lsn(), log_end_});
}

/// Bytes that the ring has for new batches: what lies before the durable log start is free.
std::uint64_t block_store_state::core::log_room() const {
  auto used = log_end_ - log_start_;
  TROUPE_ASSERT(used <= superblock_.geometry.log_bytes);
  return superblock_.geometry.log_bytes - used;
}

bool block_store_state::core::wants_checkpoint() const {
  if (dirty_.size() == 0)
    return false;
  return starved_ || dirty_.size() > options_.dirty_pages_max / 2
         || log_end_ - dirty_.oldest_lsn() > superblock_.geometry.log_bytes / 2;
}

bool block_store_state::core::batch_builder::fits(const log_record& record) const {
  return payload.size() + encoded_bytes(record) <= room;
}

void block_store_state::core::batch_builder::put(const log_record& record) {
  encode_record(record, payload);
  ++count;
}

void block_store_state::core::start_round() {
  if (dead_ || round_.active)
    return;
  // Two batches stay free, so that the log's start can be moved when all else has to wait.
  std::uint64_t kept = 2ull * options_.batch_bytes_max;
  auto room =
    std::min<std::uint64_t>(options_.batch_bytes_max, log_room() > kept ? log_room() - kept : 0);
  auto blocked = room < page_bytes;
  auto publish = blocked && !ready_.empty()
                 && log_needed_from() - log_start_ >= superblock_.geometry.log_bytes / 8;
  starved_ = blocked && !ready_.empty();
  round_ = {};
  round_.first_birth = next_birth_;
  batch_builder batch{.lsn = log_end_};
  if ((!ready_.empty() && !blocked) || publish) {
    batch.room = (blocked ? options_.batch_bytes_max : room) - batch_header_bytes;
    build_records(batch);
    if (batch.count != 0 || publish)
      write_batch(batch);
  }
  if (checkpoint_.stage == checkpoint_stage::idle && wants_checkpoint())
    pick_pages();
  if (!round_.has_batch && checkpoint_.stage != checkpoint_stage::shadowing
      && checkpoint_.stage != checkpoint_stage::installed)
    return;
  round_.active = true;
  for (auto id : round_.tasks)
    if (auto token = at(id).data_write)
      round_.writes.insert(token);
  sync_round_if_written();
}

void block_store_state::core::build_records(batch_builder& batch) {
  // Abandoned keys never fall behind the younger half of the log.
  auto half = superblock_.geometry.log_bytes / 2;
  if (log_end_ > half)
    for (const auto& key : keys_.abandoned_before(log_end_ - half)) {
      if (!batch.fits(abandoned_record{key}))
        break;
      batch.put(abandoned_record{key});
      keys_.remember_abandoned(key, batch.lsn);
    }
  if (starved_)
    return;
  while (!ready_.empty()) {
    auto id = ready_.front();
    if (!add_records(id, batch))
      return;
    ready_.pop_front();
  }
}

bool block_store_state::core::add_records(task_id id, batch_builder& batch) {
  switch (at(id).kind) {
  case task_kind::store: return add_stored(id, batch);
  case task_kind::free: return add_freed(id, batch);
  case task_kind::abandon: return add_abandoned(id, batch);
  case task_kind::read:
  case task_kind::list: break;
  }
  TROUPE_ASSERT(!"reads need no round");
  return true;
}

bool block_store_state::core::add_stored(task_id id, batch_builder& batch) {
  auto& t = at(id);
  stored_record record{next_birth_, t.run.start_block, t.owner, t.key, t.checksums};
  if (!batch.fits(record))
    return false;
  if (!room_for_dirty(t.run)) {
    starved_ = true;
    return false;
  }
  batch.put(record);
  t.run.born = next_birth_;
  next_birth_ = birth{next_birth_.value + 1};
  t.logged = true;
  reserved_.erase(t.run.start_block);
  apply_stored(t, batch.lsn);
  round_.tasks.push_back(id);
  return true;
}

bool block_store_state::core::add_freed(task_id id, batch_builder& batch) {
  auto& t = at(id);
  if (look_up(t.run).code != errc::none) { // freed by another request meanwhile
    pass_over(id);
    return true;
  }
  freed_record record{t.run.born, t.run.start_block, t.run.block_count};
  if (!batch.fits(record))
    return false;
  if (!room_for_dirty(t.run)) {
    starved_ = true;
    return false;
  }
  batch.put(record);
  apply_freed(t.run, batch.lsn);
  t.logged = true;
  free_groups_.at(free_request_.at(id)).logged = true;
  round_.tasks.push_back(id);
  return true;
}

bool block_store_state::core::add_abandoned(task_id id, batch_builder& batch) {
  auto& t = at(id);
  abandoned_record record{t.key};
  freed_record freed{t.run.born, t.run.start_block, t.run.block_count};
  auto with_run = t.run.born && look_up(t.run).code == errc::none;
  auto bytes = encoded_bytes(record) + (with_run ? encoded_bytes(freed) : 0);
  if (batch.payload.size() + bytes > batch.room)
    return false;
  if (with_run && !room_for_dirty(t.run)) {
    starved_ = true;
    return false;
  }
  batch.put(record);
  keys_.remember_abandoned(t.key, batch.lsn);
  if (with_run) {
    batch.put(freed);
    apply_freed(t.run, batch.lsn);
  }
  t.freed = with_run;
  t.logged = true;
  round_.tasks.push_back(id);
  return true;
}

bool block_store_state::core::room_for_dirty(const run_ref& run) const {
  auto last = run.start_block + run.block_count - 1;
  std::size_t fresh = dirty_.contains({page_kind::bitmap, last / group_blocks}) ? 0 : 1;
  for (auto page = run.start_block / table_page_blocks; page <= last / table_page_blocks; ++page)
    fresh += dirty_.contains({page_kind::table, page}) ? 0 : 1;
  return dirty_.size() + fresh <= options_.dirty_pages_max;
}

void block_store_state::core::touch_blocks(const run_ref& run, std::uint64_t lsn) {
  auto last = run.start_block + run.block_count - 1;
  for (auto page = run.start_block / table_page_blocks; page <= last / table_page_blocks; ++page) {
    dirty_.touch({page_kind::table, page}, lsn);
    cache_.hold(page, true);
  }
  dirty_.touch({page_kind::bitmap, last / group_blocks}, lsn);
}

void block_store_state::core::apply_stored(const task& t, std::uint64_t lsn) {
  for (std::uint32_t i = 0; i < t.run.block_count; ++i) {
    auto block = t.run.start_block + i;
    store_descriptor(cache_.bytes(block / table_page_blocks),
                     static_cast<std::uint32_t>(block % table_page_blocks),
                     {t.run.born, t.owner, t.checksums[i],
                      static_cast<std::uint16_t>(t.run.block_count),
                      static_cast<std::uint16_t>(i)});
  }
  touch_blocks(t.run, lsn);
}

void block_store_state::core::apply_freed(const run_ref& run, std::uint64_t lsn) {
  for (auto block = run.start_block; block < run.start_block + run.block_count; ++block)
    store_descriptor(cache_.bytes(block / table_page_blocks),
                     static_cast<std::uint32_t>(block % table_page_blocks), {});
  touch_blocks(run, lsn);
  keys_.forget_run(run.born);
  round_.releasing.push_back(run);
  auto [begin, end_of] = reading_.equal_range(run.start_block);
  for (auto it = begin; it != end_of; ++it)
    at(it->second).stale = true;
}

void block_store_state::core::write_batch(const batch_builder& batch) {
  batch_header header{.lsn = batch.lsn,
                      .mount = report_.mount,
                      .log_start = log_needed_from(),
                      .next_birth = next_birth_,
                      .record_count = batch.count};
  round_.has_batch = true;
  round_.log_start = header.log_start;
  shared_bytes bytes{encode_batch(header, tag_, batch.payload)};
  TROUPE_ASSERT(bytes.size() <= log_room());
  const auto& g = superblock_.geometry;
  auto at_byte = batch.lsn % g.log_bytes;
  auto before_end = std::min<std::uint64_t>(bytes.size(), g.log_bytes - at_byte);
  round_.writes.insert(order_write({io_kind::round_write, {}, 0}, g.log_offset + at_byte,
                                   {bytes.slice(0, before_end)}));
  if (before_end < bytes.size()) // over the end of the ring
    round_.writes.insert(order_write({io_kind::round_write, {}, 0}, g.log_offset,
                                     {bytes.slice(before_end, bytes.size() - before_end)}));
  log_end_ += bytes.size();
  last_lsn_ = batch.lsn;
}

void block_store_state::core::round_write_done(io_token token) {
  round_.writes.erase(token);
  sync_round_if_written();
}

void block_store_state::core::sync_round_if_written() {
  if (!round_.active || round_.syncing || !round_.writes.empty())
    return;
  round_.syncing = true;
  round_.settles = checkpoint_.stage == checkpoint_stage::installed;
  auto token = order({io_kind::sync, {}, 0});
  out->push_back(drive_sync{token});
}

void block_store_state::core::sync_done() {
  ++report_.syncs;
  auto round = std::move(round_);
  round_ = {};
  if (round.has_batch)
    log_start_ = round.log_start;
  for (const auto& run : round.releasing)
    bitmap_.release(run.start_block, run.block_count);
  for (auto id : round.tasks) {
    auto& t = at(id);
    if (t.kind == task_kind::store) {
      ++report_.stores;
      keys_.remember_done(t.key, t.run);
      end_all(id, run_stored{t.run});
    } else if (t.kind == task_kind::free) {
      end_free(id, true, {});
    } else {
      report_.frees += t.freed ? 1 : 0;
      end_all(id, runs_freed{t.freed ? 1u : 0u});
    }
  }
  for (auto id : round.riders)
    end_free(id, false, {});
  for (auto id : std::exchange(after_round_, {}))
    start_abandon(id);
  if (round.settles)
    settle_pages();
  else if (checkpoint_.stage == checkpoint_stage::shadowing)
    install_pages();
}

// The checkpoint.

void block_store_state::core::pick_pages() {
  checkpoint_.pages = dirty_.pick(shadow_slots);
  checkpoint_.images.clear();
  for (auto page : checkpoint_.pages)
    checkpoint_.images.push_back(image(page));
  checkpoint_.stage = checkpoint_stage::shadowing;
  // All slots are written, so that none keeps an image older than what is in place.
  auto slots = checkpoint_.images;
  if (auto rest = shadow_slots - slots.size(); rest != 0)
    slots.emplace_back(byte_vector(rest * page_bytes));
  round_.writes.insert(order_write({io_kind::round_write, {}, 0},
                                   superblock_.geometry.shadow_offset, std::move(slots)));
}

shared_bytes block_store_state::core::image(page_id page) {
  byte_vector bytes(page_bytes);
  if (page.kind == page_kind::table) {
    auto now = cache_.bytes(page.number);
    std::copy(now.begin(), now.end(), bytes.begin());
  } else {
    // The bitmap in memory runs ahead and behind: blocks of stores that are not logged are taken
    // already, blocks whose free is not durable are not given back yet.
    auto body = std::span{bytes}.subspan(page_header_bytes);
    bitmap_.copy_group(page.number, body);
    auto first = page.number * group_blocks;
    auto clear = [&](std::uint64_t start, std::uint32_t count) {
      if (start / group_blocks != page.number)
        return;
      for (auto bit = start - first; bit < start - first + count; ++bit)
        body[bit / 8] &= ~(std::byte{1} << (bit % 8));
    };
    for (auto it = reserved_.lower_bound(first); it != reserved_.end(); ++it) {
      if (it->first >= first + group_blocks)
        break;
      clear(it->first, it->second);
    }
    for (const auto& run : round_.releasing)
      clear(run.start_block, run.block_count);
  }
  seal_page(bytes, page, tag_, last_lsn_);
  return shared_bytes{std::move(bytes)};
}

void block_store_state::core::install_pages() {
  checkpoint_.stage = checkpoint_stage::installing;
  for (std::size_t i = 0; i < checkpoint_.pages.size(); ++i)
    checkpoint_.writes.insert(order_write({io_kind::install, {}, 0},
                                          page_offset(superblock_.geometry, checkpoint_.pages[i]),
                                          {checkpoint_.images[i]}));
}

void block_store_state::core::install_done(io_token token) {
  checkpoint_.writes.erase(token);
  if (checkpoint_.writes.empty())
    checkpoint_.stage = checkpoint_stage::installed;
}

void block_store_state::core::settle_pages() {
  for (auto page : dirty_.settle())
    if (page.kind == page_kind::table)
      cache_.hold(page.number, false);
  checkpoint_ = {};
}

} // namespace troupe
