#include "cluster/gateway/file_flusher.hpp"

#include <algorithm>

namespace troupe {

namespace {

/// The pause before a refused commit is prepared anew, times the number of refusals…
constexpr std::uint64_t refusal_pause_ms = 50;
/// …up to this.
constexpr std::uint64_t refusal_pause_ms_max = 1000;

std::uint64_t pause_ms(std::uint64_t refusals) {
  return std::min(refusal_pause_ms * refusals, refusal_pause_ms_max);
}

bool is_small(std::uint64_t size) {
  return size <= inline_bytes_max;
}

} // namespace

bool is_passing_refusal(errc code) {
  switch (code) {
  case errc::stale: // the lease, or a drive that is not writable any more
  case errc::below_floor:
  case errc::behind:
  case errc::busy:
  case errc::unavailable: return true;
  default: return false;
  }
}

// -- room -----------------------------------------------------------------------------------------

procedure<void> file_flusher::reserve(std::uint64_t bytes) {
  if (budget_.used() + bytes > budget_.total() / 4 * 3)
    relieve();
  co_await budget_.acquire(bytes);
}

void file_flusher::settle_reservation(const file_ptr& file, std::uint64_t reserved) {
  account(file);
  budget_.release(reserved);
}

void file_flusher::account(const file_ptr& file) {
  auto now_used = file->buffer.memory_bytes();
  if (now_used > file->counted_bytes)
    budget_.force(now_used - file->counted_bytes);
  else if (now_used < file->counted_bytes)
    budget_.release(file->counted_bytes - now_used);
  file->counted_bytes = now_used;
  if (now_used > 0)
    holding_[file->id] = file;
  else
    holding_.erase(file->id);
  if (!holding_.empty() && !std::exchange(aging_, true))
    ctx_.run.start(age());
}

void file_flusher::drop_clean(const file_ptr& file) {
  file->buffer.drop_all_clean();
  account(file);
}

void file_flusher::relieve() {
  std::vector<file_ptr> files;
  for (const auto& [id, file] : holding_)
    files.push_back(file);
  for (const auto& file : files)
    drop_clean(file);
  std::stable_sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
    return a->buffer.dirty_blocks() > b->buffer.dirty_blocks();
  });
  std::uint64_t on_the_way = 0;
  for (const auto& file : files) {
    if (on_the_way >= budget_.total() / 2)
      break;
    on_the_way += file->buffer.unsettled_blocks() * block_bytes;
    kick(file, flush_mode::everything);
  }
}

procedure<void> file_flusher::age() {
  const auto limit = ctx_.options.dirty_age_ms_max;
  while (!holding_.empty()) {
    co_await sleep_until(ctx_.in_ms(std::max<std::uint64_t>(limit / 4, 1)));
    auto files = holding_;
    for (const auto& [id, file] : files)
      if (file->buffer.dirty_blocks() > 0
          && ctx_.now().ns >= file->dirty_since.ns + limit * 1'000'000)
        kick(file, flush_mode::everything);
  }
  aging_ = false;
}

// -- storing --------------------------------------------------------------------------------------

void file_flusher::kick(const file_ptr& file, flush_mode mode) {
  if (!file->stored.empty() && file->pieces_in_flight == 0 && !file->committing)
    start_commits(file);
  if (file->buffer.dirty_blocks() == 0)
    return;
  if (is_small(file->size)) {
    if (mode == flush_mode::everything) {
      file->flush_inline = true;
      start_commits(file);
    }
    return;
  }
  if (mode == flush_mode::full_stripes && file->buffer.dirty_blocks() < unit_blocks)
    return;
  auto ranges = file->buffer.dirty_ranges();
  auto pieces = plan_flush(ranges, stripes_.full_stripe_blocks(), mode);
  auto generation = file->generation;
  for (const auto& piece : pieces) {
    if (file->generation != generation)
      return; // the piece before found no room, at once: everything was given up
    start_piece(file, piece);
  }
}

void file_flusher::start_piece(const file_ptr& file, block_range range) {
  auto size_end = std::min(file->size, range.end() * block_bytes);
  auto blocks = std::make_shared<const frozen_blocks>(file->buffer.freeze(range));
  ++file->pieces_in_flight;
  ctx_.run.start(store_piece(file, std::move(blocks), size_end));
}

