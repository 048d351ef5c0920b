#include "cluster/gateway/name_operations.hpp"

#include "cluster/gateway/directory_slot.hpp"

namespace troupe {

namespace {

error other_partition(const char* what) {
  return {errc::cross_partition, what, trp::cross_partition_rename};
}

} // namespace

expected<void> check_entry_name(const std::string& name) {
  if (name.size() > name_bytes_max)
    return error{errc::name_too_long, "a name of " + std::to_string(name.size()) + " bytes",
                 trp::name_too_long};
  if (name.empty() || name == "." || name == ".."
      || name.find_first_of(std::string{'/', '\0'}) != std::string::npos)
    return error{errc::invalid_argument, "not a name: \"" + name + "\""};
  return {};
}

procedure<expected<entry_found>> name_operations::find(lin directory, std::string name) {
  auto valid = check_entry_name(name);
  if (!valid)
    co_return valid.error();
  meta_operation operation = op_lookup{directory, std::move(name)};
  co_return co_await partitions_.ask_for<entry_found>(std::move(operation));
}

procedure<expected<inode_attributes>> name_operations::attributes_of(entry_found entry) {
  if (entry.attributes && !data_.in_doubt(entry.child))
    co_return data_.with_own_writes(*entry.attributes);
  co_return co_await data_.certain_attributes(entry.child);
}

procedure<expected<call_result>> name_operations::lookup(call_lookup call) {
  auto entry = co_await find(call.directory, std::move(call.name));
  if (!entry)
    co_return entry.error();
  auto attributes = co_await attributes_of(std::move(*entry));
  if (!attributes)
    co_return attributes.error();
  co_return call_result{attributes_are{*attributes}};
}

procedure<expected<call_result>> name_operations::resolve(call_resolve call) {
  lin at = root_lin;
  std::optional<entry_found> last;
  for (std::size_t from = 0; from < call.path.size();) {
    auto to = std::min(call.path.find('/', from), call.path.size());
    auto part = call.path.substr(from, to - from);
    from = to + 1;
    if (part.empty() || part == ".")
      continue;
    auto entry = co_await find(at, std::move(part));
    if (!entry)
      co_return entry.error();
    at = entry->child;
    last = std::move(*entry);
  }
  if (!last)
    last = entry_found{root_lin, file_kind::directory, std::nullopt, std::nullopt};
  auto attributes = co_await attributes_of(std::move(*last));
  if (!attributes)
    co_return attributes.error();
  co_return call_result{attributes_are{*attributes}};
}

// -- making ---------------------------------------------------------------------------------------

procedure<expected<call_result>> name_operations::make(call_make call) {
  auto valid = check_entry_name(call.name);
  if (!valid)
    co_return valid.error();
  if (call.inode.kind == file_kind::directory) {
    auto slot = slot_for_directory(call.directory, call.name);
    if (slot != slot_of(call.directory))
      co_return co_await make_directory_elsewhere(std::move(call), slot);
  }
  meta_operation operation =
    op_create{call.directory, std::move(call.name), std::move(call.inode), false};
  auto entry = co_await partitions_.ask_for<entry_found>(std::move(operation));
  if (!entry)
    co_return entry.error();
  auto attributes = co_await attributes_of(std::move(*entry));
  if (!attributes)
    co_return attributes.error();
  co_return call_result{attributes_are{*attributes}};
}

/// The inode first, without a name; then the entry. If the entry is refused the inode goes again;
/// if it may have been made, nothing is undone: a leak at the worst, never a dangling entry.
procedure<expected<call_result>> name_operations::make_directory_elsewhere(call_make call,
                                                                           slot_id slot) {
  meta_operation make_inode =
    op_create_detached_directory{slot, call.directory, std::move(call.inode)};
  auto made = co_await partitions_.ask_for<entry_found>(std::move(make_inode));
  if (!made)
    co_return made.error();
  meta_operation make_entry = op_link_directory{call.directory, call.name, made->child};
  auto answer = co_await partitions_.ask(std::move(make_entry));
  if (!answer.outcome) {
    if (answer.definite) {
      meta_operation undo = op_remove_inode{made->child};
      auto undone = co_await partitions_.ask(std::move(undo));
      static_cast<void>(undone); // a detached directory is a leak that fsck names
    }
    co_return answer.outcome.error();
  }
  auto attributes = co_await attributes_of(std::move(*made));
  if (!attributes)
    co_return attributes.error();
  co_return call_result{attributes_are{*attributes}};
}

procedure<expected<call_result>> name_operations::create(call_create call, give_up_flag give_up) {
  auto valid = check_entry_name(call.name);
  if (!valid)
    co_return valid.error();
  meta_operation operation = op_create{call.directory, call.name, call.inode, call.mode.write};
  auto answer = co_await partitions_.ask(std::move(operation));
  if (!answer.outcome) {
    if (answer.outcome.error().code == errc::already_exists && !call.mode.exclusive)
      co_return co_await open_existing(std::move(call), give_up);
    co_return answer.outcome.error();
  }
  auto* entry = std::get_if<entry_found>(&*answer.outcome);
  if (!entry)
    co_return error{errc::corrupt, "a partition answered a create with something else"};
  auto lease = entry->lease;
  auto attributes = co_await attributes_of(std::move(*entry));
  if (!attributes)
    co_return attributes.error();
  auto handle = co_await data_.open_new(*attributes, call.mode, lease, answer.sent_at);
  co_return call_result{file_opened{handle, *attributes}};
}

procedure<expected<call_result>> name_operations::open_existing(call_create call,
                                                                give_up_flag give_up) {
  auto entry = co_await find(call.directory, call.name);
  if (!entry)
    co_return entry.error();
  if (entry->kind == file_kind::directory)
    co_return error{errc::is_directory, call.name};
  if (entry->kind != file_kind::regular)
    co_return error{errc::already_exists, call.name};
  call_open open{entry->child, call.mode};
  auto opened = co_await data_.open(std::move(open), give_up);
  if (!opened)
    co_return opened.error();
  call_get_attributes question{entry->child};
  auto attributes = co_await data_.get_attributes(std::move(question));
  auto handle = std::get<file_opened>(*opened).handle;
  if (!attributes) {
    co_await data_.release({handle});
    co_return attributes.error();
  }
  co_return call_result{file_opened{handle, std::get<attributes_are>(*attributes).attributes}};
}

procedure<expected<call_result>> name_operations::link(call_link call) {
  auto valid = check_entry_name(call.name);
  if (!valid)
    co_return valid.error();
  if (!partitions_.same_partition(call.target, call.directory))
    co_return other_partition("a hard link to a file of another partition");
  meta_operation operation = op_link{call.directory, std::move(call.name), call.target};
  auto entry = co_await partitions_.ask_for<entry_found>(std::move(operation));
  if (!entry)
    co_return entry.error();
  auto attributes = co_await attributes_of(std::move(*entry));
  if (!attributes)
    co_return attributes.error();
  co_return call_result{attributes_are{*attributes}};
}

// -- removing and moving --------------------------------------------------------------------------

/// What a name leads to (0: nothing), if that matters: an open file must outlive it. Nothing if it
/// was not asked. An error ends the removal: nobody knows what it would take.
procedure<expected<std::optional<lin>>> name_operations::file_behind(lin directory,
                                                                     std::string name) {
  if (!files_.any())
    co_return std::optional<lin>{};
  auto entry = co_await find(directory, std::move(name));
  if (entry)
    co_return std::optional{entry->child};
  if (entry.error().code == errc::not_found)
    co_return std::optional{lin{}};
  co_return entry.error();
}

/// To be called when the removal begins: nothing may come between.
name_operations::removal_target name_operations::decide_on(std::optional<lin> file) const {
  auto open = file ? files_.find(*file) : nullptr;
  return {file, open && open->handles > 0 ? *file : lin{}};
}

/// Unless it certainly did not happen, the last close lets the inode go; if there is nothing to let
/// go after all, that does no harm.
void name_operations::note_outcome(const removal_target& target, const meta_answer& answer) {
  bool may_be_gone = answer.outcome || answer.outcome.error().code == errc::may_have_happened;
  if (auto file = files_.find(target.held); target.held && file && may_be_gone)
    file->orphan = true;
}

procedure<expected<call_result>> name_operations::unlink(call_unlink call) {
  auto valid = check_entry_name(call.name);
  if (!valid)
    co_return valid.error();
  auto file = co_await file_behind(call.directory, call.name);
  if (!file)
    co_return file.error();
  auto target = decide_on(*file);
  auto removal =
    removals_.begin(partitions_.group_of(call.directory), target.file, bool{target.held});
  meta_operation operation = op_unlink{call.directory, std::move(call.name), target.held};
  auto answer = co_await partitions_.ask(std::move(operation));
  note_outcome(target, answer);
  if (!answer.outcome)
    co_return answer.outcome.error();
  co_return call_result{done{}};
}

procedure<expected<call_result>> name_operations::remove_directory(call_remove_directory call) {
  auto valid = check_entry_name(call.name);
  if (!valid)
    co_return valid.error();
  meta_operation operation = op_remove_directory{call.directory, call.name};
  auto answer = co_await partitions_.ask_for<done>(std::move(operation));
  if (answer)
    co_return call_result{done{}};
  if (answer.error().code != errc::cross_partition)
    co_return answer.error();
  co_return co_await remove_in_steps(call.directory, std::move(call.name));
}

/// Every step may be repeated: a second rmdir finishes one that was cut short.
procedure<expected<call_result>> name_operations::remove_in_steps(lin directory, std::string name) {
  auto entry = co_await find(directory, name);
  if (!entry)
    co_return entry.error();
  auto child = entry->child;
  meta_operation mark = op_mark_removing{child};
  auto marked = co_await partitions_.ask_for<done>(std::move(mark));
  // Gone already: an earlier rmdir ended between its second and third step, or raced with this.
  if (!marked && marked.error().code != errc::stale_handle
      && marked.error().code != errc::not_found)
    co_return marked.error();
  meta_operation unlink_it = op_unlink_directory{directory, std::move(name), child};
  auto unlinked = co_await partitions_.ask_for<done>(std::move(unlink_it));
  if (!unlinked)
    co_return unlinked.error();
  meta_operation remove = op_remove_inode{child};
  auto removed = co_await partitions_.ask_for<done>(std::move(remove));
  static_cast<void>(removed); // the name is gone; what is left is a leak that fsck names
  co_return call_result{done{}};
}

procedure<expected<call_result>> name_operations::rename(call_rename call) {
  for (const auto* name : {&call.from_name, &call.to_name}) {
    auto valid = check_entry_name(*name);
    if (!valid)
      co_return valid.error();
  }
  if (!partitions_.same_partition(call.from_directory, call.to_directory))
    co_return other_partition("a move between directories of different partitions");
  bool replaces = !call.no_replace && !call.exchange;
  removal_target target;
  std::optional<removals::under_way> removal;
  if (replaces) {
    auto file = co_await file_behind(call.to_directory, call.to_name);
    if (!file)
      co_return file.error();
    target = decide_on(*file);
    removal.emplace(
      removals_.begin(partitions_.group_of(call.to_directory), target.file, bool{target.held}));
  }
  op_rename change;
  change.from_directory = call.from_directory;
  change.from_name = std::move(call.from_name);
  change.to_directory = call.to_directory;
  change.to_name = std::move(call.to_name);
  change.no_replace = call.no_replace;
  change.exchange = call.exchange;
  change.held = target.held;
  meta_operation operation = std::move(change);
  auto answer = co_await partitions_.ask(std::move(operation));
  note_outcome(target, answer);
  if (!answer.outcome) {
    auto why = answer.outcome.error();
    if (why.code == errc::cross_partition && !why.id)
      why.id = trp::cross_partition_rename;
    co_return why;
  }
  co_return call_result{done{}};
}

// -- reading --------------------------------------------------------------------------------------

procedure<expected<call_result>> name_operations::read_symlink(call_read_symlink call) {
  meta_operation operation = op_read_symlink{call.id};
  auto answer = co_await partitions_.ask_for<symlink_target_is>(std::move(operation));
  if (!answer)
    co_return answer.error();
  co_return call_result{std::move(*answer)};
}

procedure<expected<call_result>> name_operations::read_directory(call_read_directory call) {
  meta_operation operation =
    op_read_directory{call.directory, call.after_cookie, call.entries_max, call.with_attributes};
  auto answer = co_await partitions_.ask_for<directory_page>(std::move(operation));
  if (!answer)
    co_return answer.error();
  for (auto& entry : answer->entries) {
    if (entry.attributes && data_.in_doubt(entry.child))
      entry.attributes.reset(); // whoever wants them asks, and waits
    else if (entry.attributes)
      entry.attributes = data_.with_own_writes(*entry.attributes);
  }
  co_return call_result{std::move(*answer)};
}

} // namespace troupe
