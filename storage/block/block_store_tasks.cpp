#include "storage/base/assert.hpp"
#include "storage/block/block_store_core.hpp"
#include "storage/codec/unit_checksum.hpp"

#include <algorithm>

namespace troupe {

using namespace block_format;

namespace {

/// A placement whose blocks the table says are in use is given up and another one tried.
constexpr std::uint32_t place_attempts_max = 8;

bool in_bounds(const run_ref& run, std::uint64_t blocks) {
  return run.block_count >= 1 && run.block_count <= run_blocks_max && run.start_block < blocks
         && run.block_count <= blocks - run.start_block;
}

} // namespace

// Accepting.

std::string block_store_state::core::name() const {
  return "drive " + to_string(superblock_.drive);
}

error block_store_state::core::refusal() const {
  return {errc::unavailable, name() + " is dead", trp::drive_failed};
}

void block_store_state::core::answer(request_token request, decltype(drive_reply::result) result) {
  TROUPE_ASSERT(request_count_ > 0);
  --request_count_;
  out->push_back(drive_reply{request, std::move(result)});
}

bool block_store_state::core::accept(request_token request, const drive_uuid& drive) {
  error no;
  if (dead_)
    no = refusal();
  else if (drive != superblock_.drive)
    no = {errc::not_found, "drive " + to_string(drive) + " asked of " + name()};
  else if (request_count_ >= options_.requests_max)
    no = {errc::busy, name() + ": too many requests"};
  ++request_count_;
  if (no.code == errc::none)
    return true;
  answer(request, std::move(no));
  return false;
}

task_id block_store_state::core::add(task t) {
  task_id id{next_task_++};
  tasks_.emplace(id, std::move(t));
  return id;
}

void block_store_state::core::store(request_token request, const store_run& what,
                                    store_class priority) {
  if (!accept(request, what.drive))
    return;
  auto blocks = what.data.size() / block_bytes;
  if (what.data.empty() || what.data.size() % block_bytes != 0 || blocks > run_blocks_max
      || what.checksums.size() != blocks)
    return answer(request,
                  error{errc::invalid_argument,
                        name() + ": a run of " + std::to_string(what.data.size()) + " bytes with "
                          + std::to_string(what.checksums.size()) + " checksums"});
  if (keys_.is_abandoned(what.key))
    return answer(request, error{errc::interrupted, name() + ": this write was abandoned"});
  if (auto done = keys_.find_done(what.key))
    return answer(request, run_stored{*done});
  if (auto under_way = pending_.find(what.key); under_way != pending_.end()) {
    at(under_way->second).requests.push_back(request);
    return;
  }
  if (auto bad = first_bad_block(what.data.view(), what.checksums))
    return answer(request, error{errc::corrupt, name() + ": arrived with a wrong checksum:"
                                                  + named_block(*bad) + " of the run"});
  task t;
  t.kind = task_kind::store;
  t.requests = {request};
  t.run = {superblock_.drive, 0, static_cast<std::uint32_t>(blocks), birth{}};
  t.key = what.key;
  t.owner = what.owner;
  t.data = what.data;
  t.checksums = what.checksums;
  t.priority = priority;
  auto id = add(std::move(t));
  pending_.emplace(what.key, id);
  change_queue_.push_back(id);
}

void block_store_state::core::read(request_token request, const read_run& what) {
  if (!accept(request, what.run.drive))
    return;
  if (what.block_count == 0 || what.first_block >= what.run.block_count
      || what.block_count > what.run.block_count - what.first_block)
    return answer(request, error{errc::invalid_argument, name() + ": blocks outside the run"});
  if (!in_bounds(what.run, bitmap_.block_count()))
    return answer(request, error{errc::stale, name() + named_block(what.run.start_block)});
  task t;
  t.kind = task_kind::read;
  t.requests = {request};
  t.run = what.run;
  t.first_block = what.first_block;
  t.block_count = what.block_count;
  read_queue_.push_back(add(std::move(t)));
}

void block_store_state::core::list(request_token request, std::uint64_t from_block) {
  if (!accept(request, superblock_.drive))
    return;
  if (from_block >= bitmap_.block_count())
    return answer(request, run_list{{}, bitmap_.block_count(), true});
  task t;
  t.kind = task_kind::list;
  t.requests = {request};
  t.from_block = from_block;
  read_queue_.push_back(add(std::move(t)));
}

void block_store_state::core::free(request_token request, const free_runs& what) {
  if (!accept(request, superblock_.drive))
    return;
  if (what.runs.size() > options_.free_runs_max)
    return answer(request, error{errc::too_large, name() + ": too many runs to free at once"});
  auto fresh = free_groups_.emplace(request, free_group{.runs = what.runs}).second;
  TROUPE_ASSERT(fresh);
  if (what.runs.empty())
    return finish_group(request);
  free_queue_.push_back(request);
}

void block_store_state::core::abandon(request_token request, const abandon_write& what) {
  if (!accept(request, what.drive))
    return;
  keys_.remember_abandoned(what.key, 0); // refuses the write from this moment
  task t;
  t.kind = task_kind::abandon;
  t.requests = {request};
  t.key = what.key;
  change_queue_.push_back(add(std::move(t)));
}

// Starting.

void block_store_state::core::start_reads() {
  while (!read_queue_.empty() && reads_active_ < options_.tasks_max) {
    auto id = read_queue_.front();
    auto bytes = std::uint64_t{at(id).block_count} * block_bytes;
    if (read_bytes_active_ != 0 && read_bytes_active_ + bytes > options_.read_bytes_max)
      return;
    read_queue_.pop_front();
    start_read(id);
  }
}

void block_store_state::core::start_read(task_id id) {
  auto& t = at(id);
  ++reads_active_;
  read_bytes_active_ += std::uint64_t{t.block_count} * block_bytes;
  if (t.kind == task_kind::read)
    need_pages(id, t.run.start_block, t.run.block_count);
  else
    need_pages(id, t.from_block, 1);
}

void block_store_state::core::start_changes() {
  // Stores and frees take turns, so that a long list of frees holds up no store.
  while (changes_active_ < options_.tasks_max && (!change_queue_.empty() || !free_queue_.empty())) {
    take_free_next_ = !take_free_next_;
    if (change_queue_.empty() || (take_free_next_ && !free_queue_.empty())) {
      next_free_task();
      continue;
    }
    auto id = change_queue_.front();
    change_queue_.pop_front();
    ++changes_active_;
    if (at(id).kind == task_kind::store)
      start_store(id);
    else
      start_abandon(id);
  }
}

void block_store_state::core::next_free_task() {
  auto request = free_queue_.front();
  auto& group = free_groups_.at(request);
  const auto& run = group.runs[group.next++];
  ++group.under_way;
  if (group.next == group.runs.size())
    free_queue_.pop_front();
  task t;
  t.kind = task_kind::free;
  t.run = run;
  auto id = add(std::move(t));
  free_request_.emplace(id, request);
  ++changes_active_;
  if (run.drive != superblock_.drive || !in_bounds(run, bitmap_.block_count()))
    return end_free(id, false, {});
  need_pages(id, run.start_block, run.block_count);
}

void block_store_state::core::start_store(task_id id) {
  auto& t = at(id);
  if (t.cancelled)
    return end(id);
  auto count = t.run.block_count;
  auto keep = t.priority == store_class::ordinary ? reserve_blocks_ : 0;
  auto start = bitmap_.free_count() >= keep + count ? bitmap_.place(count) : std::nullopt;
  if (!start)
    return end_all(id, error{errc::no_space,
                             name() + ": no room for a run of " + std::to_string(count) + " blocks",
                             trp::cluster_full});
  t.run.start_block = *start;
  t.placed = true;
  reserved_.emplace(*start, count);
  need_pages(id, *start, count);
}

void block_store_state::core::start_abandon(task_id id) {
  auto& t = at(id);
  if (auto store = pending_.find(t.key); store != pending_.end()) {
    if (at(store->second).logged) {
      after_round_.push_back(id); // a run with a write in flight cannot be freed
      return;
    }
    cancel_store(store->second);
  }
  auto done = keys_.find_run(t.key);
  if (!done) {
    ready_.push_back(id);
    return;
  }
  t.run = *done;
  need_pages(id, t.run.start_block, t.run.block_count);
}

void block_store_state::core::cancel_store(task_id id) {
  auto& t = at(id);
  TROUPE_ASSERT(!t.logged);
  t.cancelled = true;
  pending_.erase(t.key);
  for (auto request : t.requests)
    answer(request, error{errc::interrupted, name() + ": this write was abandoned"});
  t.requests.clear();
  auto ready = std::find(ready_.begin(), ready_.end(), id);
  if (ready == ready_.end())
    return; // not started, or pages on the way: ends when they are here
  ready_.erase(ready);
  if (t.data_write)
    return; // its place stays taken until nothing can be written there any more
  unplace(t);
  end(id);
}

// Ready.

void block_store_state::core::pages_ready(task_id id) {
  auto& t = at(id);
  if (t.kind == task_kind::store && t.cancelled) {
    unplace(t);
    return end(id);
  }
  if (t.failure.code != errc::none) {
    if (t.kind == task_kind::free)
      return end_free(id, false, t.failure);
    if (t.placed)
      unplace(t);
    return end_all(id, t.failure);
  }
  switch (t.kind) {
  case task_kind::store: return pages_ready_store(id);
  case task_kind::read: return pages_ready_read(id);
  case task_kind::list: return pages_ready_list(id);
  case task_kind::free:
    if (look_up(t.run).code != errc::none)
      return pass_over(id);
    break;
  case task_kind::abandon: break;
  }
  ready_.push_back(id);
}

void block_store_state::core::pages_ready_store(task_id id) {
  auto& t = at(id);
  std::vector<std::uint64_t> in_use;
  for (auto block = t.run.start_block; block < t.run.start_block + t.run.block_count; ++block)
    if (descriptor(block).born)
      in_use.push_back(block);
  if (in_use.empty()) {
    auto offset = superblock_.geometry.data_offset + t.run.start_block * block_bytes;
    t.data_write = order_write({io_kind::store_data, id, 0}, offset, {t.data});
    ready_.push_back(id);
    return;
  }
  // The table says that somebody lives here: believe it, keep the blocks, and try elsewhere.
  note_damage();
  unplace(t);
  for (auto block : in_use)
    bitmap_.set(block, 1, true);
  dirty_.touch({page_kind::bitmap, in_use.front() / group_blocks}, last_lsn_);
  drop_pages(t);
  if (++t.attempts < place_attempts_max)
    return start_store(id);
  end_all(id, error{errc::io_error, name() + ": bitmap and run table disagree"});
}

// Ending.

void block_store_state::core::unplace(task& t) {
  TROUPE_ASSERT(t.placed);
  TROUPE_ASSERT(!t.data_write);
  t.placed = false;
  reserved_.erase(t.run.start_block);
  bitmap_.release(t.run.start_block, t.run.block_count);
}

void block_store_state::core::end(task_id id) {
  auto& t = at(id);
  drop_pages(t);
  if (t.kind == task_kind::read || t.kind == task_kind::list) {
    --reads_active_;
    read_bytes_active_ -= std::uint64_t{t.block_count} * block_bytes;
  } else {
    --changes_active_;
  }
  tasks_.erase(id);
}

void block_store_state::core::end_all(task_id id, const decltype(drive_reply::result)& result) {
  auto& t = at(id);
  for (auto request : t.requests)
    answer(request, result);
  if (t.kind == task_kind::store)
    pending_.erase(t.key);
  end(id);
}

void block_store_state::core::end_free(task_id id, bool freed, error failure) {
  auto request = free_request_.at(id);
  free_request_.erase(id);
  auto& group = free_groups_.at(request);
  --group.under_way;
  group.freed_count += freed ? 1 : 0;
  report_.frees += freed ? 1 : 0;
  if (failure.code != errc::none)
    group.failure = std::move(failure);
  end(id);
  if (group.under_way == 0 && group.next == group.runs.size())
    finish_group(request);
}

void block_store_state::core::pass_over(task_id id) {
  // Gone in memory is not gone for good: the answer waits for the sync.
  if (std::find(round_.releasing.begin(), round_.releasing.end(), at(id).run)
      == round_.releasing.end())
    return end_free(id, false, {});
  free_groups_.at(free_request_.at(id)).logged = true;
  round_.riders.push_back(id);
}

void block_store_state::core::finish_group(request_token request) {
  auto& group = free_groups_.at(request);
  if (group.failure.code != errc::none)
    answer(request, group.failure);
  else
    answer(request, runs_freed{group.freed_count});
  free_groups_.erase(request);
}

} // namespace troupe
