#include "cluster/gateway/file_operations.hpp"

#include <algorithm>
#include <cstring>

namespace troupe {

namespace {

error bad_handle(file_handle handle) {
  return {errc::invalid_argument, "handle " + std::to_string(handle.value) + " is not open"};
}

bool is_small(std::uint64_t size) {
  return size <= inline_bytes_max;
}

} // namespace

// -- attributes -----------------------------------------------------------------------------------

inode_attributes file_operations::with_own_writes(inode_attributes attributes) const {
  auto file = files_.find(attributes.id);
  if (!file || !leases_.good(attributes.id))
    return attributes;
  attributes.size = file->size;
  if (file->buffer.unsettled_blocks() > 0) {
    attributes.modify_time = std::max(attributes.modify_time, file->modify_time);
    attributes.change_time = std::max(attributes.change_time, file->modify_time);
  }
  return attributes;
}

bool file_operations::in_doubt(lin id) const {
  auto file = files_.find(id);
  return file && !leases_.good(id) && (leases_.held(id) || !file->settled());
}

procedure<expected<inode_attributes>> file_operations::certain_attributes(lin id) {
  auto deadline = ctx_.in_ms(ctx_.options.wait_ms_max);
  for (;;) {
    if (auto file = files_.find(id); file && in_doubt(id)) {
      auto certain = co_await reader_.wait_for_own_writes(file, deadline);
      if (!certain)
        co_return certain.error();
    }
    meta_operation operation = op_get_attributes{id};
    auto answer = co_await partitions_.ask_for<attributes_are>(std::move(operation));
    if (!answer)
      co_return answer.error();
    if (!in_doubt(id))
      co_return with_own_writes(answer->attributes);
    if (ctx_.now() >= deadline)
      co_return error{errc::unavailable, "the write lease of " + to_string(id) + " is in doubt",
                      trp::no_quorum};
  }
}

procedure<expected<call_result>> file_operations::get_attributes(call_get_attributes call) {
  auto attributes = co_await certain_attributes(call.id);
  if (!attributes)
    co_return attributes.error();
  co_return call_result{attributes_are{*attributes}};
}

procedure<expected<call_result>> file_operations::set_attributes(call_set_attributes call,
                                                                 give_up_flag give_up) {
  if (call.size) {
    auto file = files_.record(call.id);
    ++file->handles; // keeps the record
    auto done = co_await truncate(file, *call.size, true, give_up);
    --file->handles;
    if (file->handles == 0)
      co_await let_go(file);
    if (!done)
      co_return done.error();
    if (!call.mode && !call.uid && !call.gid && !call.access_time && !call.modify_time)
      co_return co_await get_attributes({call.id});
  }
  auto file = files_.find(call.id);
  std::optional<fifo_lock::holder> held;
  if (file && call.modify_time && !file->settled()) {
    // What was written before gets its own time first, or a later commit would undo this one.
    held.emplace(co_await file->lock.acquire());
    co_await flusher_.drain(file);
  }
  op_set_attributes change;
  change.id = call.id;
  change.mode = call.mode;
  change.uid = call.uid;
  change.gid = call.gid;
  change.access_time = call.access_time;
  change.modify_time = call.modify_time;
  meta_operation operation = std::move(change);
  auto answer = co_await partitions_.ask_for<attributes_are>(std::move(operation));
  if (!answer)
    co_return answer.error();
  if (file && leases_.good(call.id) && file->committed.change_count != change_count_unknown
      && answer->attributes.change_count > file->committed.change_count)
    file->committed.change_count = answer->attributes.change_count; // by this client itself
  if (in_doubt(call.id))
    co_return co_await get_attributes({call.id});
  co_return call_result{attributes_are{with_own_writes(answer->attributes)}};
}

procedure<expected<call_result>> file_operations::get_layout(call_get_layout call) {
  if (auto file = files_.find(call.id)) {
    auto held = co_await file->lock.acquire();
    co_await flusher_.drain(file);
  }
  layout_is all;
  for (std::uint64_t from = 0;;) {
    meta_operation operation = op_get_layout{call.id, from, ctx_.options.file_bytes_max - from,
                                             ctx_.options.layout_extents_max};
    auto answer = co_await partitions_.ask_for<layout_is>(std::move(operation));
    if (!answer)
      co_return answer.error();
    all.attributes = answer->attributes;
    all.inline_data = std::move(answer->inline_data);
    for (auto& s : answer->stripes)
      if (all.stripes.empty() || all.stripes.back().id != s.id)
        all.stripes.push_back(std::move(s));
    for (const auto& x : answer->extents)
      if (all.extents.empty() || x.file_offset > all.extents.back().file_offset)
        all.extents.push_back(x);
    if (!answer->more || answer->extents.empty())
      break;
    from = answer->extents.back().file_offset + answer->extents.back().bytes;
  }
  std::sort(all.stripes.begin(), all.stripes.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  auto end = std::unique(all.stripes.begin(), all.stripes.end(),
                         [](const auto& a, const auto& b) { return a.id == b.id; });
  all.stripes.erase(end, all.stripes.end());
  co_return call_result{std::move(all)};
}

procedure<expected<call_result>> file_operations::space() {
  auto [total, free] = ctx_.map.space();
  co_return call_result{space_is{total, free}};
}

// -- opening and closing --------------------------------------------------------------------------

procedure<expected<call_result>> file_operations::open(call_open call, give_up_flag give_up) {
  if (call.mode.truncate && !call.mode.write)
    co_return error{errc::invalid_argument, "truncating needs a handle that writes"};
  auto file = files_.record(call.id);
  auto handle = files_.open(file, call.mode); // removals that begin now know of it
  auto there = co_await outlive_removals(file);
  if (there && call.mode.truncate)
    there = co_await truncate(file, 0, false, give_up);
  if (!there) {
    co_await close_again(handle);
    co_return there.error();
  }
  co_return call_result{file_opened{handle, std::nullopt}};
}

/// Waits for removals that began when the file was not open and may take it.
/// @returns errc::stale_handle if one did.
procedure<expected<void>> file_operations::outlive_removals(file_ptr file) {
  auto mark = removals_.mark();
  auto group = partitions_.group_of(file->id);
  while (removals_.may_take(file->id, group, mark))
    co_await removals_.changed.wait();
  if (!removals_.may_have_taken(file->id, group))
    co_return expected<void>{};
  meta_operation question = op_get_attributes{file->id};
  auto answer = co_await partitions_.ask_for<attributes_are>(std::move(question));
  if (!answer)
    co_return answer.error();
  if (answer->attributes.link_count == 0 && !file->orphan) // it waits for the cleaner only
    co_return error{errc::stale_handle, to_string(file->id) + " was removed"};
  co_return expected<void>{};
}

procedure<void> file_operations::close_again(file_handle handle) {
  auto file = files_.close(handle);
  if (file->handles == 0)
    co_await let_go(file);
}

procedure<file_handle> file_operations::open_new(inode_attributes attributes, handle_mode mode,
                                                 std::optional<granted_lease> lease,
                                                 boot_time sent_at) {
  auto file = files_.record(attributes.id);
  auto handle = files_.open(file, mode);
  if (!lease || leases_.held(file->id) || file->lock.taken())
    co_return handle;
  auto held = co_await file->lock.acquire(); // somebody else who found the name waits for this
  bool ours = co_await leases_.adopt(file->id, *lease, sent_at);
  if (ours) {
    file->committed = attributes;
    file->size = attributes.size;
    file->committed_inline = attributes.size > 0 && is_small(attributes.size);
  }
  co_return handle;
}

std::optional<error> file_operations::untold_error(file_handle handle) {
  auto* open = files_.find(handle);
  if (!open || open->errors_told == open->file->error_count)
    return std::nullopt;
  open->errors_told = open->file->error_count;
  return open->file->last_error;
}

procedure<expected<call_result>> file_operations::make_durable(file_handle handle, bool closing) {
  auto* open = files_.find(handle);
  if (!open)
    co_return bad_handle(handle);
  auto file = open->file;
  if (!file->settled() || file->lock.taken()) {
    auto held = co_await file->lock.acquire();
    file->release_with_commit = closing && file->handles == 1;
    co_await flusher_.drain(file);
    file->release_with_commit = false;
  }
  if (auto untold = untold_error(handle))
    co_return std::move(*untold);
  co_return call_result{done{}};
}

procedure<expected<call_result>> file_operations::flush(call_flush call) {
  return make_durable(call.handle, true);
}

procedure<expected<call_result>> file_operations::fsync(call_fsync call) {
  return make_durable(call.handle, false);
}

procedure<expected<call_result>> file_operations::release(call_release call) {
  auto file = files_.close(call.handle);
  if (!file)
    co_return bad_handle(call.handle);
  if (file->handles == 0)
    co_await let_go(file);
  co_return call_result{done{}};
}

/// Nobody has the file open any more: everything goes, unless somebody opens it meanwhile.
procedure<void> file_operations::let_go(file_ptr file) {
  while (removals_.keeps(file->id)) // whether it is an orphan is not known yet
    co_await removals_.changed.wait();
  auto held = co_await file->lock.acquire();
  co_await flusher_.drain(file);
  if (file->handles > 0)
    co_return;
  flusher_.drop_clean(file);
  co_await leases_.release(file->id);
  if (file->handles > 0 || removals_.keeps(file->id))
    co_return; // whoever closes it next sees to the rest
  if (std::exchange(file->orphan, false)) {
    auto removal = removals_.begin(partitions_.group_of(file->id), file->id, false);
    meta_operation operation = op_release_orphan{file->id};
    auto answer = co_await partitions_.ask(std::move(operation));
    static_cast<void>(answer); // if it was not heard, the orphan goes with this client's session
  }
  if (file->handles == 0 && file->settled() && files_.find(file->id) == file
      && !leases_.held(file->id))
    files_.forget(file->id);
}

procedure<expected<void>> file_operations::close_everything() {
  std::optional<error> first;
  auto records = files_.records();
  for (const auto& [id, file] : records) {
    auto errors = file->error_count;
    auto held = co_await file->lock.acquire();
    co_await flusher_.drain(file);
    if (file->error_count != errors && !first)
      first = file->last_error;
    flusher_.drop_clean(file);
    co_await leases_.release(id);
  }
  if (first)
    co_return std::move(*first);
  co_return expected<void>{};
}

// -- leases ---------------------------------------------------------------------------------------

procedure<expected<void>> file_operations::hold_lease(file_ptr file, give_up_flag give_up) {
  for (;;) {
    if (leases_.recalled(file->id)) {
      co_await flusher_.drain(file);
      flusher_.drop_clean(file);
      co_await leases_.release(file->id);
      continue;
    }
    if (leases_.held(file->id)) {
      auto good = co_await leases_.wait_until_good(file->id);
      if (good || good.error().code != errc::stale)
        co_return good;
    }
    if (!file->settled()) { // under a lease that was lost: regained with the commit, or given up
      co_await flusher_.drain(file);
      continue;
    }
    auto granted = co_await leases_.acquire(file->id, give_up.get());
    if (!granted)
      co_return granted.error();
    if (file->layout.attributes()
        && file->layout.attributes()->change_count != granted->attributes.change_count)
      file->layout.clear();
    flusher_.drop_clean(file);
    file->committed = granted->attributes;
    file->size = granted->attributes.size;
    file->committed_inline = file->size > 0 && is_small(file->size);
    co_return expected<void>{};
  }
}

void file_operations::moved(lin id) {
  if (auto file = files_.find(id))
    file->layout.clear();
}

void file_operations::recalled(lin id) {
  if (auto file = files_.find(id))
    ctx_.run.start(give_lease_away(file));
}

procedure<void> file_operations::give_lease_away(file_ptr file) {
  auto held = co_await file->lock.acquire();
  if (!leases_.recalled(file->id))
    co_return; // somebody else saw to it
  co_await flusher_.drain(file);
  flusher_.drop_clean(file);
  co_await leases_.release(file->id);
}

void file_operations::lost(lin id) {
  auto file = files_.find(id);
  if (!file)
    return;
  flusher_.drop_clean(file);
  file->layout.clear();
  flusher_.kick(file, flush_mode::everything); // the commit finds out whether it was in time
}

// -- data -----------------------------------------------------------------------------------------

procedure<expected<call_result>> file_operations::read(call_read call) {
  auto* open = files_.find(call.handle);
  if (!open)
    co_return bad_handle(call.handle);
  auto file = open->file;
  auto position = open->position;
  auto result = co_await reader_.read(file, call.offset, call.bytes, position);
  if (!result)
    co_return result.error();
  co_return call_result{std::move(*result)};
}

procedure<expected<call_result>> file_operations::write(call_write call, give_up_flag give_up) {
  auto* open = files_.find(call.handle);
  if (!open)
    co_return bad_handle(call.handle);
  if (!open->mode.write)
    co_return error{errc::permission_denied, "the handle was opened for reading"};
  if (auto untold = untold_error(call.handle))
    co_return std::move(*untold);
  auto file = open->file;
  bool append = open->mode.append || call.append;
  auto bytes = call.data.size();
  auto held = co_await file->lock.acquire();
  auto lease = co_await hold_lease(file, give_up);
  if (!lease)
    co_return lease.error();
  auto offset = append ? file->size : call.offset;
  if (offset > ctx_.options.file_bytes_max || bytes > ctx_.options.file_bytes_max - offset)
    co_return error{errc::too_large, "file " + to_string(file->id)};
  if (bytes == 0)
    co_return call_result{bytes_written{0}};
  co_await flusher_.reserve(bytes + unit_bytes);
  // Clean blocks go at any time: nothing may come between the last look and `take_write`.
  block_contents around;
  std::optional<error> failure;
  while (!failure) {
    auto missing = block_to_read(*file, offset, bytes, around);
    if (!missing)
      break;
    auto content = co_await reader_.read_committed(file, *missing * block_bytes, block_bytes);
    if (content)
      around[*missing] = std::move(*content);
    else
      failure = content.error();
  }
  if (!failure)
    take_write(*file, offset, call.data.view(), around);
  flusher_.settle_reservation(file, bytes + unit_bytes);
  if (failure)
    co_return std::move(*failure);
  flusher_.kick(file);
  if (call.durable) {
    co_await flusher_.drain(file);
    if (auto untold = untold_error(call.handle))
      co_return std::move(*untold);
  }
  co_return call_result{bytes_written{static_cast<std::uint32_t>(bytes)}};
}

/// A block whose committed content a write to [offset, offset + bytes) needs and that is neither
/// buffered nor `known`: one that it covers in part, or the start of a file that grows out of the
/// metadata.
std::optional<std::uint64_t> file_operations::block_to_read(const file_record& file,
                                                            std::uint64_t offset,
                                                            std::uint64_t bytes,
                                                            const block_contents& known) {
  auto end = offset + bytes;
  auto missing = [&](std::uint64_t block) {
    auto from = block * block_bytes;
    bool covered = offset <= from && end >= std::min(from + block_bytes, file.size);
    return !covered && from < file.size && !file.buffer.holds(block) && !known.contains(block);
  };
  if (file.committed_inline && end > inline_bytes_max && missing(0))
    return 0;
  for (auto block : {offset / block_bytes, (end - 1) / block_bytes})
    if (missing(block))
      return block;
  return std::nullopt;
}

/// Buffers a write; `around` completes blocks that are not buffered yet.
void file_operations::take_write(file_record& file, std::uint64_t offset, byte_view bytes,
                                 const block_contents& around) {
  auto end = offset + bytes.size();
  if (file.buffer.unsettled_blocks() == 0)
    file.dirty_since = ctx_.now();
  for (const auto& [block, content] : around)
    if (!file.buffer.holds(block))
      file.buffer.fill(block, content);
  if (file.committed_inline && end > inline_bytes_max && file.buffer.holds(0))
    file.buffer.touch(0); // it moves out of the metadata
  file.buffer.write(offset, bytes);
  file.size = std::max(file.size, end);
  file.modify_time = ctx_.wall;
  ctx_.report.bytes_written += bytes.size();
}

// -- truncate -------------------------------------------------------------------------------------

procedure<expected<void>> file_operations::truncate(file_ptr file, std::uint64_t size, bool passing,
                                                    give_up_flag give_up) {
  if (size > ctx_.options.file_bytes_max)
    co_return error{errc::too_large, "file " + to_string(file->id)};
  auto held = co_await file->lock.acquire();
  auto lease = co_await hold_lease(file, give_up);
  if (!lease)
    co_return lease.error();
  auto errors = file->error_count;
  co_await flusher_.drain(file);
  if (file->error_count != errors)
    co_return file->last_error;
  co_return co_await truncate_locked(file, size, passing);
}

/// The file is drained. What stays in the metadata is given whole; else the last block of a shorter
/// file is stored anew with zeros behind its end, so that growing again shows nothing old.
procedure<expected<void>> file_operations::truncate_locked(file_ptr file, std::uint64_t size,
                                                           bool passing) {
  op_commit_write operation;
  operation.size_at_least = size;
  operation.modify_time = ctx_.wall;
  std::optional<std::uint64_t> block;
  byte_vector content;
  auto old_size = file->size;
  auto keep = std::min(size, old_size);
  if (size < old_size || is_small(size))
    operation.truncate_to = is_small(size) ? 0 : size;
  if (is_small(size) && keep > 0) {
    auto start = co_await reader_.read_committed(file, 0, keep);
    if (!start)
      co_return start.error();
    start->resize(size);
    operation.inline_data = std::move(*start);
  } else if (size < old_size && size % block_bytes != 0) {
    block = size / block_bytes;
    auto rest = co_await reader_.read_committed(file, *block * block_bytes, size % block_bytes);
    if (!rest)
      co_return rest.error();
    content = std::move(*rest);
  } else if (size > old_size && file->committed_inline) {
    block = 0;
    auto start = co_await reader_.read_committed(file, 0, old_size);
    if (!start)
      co_return start.error();
    content = std::move(*start);
  }
  operation.release_lease = passing && file->handles == 1;
  co_return co_await flusher_.commit_directly(file, std::move(operation), block,
                                              std::move(content));
}

} // namespace troupe
