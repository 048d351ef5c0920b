#include "storage/block/block_store_state.hpp"

#include "storage/base/assert.hpp"
#include "storage/block/block_store_core.hpp"

#include <algorithm>

namespace troupe {

using namespace block_format;

// The public face: hand over the effects, do the work, start what can be started.

namespace {

/// Lends the effects vector to the core for one call.
template <class Core, class Work>
void during(Core& core, block_store_effects& out, Work work) {
  core.out = &out;
  work();
  core.pump();
  core.out = nullptr;
}

} // namespace

block_store_state::block_store_state(recovered_drive from)
  : core_(std::make_unique<core>(std::move(from))) {}
block_store_state::~block_store_state() = default;
block_store_state::block_store_state(block_store_state&&) noexcept = default;
block_store_state& block_store_state::operator=(block_store_state&&) noexcept = default;

void block_store_state::store(request_token request, const store_run& what,
                              block_store_effects& out, store_class priority) {
  during(*core_, out, [&] { core_->store(request, what, priority); });
}

void block_store_state::read(request_token request, const read_run& what,
                             block_store_effects& out) {
  during(*core_, out, [&] { core_->read(request, what); });
}

void block_store_state::free(request_token request, const free_runs& what,
                             block_store_effects& out) {
  during(*core_, out, [&] { core_->free(request, what); });
}

void block_store_state::abandon(request_token request, const abandon_write& what,
                                block_store_effects& out) {
  during(*core_, out, [&] { core_->abandon(request, what); });
}

void block_store_state::list(request_token request, std::uint64_t from_block,
                             block_store_effects& out) {
  during(*core_, out, [&] { core_->list(request, from_block); });
}

void block_store_state::forget_client(client_id client, incarnation last) {
  core_->forget_client(client, last);
}

void block_store_state::io_done(io_token token, expected<shared_bytes> result,
                                block_store_effects& out) {
  during(*core_, out, [&] { core_->io_done(token, std::move(result)); });
}

drive_report block_store_state::report() const {
  return core_->report();
}

bool block_store_state::idle() const {
  return core_->idle();
}

// The device's answers.

block_store_state::core::core(recovered_drive from)
  : superblock_(from.superblock), tag_(drive_tag(from.superblock.drive)), options_(from.options),
    reserve_blocks_(from.superblock.geometry.block_count * from.options.reserve_permille / 1000),
    bitmap_(std::move(from.bitmap)), keys_(std::move(from.keys)),
    cache_(from.options.cache_pages_max), next_birth_(from.next_birth), log_end_(from.log_end),
    log_start_(from.log_start), last_lsn_(from.log_start) {
  TROUPE_ASSERT(log_end_ > log_start_);
  report_.drive = superblock_.drive;
  report_.mount = from.mount;
  report_.state = drive_state::healthy;
  report_.blocks_total = bitmap_.block_count();
  for (std::uint64_t i = 0; i < from.damaged_pages; ++i)
    note_damage();
}

drive_report block_store_state::core::report() const {
  auto r = report_;
  auto free_count = bitmap_.free_count();
  r.blocks_free = free_count > reserve_blocks_ ? free_count - reserve_blocks_ : 0;
  return r;
}

bool block_store_state::core::idle() const {
  return request_count_ == 0 && ios_.empty() && tasks_.empty();
}

void block_store_state::core::forget_client(client_id client, incarnation last) {
  keys_.forget(client, last);
}

void block_store_state::core::pump() {
  if (dead_)
    return;
  start_reads();
  start_changes();
  start_round();
  // What waits, waits for something that is under way.
  TROUPE_ASSERT(ready_.empty() || !ios_.empty());
}

void block_store_state::core::io_done(io_token token, expected<shared_bytes> result) {
  auto it = ios_.find(token);
  if (it == ios_.end())
    return;
  auto origin = it->second;
  ios_.erase(it);
  auto reading = origin.kind == io_kind::page_load || origin.kind == io_kind::read_data;
  if (!result) {
    ++report_.io_errors;
    if (report_.state == drive_state::healthy)
      report_.state = drive_state::suspect;
    if (!reading)
      return die(result.error());
  }
  switch (origin.kind) {
  case io_kind::page_load: return page_loaded(origin.page, std::move(result));
  case io_kind::read_data: return read_done(origin.task, std::move(result));
  case io_kind::round_write: return round_write_done(token);
  case io_kind::install: return install_done(token);
  case io_kind::sync: return sync_done();
  case io_kind::store_data: break;
  }
  auto& t = at(origin.task);
  t.data_write = {};
  report_.bytes_written += t.data.size();
  if (t.cancelled) {
    unplace(t);
    return end(origin.task);
  }
  if (t.logged)
    round_write_done(token);
}

void block_store_state::core::die(const error& why) {
  dead_ = true;
  report_.state = drive_state::dead;
  error cause{errc::io_error, name() + ": " + why.context, trp::drive_failed};
  out->push_back(drive_died{cause});
  auto told = [&](bool logged) {
    return error{logged ? errc::may_have_happened : errc::unavailable, cause.context,
                 trp::drive_failed};
  };
  for (auto& [id, t] : tasks_)
    for (auto request : t.requests)
      answer(request, told(t.logged));
  for (auto& [request, group] : free_groups_)
    answer(request, told(group.logged));
  TROUPE_ASSERT(request_count_ == 0);
  ios_.clear();
  tasks_.clear();
  free_groups_.clear();
  free_queue_.clear();
  free_request_.clear();
  change_queue_.clear();
  read_queue_.clear();
  ready_.clear();
  after_round_.clear();
  pending_.clear();
  loading_.clear();
  reading_.clear();
}

// Effects.

io_token block_store_state::core::order(io_origin origin) {
  io_token token{next_token_++};
  ios_.emplace(token, origin);
  return token;
}

io_token block_store_state::core::order_write(io_origin origin, std::uint64_t offset,
                                              std::vector<shared_bytes> pieces) {
  auto token = order(origin);
  out->push_back(drive_write{token, offset, std::move(pieces)});
  return token;
}

io_token block_store_state::core::order_read(io_origin origin, std::uint64_t offset,
                                             std::uint64_t bytes) {
  auto token = order(origin);
  out->push_back(drive_read{token, offset, bytes});
  return token;
}

} // namespace troupe
