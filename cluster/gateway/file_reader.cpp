#include "cluster/gateway/file_reader.hpp"

#include <algorithm>
#include <cstring>

namespace troupe {

namespace {

/// How much of the layout is asked for at once by a sequential reader.
constexpr std::uint64_t layout_ahead_bytes = 64 * mib;
/// A reader is sequential if he goes on within this distance: the kernel reads ahead by several
/// requests that may change places.
constexpr std::uint64_t sequential_slack = mib;
/// Between two tries while too few drives answer.
constexpr std::uint64_t retry_ms = 200;

shared_bytes zeros(std::uint64_t bytes) {
  static const shared_bytes block{byte_vector(unit_bytes)};
  return block.slice(0, bytes);
}

/// Cuts [offset, offset + bytes) out of what a file has in its metadata; zeros follow.
std::vector<shared_bytes> cut_inline(const byte_vector& content, std::uint64_t offset,
                                     std::uint64_t bytes) {
  byte_vector out(bytes);
  if (offset < content.size())
    std::memcpy(out.data(), content.data() + offset,
                std::min<std::uint64_t>(bytes, content.size() - offset));
  return {shared_bytes{std::move(out)}};
}

error too_late(error cause) {
  if (cause.code == errc::unavailable || cause.code == errc::stale)
    cause.code = errc::io_error;
  return cause;
}

} // namespace

procedure<expected<bytes_read>> file_reader::read(file_ptr file, std::uint64_t offset,
                                                  std::uint32_t bytes,
                                                  std::shared_ptr<read_position> position) {
  auto deadline = ctx_.in_ms(ctx_.options.wait_ms_max);
  std::uint64_t moved_ms = 1;
  bool sequential = position && position->window > 0;
  for (;;) {
    auto mine = co_await wait_for_own_writes(file, deadline);
    if (!mine)
      co_return mine.error();
    if (!leases_.good(file->id)) {
      auto current =
        co_await make_layout_current(file, offset, bytes, sequential ? layout_ahead_bytes : 0);
      if (!current)
        co_return current.error();
    }
    bool own = leases_.good(file->id);
    if (!own && (leases_.held(file->id) || !file->settled()) && ctx_.now() < deadline)
      continue; // somebody wrote meanwhile, and the lease is in doubt again
    if (!own && !file->layout.attributes())
      continue; // forgotten again, by somebody who ran before this one
    auto size = own ? file->size : file->layout.attributes()->size;
    if (offset >= size)
      co_return bytes_read{};
    auto count = std::min<std::uint64_t>(bytes, size - offset);
    auto parts = co_await collect(file, offset, count, sequential);
    if (parts) {
      advance(file, position, offset, count);
      ctx_.report.bytes_read += count;
      co_return bytes_read{std::move(*parts)};
    }
    auto code = parts.error().code;
    if (code != errc::stale && code != errc::unavailable)
      co_return parts.error();
    if (ctx_.now() >= deadline)
      co_return too_late(parts.error());
    file->layout.clear(); // units may have moved
    co_await ctx_.map_changed.wait_until(ctx_.in_ms(code == errc::stale ? moved_ms : retry_ms));
    moved_ms = std::min(2 * moved_ms, retry_ms); // what was moved is found at once, or is lost
  }
}

/// What is buffered is the newest content only under a good lease. Without one, somebody else may
/// have written since: it is regained, or the commit finds out who was first.
procedure<expected<void>> file_reader::wait_for_own_writes(file_ptr file, boot_time deadline) {
  while (!leases_.good(file->id)) {
    if (leases_.held(file->id)) {
      auto good = co_await leases_.wait_until_good(file->id);
      if (!good && good.error().code != errc::stale)
        co_return good.error();
      continue;
    }
    if (file->settled())
      break;
    if (ctx_.now() >= deadline)
      co_return error{errc::io_error,
                      "what was written to " + to_string(file->id)
                        + " under a lost lease is not committed yet",
                      trp::no_quorum};
    co_await file->progress.wait_until(deadline);
  }
  co_return expected<void>{};
}

procedure<expected<byte_vector>> file_reader::read_committed(file_ptr file, std::uint64_t offset,
                                                             std::uint64_t bytes) {
  auto deadline = ctx_.in_ms(ctx_.options.wait_ms_max);
  std::uint64_t moved_ms = 1;
  for (;;) {
    auto parts = co_await fetch(file, offset, bytes, false);
    if (parts) {
      byte_vector out;
      out.reserve(bytes);
      for (const auto& part : *parts)
        out.insert(out.end(), part.view().begin(), part.view().end());
      co_return out;
    }
    auto code = parts.error().code;
    if (code != errc::stale && code != errc::unavailable)
      co_return parts.error();
    if (ctx_.now() >= deadline)
      co_return too_late(parts.error());
    file->layout.clear();
    co_await ctx_.map_changed.wait_until(ctx_.in_ms(code == errc::stale ? moved_ms : retry_ms));
    moved_ms = std::min(2 * moved_ms, retry_ms); // what was moved is found at once, or is lost
  }
}

procedure<expected<void>> file_reader::make_layout_current(file_ptr file, std::uint64_t offset,
                                                           std::uint64_t bytes,
                                                           std::uint64_t ahead) {
  if (file->layout.covers(offset, bytes)) {
    auto valid = co_await validate(file);
    if (!valid)
      co_return valid.error();
  }
  // What is not known is asked for now, and so is as new as this read.
  while (!file->layout.covers(offset, bytes)) {
    auto fetched = co_await fetch_layout(file, offset, bytes, ahead);
    if (!fetched)
      co_return fetched.error();
  }
  co_return expected<void>{};
}

procedure<expected<void>> file_reader::fetch_layout(file_ptr file, std::uint64_t offset,
                                                    std::uint64_t bytes, std::uint64_t ahead) {
  auto from = file->layout.covered_until(offset);
  op_get_layout question;
  question.id = file->id;
  question.offset = from / block_bytes * block_bytes;
  question.bytes = offset + bytes + ahead - question.offset;
  question.extents_max = ctx_.options.layout_extents_max;
  auto asked_from = question.offset;
  auto asked_bytes = question.bytes;
  meta_operation operation = std::move(question);
  auto answer = co_await partitions_.ask_for<layout_is>(std::move(operation));
  if (!answer)
    co_return answer.error();
  if (leases_.held(file->id) && answer->attributes.change_count < file->committed.change_count)
    co_return expected<void>{}; // older than a commit that came between: the caller asks again
  if (answer->more
      && (answer->extents.empty()
          || answer->extents.back().file_offset + answer->extents.back().bytes <= asked_from))
    co_return error{errc::corrupt, "the layout of " + to_string(file->id) + " makes no progress"};
  file->layout.insert(asked_from, asked_bytes, std::move(*answer));
  co_return expected<void>{};
}

procedure<expected<void>> file_reader::validate(file_ptr file) {
  auto mine = file->validations_begun + 1; // one that begins after this call
  while (file->validations_done < mine) {
    if (file->validating) {
      co_await file->validated.wait();
      continue;
    }
    file->validating = true;
    auto current = ++file->validations_begun;
    meta_operation operation = op_get_attributes{file->id};
    auto answer = co_await partitions_.ask_for<attributes_are>(std::move(operation));
    file->validation_error.reset();
    if (!answer)
      file->validation_error = answer.error();
    else if (file->layout.attributes()
             && file->layout.attributes()->change_count != answer->attributes.change_count)
      file->layout.clear();
    file->validating = false;
    file->validations_done = current;
    file->validated.wake_all();
  }
  if (file->validation_error)
    co_return *file->validation_error;
  co_return expected<void>{};
}

procedure<expected<std::vector<shared_bytes>>>
file_reader::collect(file_ptr file, std::uint64_t offset, std::uint64_t bytes, bool whole_units) {
  auto end = offset + bytes;
  auto last_block = (end + block_bytes - 1) / block_bytes;
  // What is buffered is copied first: it may be committed and dropped while the rest is fetched,
  // and the rest may be written meanwhile, but never the other way round.
  struct part {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    shared_bytes buffered;
  };
  std::vector<part> plan;
  for (auto at = offset; at < end;) {
    auto held = file->buffer.held_from(at / block_bytes, last_block);
    auto held_begin = held.count == 0 ? end : std::clamp(held.first * block_bytes, at, end);
    if (held_begin > at)
      plan.push_back({at, held_begin - at, {}});
    if (held.count == 0)
      break;
    auto held_end = std::min(end, held.end() * block_bytes);
    byte_vector copy(held_end - held_begin);
    file->buffer.read(held_begin, copy);
    plan.push_back({held_begin, held_end - held_begin, shared_bytes{std::move(copy)}});
    at = held_end;
  }
  std::vector<shared_bytes> out;
  for (auto& p : plan) {
    if (!p.buffered.empty()) {
      out.push_back(std::move(p.buffered));
      continue;
    }
    auto parts = co_await fetch(file, p.offset, p.bytes, whole_units);
    if (!parts)
      co_return parts.error();
    for (auto& x : *parts)
      out.push_back(std::move(x));
  }
  co_return out;
}

procedure<expected<std::vector<shared_bytes>>>
file_reader::fetch(file_ptr file, std::uint64_t offset, std::uint64_t bytes, bool whole_units) {
  while (!file->layout.covers(offset, bytes)) {
    auto fetched = co_await fetch_layout(file, offset, bytes, 0);
    if (!fetched)
      co_return fetched.error();
  }
  if (file->layout.inline_data())
    co_return cut_inline(*file->layout.inline_data(), offset, bytes);
  auto segments = file->layout.segments(offset, bytes);
  auto pieces = plan_read(segments, whole_units);
  if (!pieces)
    co_return pieces.error();
  auto job = std::make_shared<fetching>();
  job->pieces = std::move(*pieces);
  job->parts.resize(job->pieces.size());
  for (std::size_t i = 0; i < job->pieces.size(); ++i)
    job->running.add();
  for (std::size_t i = 0; i < job->pieces.size(); ++i)
    ctx_.run.start(fetch_piece(file, job, i));
  co_await job->running.wait();
  if (job->failure)
    co_return *job->failure;
  co_return std::move(job->parts);
}

procedure<void> file_reader::fetch_piece(file_ptr file, std::shared_ptr<fetching> job,
                                         std::size_t index) {
  const auto& piece = job->pieces[index];
  if (!piece.stripe) {
    job->parts[index] = zeros(piece.bytes);
  } else {
    auto blocks = co_await units_.read(file->id, piece.stripe, piece.unit_index, piece.first_block,
                                       piece.block_count);
    if (blocks)
      job->parts[index] = blocks->slice(
        piece.unit_offset - std::size_t{piece.first_block} * block_bytes, piece.bytes);
    else
      job->failure = blocks.error();
  }
  job->running.done();
}

void file_reader::advance(const file_ptr& file, const std::shared_ptr<read_position>& position,
                          std::uint64_t offset, std::uint64_t bytes) {
  if (!position)
    return;
  auto& p = *position;
  auto end = offset + bytes;
  bool goes_on =
    offset <= p.next + sequential_slack && end + sequential_slack >= p.next && offset > 0;
  p.next = goes_on ? std::max(p.next, end) : end;
  if (!goes_on) {
    p.window = 0;
    p.ahead_until = end;
    return;
  }
  p.window =
    std::clamp<std::uint64_t>(2 * p.window, 4 * unit_bytes, ctx_.options.readahead_bytes_max);
  auto from = std::max(p.ahead_until, p.next);
  auto until = p.next + p.window;
  if (from + p.window / 2 > until)
    return; // enough is ahead: wait until it is worth a request
  p.ahead_until = until;
  ctx_.run.start(prefetch(file, from, until - from));
}

procedure<void> file_reader::prefetch(file_ptr file, std::uint64_t offset, std::uint64_t bytes) {
  // Only what is known to be there; the readers themselves ask whether it still holds.
  auto size = file->layout.attributes() ? file->layout.attributes()->size : 0;
  if (offset >= size || file->layout.inline_data())
    co_return;
  bytes = std::min(bytes, size - offset);
  if (!file->layout.covers(offset, bytes)) {
    auto fetched = co_await fetch_layout(file, offset, bytes, layout_ahead_bytes);
    if (!fetched || !file->layout.covers(offset, bytes) || file->layout.inline_data())
      co_return;
  }
  auto segments = file->layout.segments(offset, bytes);
  auto pieces = plan_read(segments, true);
  if (!pieces)
    co_return;
  auto job = std::make_shared<fetching>();
  job->pieces = std::move(*pieces);
  job->parts.resize(job->pieces.size());
  for (std::size_t i = 0; i < job->pieces.size(); ++i)
    job->running.add();
  for (std::size_t i = 0; i < job->pieces.size(); ++i)
    ctx_.run.start(fetch_piece(file, job, i));
}

} // namespace troupe