procedure<void> file_flusher::store_piece(file_ptr file,
                                          std::shared_ptr<const frozen_blocks> blocks,
                                          std::uint64_t size_end) {
  auto generation = file->generation;
  bool in_flight = true;
  for (std::uint64_t first = 0; first < blocks->range().count;) {
    auto stored = co_await stripes_.store(file->id, blocks, first);
    if (file->generation != generation) { // given up meanwhile: no commit names it
      if (stored)
        stripes_.free(stored->layout);
      break;
    }
    if (!stored) {
      lose(file, stored.error());
      break;
    }
    first += stored->range.count;
    if (file->stored.empty())
      file->first_stored_at = ctx_.now();
    auto end = std::min(size_end, stored->range.end() * block_bytes);
    file->stored.push_back({std::move(*stored), end});
    if (first >= blocks->range().count) { // commits must not wait for what is all there
      --file->pieces_in_flight;
      in_flight = false;
    }
    start_commits(file);
  }
  if (in_flight)
    --file->pieces_in_flight;
  file->progress.wake_all();
}

/// What moves out of the metadata must be in the first commit of something bigger: it goes now,
/// although it may still grow.
void file_flusher::kick_start_of_file(const file_ptr& file) {
  auto ranges = file->buffer.dirty_ranges();
  if (!ranges.empty() && ranges.front().first == 0)
    start_piece(file, {0, std::min<std::uint64_t>(ranges.front().count, unit_blocks)});
}

// -- committing -----------------------------------------------------------------------------------

void file_flusher::start_commits(const file_ptr& file) {
  file->progress.wake_all(); // more for one that gathers
  if (!std::exchange(file->committing, true))
    ctx_.run.start(commit_all(file));
}

procedure<void> file_flusher::commit_all(file_ptr file) {
  for (;;) {
    co_await gather_more(file);
    batch work;
    if (!next_batch(file, work))
      break;
    co_await commit(file, std::move(work));
    file->progress.wake_all();
    if (budget_.contended())
      relieve();
  }
  file->committing = false;
  file->progress.wake_all();
}

procedure<void> file_flusher::gather_more(file_ptr file) {
  const auto& limits = ctx_.options;
  for (;;) {
    boot_time due{file->first_stored_at.ns + limits.commit_delay_ms_max * 1'000'000};
    bool last = file->draining > 0 && file->pieces_in_flight == 0;
    if (file->stored.empty() || file->stored.size() >= limits.commit_stripes_min || last
        || budget_.contended() || ctx_.now() >= due)
      co_return;
    co_await file->progress.wait_until(due);
  }
}

bool file_flusher::next_inline(const file_ptr& file, batch& out) {
  bool wanted = std::exchange(file->flush_inline, false);
  if (!wanted || file->buffer.dirty_blocks() == 0 || file->pieces_in_flight > 0)
    return false;
  TROUPE_ASSERT(file->buffer.dirty_blocks() == 1);
  auto block = file->buffer.freeze({0, 1});
  auto bytes = block.window(0, 1);
  out.is_inline = true;
  out.operation.inline_data.emplace(bytes.view().begin(), bytes.view().begin() + file->size);
  out.operation.size_at_least = file->size;
  return true;
}

bool file_flusher::next_batch(const file_ptr& file, batch& out) {
  auto& op = out.operation;
  if (file->stored.empty()) {
    if (!is_small(file->size) || !next_inline(file, out))
      return false;
  } else {
    auto& stored = file->stored;
    bool has_start = std::any_of(stored.begin(), stored.end(),
                                 [](const auto& p) { return p.stripe.range.first == 0; });
    if (file->committed_inline && !has_start) {
      kick_start_of_file(file);
      if (file->pieces_in_flight == 0) // written before an older commit, given up, came through
        lose(file,
             {errc::io_error, "the start of file " + to_string(file->id) + " is not buffered"});
      return false; // it begins again when they are stored
    }
    auto most = file->stripes_max > 0 ? file->stripes_max : ctx_.options.commit_stripes_max;
    auto count = std::min<std::size_t>(stored.size(), most);
    if (has_start) // it must be among the first
      std::stable_partition(stored.begin(), stored.end(),
                            [](const auto& p) { return p.stripe.range.first == 0; });
    out.pieces.assign(std::make_move_iterator(stored.begin()),
                      std::make_move_iterator(stored.begin() + static_cast<long>(count)));
    stored.erase(stored.begin(), stored.begin() + static_cast<long>(count));
    file->first_stored_at = ctx_.now();
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto& piece = out.pieces[i];
      op.stripes.push_back(piece.stripe.layout);
      op.extents.push_back(
        {piece.stripe.range.first * block_bytes, piece.stripe.range.count * block_bytes, i, 0});
      op.size_at_least = std::max(op.size_at_least, piece.size_end);
    }
  }
  op.id = file->id;
  op.modify_time = file->modify_time;
  op.release_lease = file->release_with_commit && file->stored.empty()
                     && file->pieces_in_flight == 0 && file->buffer.dirty_blocks() == 0
                     && file->buffer.rewritten_blocks() == 0;
  return true;
}

