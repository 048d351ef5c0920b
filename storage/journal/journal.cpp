#include "storage/journal/journal.hpp"

#include "storage/base/assert.hpp"

namespace troupe {

namespace {

std::string file_path(const std::string& directory) {
  return directory + "/journal";
}
/// Its presence says that the journal beside it must not be used; its text says why.
std::string quarantine_path(const std::string& directory) {
  return directory + "/journal.quarantined";
}
/// The journal while it is being made.
std::string new_path(const std::string& directory) {
  return directory + "/journal.new";
}

expected<void> check_not_quarantined(env& e, const std::string& directory) {
  auto path = quarantine_path(directory);
  auto there = e.exists(path);
  if (!there)
    return there.error();
  if (!*there)
    return {};
  auto why = e.read_file(path, 4096);
  return error{errc::quarantined,
               why ? std::string{as_text(*why)} : path + ": " + why.error().context,
               trp::journal_quarantined};
}

error in_directory(const std::string& directory, const error& x) {
  return {x.code, directory + ": " + x.context, x.id};
}

/// Superblock and a first, empty segment.
expected<void> write_first(file& log, const drive_uuid& owner, const journal_options& options) {
  journal_superblock superblock;
  superblock.owner = owner;
  superblock.segment_bytes = options.segment_bytes;
  superblock.segment_count = options.segment_count;
  if (auto written = log.write_at(0, encode_superblock(superblock)); !written)
    return written;
  byte_vector image(batch_header_bytes);
  encode_record(segment_state{}, image);
  batch_header header;
  header.number = 1;
  header.first_lsn = 1;
  header.incarnation = 1;
  header.replay_from = 1;
  header.begins_segment = true;
  seal_batch(image, header, owner);
  return log.write_at(journal_page_bytes, image);
}

expected<void> make_file(env& e, const std::string& path, const drive_uuid& owner,
                         const journal_options& options) {
  auto log = e.open(path, open_mode::create_new);
  if (!log)
    return log.error();
  auto bytes = journal_file_bytes(options);
  if (auto reserved = (*log)->preallocate(bytes); !reserved)
    return reserved;
  if (auto written = (*log)->write_zeros(0, bytes); !written)
    return written;
  if (auto written = write_first(**log, owner, options); !written)
    return written;
  return (*log)->sync();
}

} // namespace

std::uint64_t journal_file_bytes(const journal_options& options) {
  return journal_page_bytes + options.segment_bytes * options.segment_count;
}

expected<void> create_journal(env& e, const std::string& directory, const drive_uuid& owner,
                              const journal_options& options) {
  if (auto sane = check(options); !sane)
    return sane;
  for (const auto& path : {file_path(directory), quarantine_path(directory)}) {
    auto there = e.exists(path);
    if (!there)
      return there.error();
    if (*there)
      return error{errc::already_exists, path + ": exists"};
  }
  auto path = new_path(directory);
  auto left_over = e.exists(path);
  if (!left_over)
    return left_over.error();
  if (*left_over)
    if (auto removed = e.remove_file(path); !removed)
      return removed;
  if (auto made = make_file(e, path, owner, options); !made) {
    static_cast<void>(e.remove_file(path)); // its room is wanted by others
    return made;
  }
  if (auto renamed = e.rename(path, file_path(directory)); !renamed)
    return renamed;
  return e.sync_directory(directory);
}

expected<opened_journal> open_journal(env& e, const std::string& directory, const drive_uuid& owner,
                                      const journal_options& options) {
  if (auto usable = check_not_quarantined(e, directory); !usable)
    return usable.error();
  auto log = e.open(file_path(directory), open_mode::read_write);
  if (!log)
    return log.error();
  auto found = recover_journal(**log, owner);
  if (!found) {
    auto why = in_directory(directory, found.error());
    if (why.code == errc::quarantined) // if this fails, the next opening finds the same damage
      static_cast<void>(e.replace_file(quarantine_path(directory), as_bytes(why.context)));
    return why;
  }
  auto all_options = options;
  all_options.segment_bytes = found->superblock.segment_bytes;
  all_options.segment_count = found->superblock.segment_count;
  if (auto sane = check(all_options); !sane)
    return in_directory(directory, sane.error());
  if (found->superblock.format != journal_format_version) {
    found->superblock.format = journal_format_version;
    if (auto raised = (*log)->write_at(0, encode_superblock(found->superblock)); !raised)
      return in_directory(directory, raised.error());
  }
  // The end may be in the page cache only, left by a process that died before its sync, or whose
  // sync failed: then the cache says "clean" for pages that the medium does not have.
  if (auto written = (*log)->write_at(found->last_batch_offset, found->last_batch); !written)
    return in_directory(directory, written.error());
  if (auto synced = (*log)->sync(); !synced)
    return in_directory(directory, synced.error());
  journal_heads heads{options.removed_ids_max, std::move(found->heads)};
  return opened_journal{journal_state{found->superblock, all_options, std::move(found->position),
                                      std::move(heads), std::move(found->pins)},
                        std::move(*log), std::move(found->replicas), found->tail_was_cut};
}

expected<journal_lsn> write_batch(journal_state& state, file& log) {
  if (!state.health())
    return state.health().error();
  auto batch = state.next_batch();
  if (!batch)
    return state.durable_lsn();
  auto done = log.write_at(batch->offset, batch->bytes);
  if (done)
    done = log.sync();
  if (!done) {
    state.batch_failed(done.error());
    return state.health().error();
  }
  return state.batch_done(batch->number);
}

expected<journal_lsn> flush_journal(opened_journal& journal) {
  while (!journal.state.idle())
    if (auto done = write_batch(journal.state, *journal.log); !done)
      return done;
  return journal.state.durable_lsn();
}

} // namespace troupe