procedure<expected<lease_id>> file_flusher::lease_for_commit(file_ptr file) {
  if (leases_.held(file->id)) {
    auto good = co_await leases_.wait_until_good(file->id);
    if (good)
      co_return *leases_.held(file->id);
    if (good.error().code != errc::stale)
      co_return good.error();
  }
  // Lost. If nobody changed the file meanwhile, it is as if it had never been.
  auto granted = co_await leases_.acquire(file->id);
  if (!granted)
    co_return granted.error();
  if (granted->attributes.change_count == file->committed.change_count)
    co_return granted->lease;
  doubt(file);
  co_return error{errc::stale_handle, "file " + to_string(file->id)
                                        + " was changed by another client after this one "
                                          "lost its write lease"};
}

/// What is committed is not known any more: the lease goes, and the next one tells it.
void file_flusher::doubt(const file_ptr& file) {
  file->layout.clear();
  drop_clean(file);
  ctx_.run.start(leases_.release(file->id));
}

procedure<void> file_flusher::commit(file_ptr file, batch work) {
  auto generation = file->generation;
  auto lease = co_await lease_for_commit(file);
  if (file->generation != generation) {
    for (const auto& piece : work.pieces)
      stripes_.free(piece.stripe.layout);
    co_return;
  }
  if (!lease) {
    dissolve(file, work, true);
    lose(file, lease.error());
    co_return;
  }
  work.operation.lease = *lease;
  meta_operation operation = work.operation;
  auto answer = co_await partitions_.ask(std::move(operation));
  if (answer.outcome && std::holds_alternative<write_committed>(*answer.outcome)) {
    take_committed(file, *lease, answer);
    committed(file, work, std::get<write_committed>(*answer.outcome).attributes,
              file->generation == generation);
    co_return;
  }
  if (answer.outcome)
    answer.outcome = error{errc::corrupt, "a partition answered a commit with something else"};
  const auto& cause = answer.outcome.error();
  if (cause.code == errc::may_have_happened)
    doubt(file);
  if (file->generation != generation) {
    for (const auto& piece : work.pieces)
      if (answer.definite)
        stripes_.free(piece.stripe.layout);
    co_return;
  }
  if (cause.code == errc::too_large && answer.definite && work.pieces.size() > 1) {
    // It replaces too many extents at once; what is stored stays.
    file->stripes_max = static_cast<std::uint32_t>(work.pieces.size() / 2);
    file->stored.insert(file->stored.begin(), std::make_move_iterator(work.pieces.begin()),
                        std::make_move_iterator(work.pieces.end()));
    co_return;
  }
  note_refusal(cause);
  if (cause.code == errc::below_floor && answer.definite)
    keep_well_placed(file, work, cause);
  dissolve(file, work, answer.definite);
  bool passing = is_passing_refusal(cause.code) && cause.id != trp::no_quorum;
  if (file->refusals++ == 0)
    file->refused_since = ctx_.now();
  boot_time end{file->refused_since.ns + ctx_.options.wait_ms_max * 1'000'000};
  if (!passing || ctx_.now() >= end) {
    lose(file, cause);
    co_return;
  }
  if (cause.code == errc::stale)
    co_await leases_.confirm(file->id); // is it the lease, or a drive?
  co_await ctx_.map_changed.wait_until(ctx_.in_ms(pause_ms(file->refusals)));
  kick(file, flush_mode::everything);
}

/// A commit that is answered when it is repeated shows the file as it is now. If the lease did not
/// last until then, that may be the work of somebody else, which must not pass for one's own.
void file_flusher::take_committed(const file_ptr& file, lease_id lease, const meta_answer& answer) {
  file->committed = std::get<write_committed>(*answer.outcome).attributes;
  bool lasted = leases_.good(file->id) && leases_.held(file->id) == lease;
  if (answer.repeated && !lasted)
    file->committed.change_count = change_count_unknown;
}

void file_flusher::committed(const file_ptr& file, const batch& work,
                             const inode_attributes& attributes, bool still_buffered) {
  for (const auto& piece : work.pieces)
    if (still_buffered)
      file->buffer.settle(piece.stripe.range);
  if (work.is_inline && still_buffered)
    file->buffer.settle({0, 1});
  file->refusals = 0;
  file->stripes_max *= 2;
  if (file->stripes_max >= ctx_.options.commit_stripes_max)
    file->stripes_max = 0;
  file->size = std::max(file->size, attributes.size);
  file->committed_inline = attributes.size > 0 && is_small(attributes.size);
  file->layout.clear();
  ++ctx_.report.commits;
  if (work.operation.release_lease)
    leases_.released(file->id);
  if (file->committed_inline && !is_small(file->size) && file->buffer.holds(0))
    file->buffer.touch(0); // grew while its small content was committed: it must move out
  if (!leases_.held(file->id) || file->handles == 0 || file->size == 0)
    file->buffer.drop_all_clean();
  else
    file->buffer.drop_clean((file->size - 1) / block_bytes);
  account(file);
  file->dirty_since = ctx_.now();
}

/// The drive that the partition does not take rests, so that it is not chosen again at once.
void file_flusher::note_refusal(const error& cause) {
  if (auto drive = drive_that_takes_no_data(cause))
    ctx_.map.rest(*drive, ctx_.in_ms(ctx_.options.drive_rest_ms));
}

/// Of a commit that was refused because of drives, what does not lie on them waits for the next
/// one; `work` keeps the rest, or all if it is not known which drives.
void file_flusher::keep_well_placed(const file_ptr& file, batch& work, const error& cause) {
  auto refused = drive_that_takes_no_data(cause);
  auto is_badly_placed = [&](const file_record::stored_piece& piece) {
    const auto& units = piece.stripe.layout.units;
    return std::any_of(units.begin(), units.end(), [&](const stripe_unit& unit) {
      return unit.run.drive == refused || !ctx_.map.writable(unit.run.drive);
    });
  };
  auto well = std::stable_partition(work.pieces.begin(), work.pieces.end(), is_badly_placed);
  if (well == work.pieces.begin())
    return;
  file->stored.insert(file->stored.begin(), std::make_move_iterator(well),
                      std::make_move_iterator(work.pieces.end()));
  work.pieces.erase(well, work.pieces.end());
}

void file_flusher::dissolve(const file_ptr& file, const batch& work, bool free_units) {
  for (const auto& piece : work.pieces) {
    if (free_units)
      stripes_.free(piece.stripe.layout);
    file->buffer.unsettle(piece.stripe.range);
  }
  if (work.is_inline)
    file->buffer.unsettle({0, 1});
}

void file_flusher::lose(const file_ptr& file, error cause) {
  for (const auto& piece : file->stored) // never named by a commit
    stripes_.free(piece.stripe.layout);
  file->stored.clear();
  ++file->generation;
  file->refusals = 0;
  auto bytes = file->buffer.lose_everything();
  file->size = file->committed.size;
  file->layout.clear();
  ++file->error_count;
  file->last_error = cause;
  account(file);
  ctx_.emit(writes_lost{file->id, bytes, std::move(cause)});
  file->progress.wake_all();
}

procedure<void> file_flusher::drain(file_ptr file) {
  ++file->draining;
  while (!file->settled()) {
    kick(file, flush_mode::everything);
    if (file->settled())
      break;
    co_await file->progress.wait();
  }
  --file->draining;
}

procedure<expected<void>> file_flusher::commit_directly(file_ptr file, op_commit_write operation,
                                                        std::optional<std::uint64_t> block,
                                                        byte_vector content) {
  operation.id = file->id;
  auto end = ctx_.in_ms(ctx_.options.wait_ms_max);
  for (std::uint32_t refusals = 0;; ++refusals) {
    std::optional<stripe_layout> layout;
    if (block) {
      auto blocks = std::make_shared<const frozen_blocks>(*block, content);
      auto stored = co_await stripes_.store(file->id, std::move(blocks), 0);
      if (!stored)
        co_return stored.error();
      layout = std::move(stored->layout);
      operation.stripes = {*layout};
      operation.extents = {{*block * block_bytes, block_bytes, 0, 0}};
    }
    auto lease = co_await lease_for_commit(file);
    if (!lease) {
      if (layout)
        stripes_.free(*layout);
      co_return lease.error();
    }
    operation.lease = *lease;
    meta_operation request = operation;
    auto answer = co_await partitions_.ask(std::move(request));
    if (answer.outcome) {
      auto* done = std::get_if<write_committed>(&*answer.outcome);
      if (!done)
        co_return error{errc::corrupt, "a partition answered a commit with something else"};
      take_committed(file, *lease, answer);
      file->size = done->attributes.size;
      file->committed_inline = file->size > 0 && is_small(file->size);
      file->layout.clear();
      drop_clean(file);
      ++ctx_.report.commits;
      if (operation.release_lease)
        leases_.released(file->id);
      co_return expected<void>{};
    }
    if (layout && answer.definite)
      stripes_.free(*layout);
    const auto& cause = answer.outcome.error();
    bool passing = is_passing_refusal(cause.code) && cause.id != trp::no_quorum;
    if (!passing || !answer.definite || ctx_.now() >= end) {
      if (cause.code == errc::may_have_happened)
        doubt(file);
      co_return cause;
    }
    note_refusal(cause);
    if (cause.code == errc::stale)
      co_await leases_.confirm(file->id);
    co_await ctx_.map_changed.wait_until(ctx_.in_ms(pause_ms(refusals + 1)));
  }
}

} // namespace troupe
