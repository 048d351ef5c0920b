#include "storage/block/drive_mount.hpp"

#include "storage/block/drive_recovery.hpp"

#include <algorithm>

namespace troupe {

using namespace block_format;

namespace {

std::string block_path(const std::string& directory) {
  return directory + "/" + block_file_name;
}

error missing(const std::string& directory, const std::string& what) {
  return {errc::not_found, directory + ": " + what, trp::drive_missing};
}

/// Opens the block file of a drive that must be there.
expected<std::unique_ptr<file>> open_blocks(env& files, const std::string& directory,
                                            open_mode mode) {
  auto blocks = files.open(block_path(directory), mode);
  if (blocks)
    return blocks;
  auto why = blocks.error();
  if (why.code == errc::not_found)
    return missing(directory, "no block file");
  if (why.code == errc::permission_denied)
    why.id = trp::no_permission;
  return why;
}

expected<superblock> read_superblock(file& blocks, const std::string& directory) {
  byte_vector bytes(superblock_bytes);
  auto got = blocks.read_at(0, bytes);
  if (!got)
    return got.error();
  auto x = decode_superblock(byte_view{bytes}.first(*got));
  if (!x)
    return error{x.error().code, directory + ": " + x.error().context, x.error().id};
  auto size = blocks.size();
  if (!size)
    return size.error();
  if (*size < x->geometry.file_bytes)
    return error{errc::corrupt,
                 directory + ": the block file has " + std::to_string(*size) + " of "
                   + std::to_string(x->geometry.file_bytes) + " bytes",
                 trp::drive_damaged};
  return x;
}

expected<void> write_empty_drive(file& blocks, const superblock& drive) {
  const auto& g = drive.geometry;
  if (auto done = blocks.preallocate(g.file_bytes); !done)
    return done;
  auto copy = encode_superblock(drive);
  for (std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{page_bytes}})
    if (auto done = blocks.write_at(offset, copy); !done)
      return done;
  // LSNs begin with one round of the ring, so that 0 is never one.
  auto tag = drive_tag(drive.drive);
  auto batch = encode_batch({.lsn = g.log_bytes,
                             .mount = incarnation{0},
                             .log_start = g.log_bytes,
                             .next_birth = birth{1},
                             .record_count = 0},
                            tag, {});
  if (auto done = blocks.write_at(g.log_offset, batch); !done)
    return done;
  for (std::uint64_t group = 0; group < g.group_count(); ++group) {
    byte_vector page(page_bytes);
    page_id id{page_kind::bitmap, group};
    seal_page(page, id, tag, g.log_bytes);
    if (auto done = blocks.write_at(page_offset(g, id), page); !done)
      return done;
  }
  return blocks.sync();
}

} // namespace

expected<void> format_drive(env& files, const std::string& directory,
                            const drive_format_request& what) {
  auto geometry = plan_geometry(what.file_bytes, what.log_bytes);
  if (!geometry)
    return geometry.error();
  auto path = block_path(directory);
  auto there = files.exists(path);
  if (!there)
    return there.error();
  if (*there)
    return error{errc::already_exists, path + ": a drive is here"};
  if (auto done = files.make_directory(directory); !done)
    return done;
  auto temporary = path + ".new";
  auto left_over = files.exists(temporary);
  if (!left_over)
    return left_over.error();
  if (*left_over)
    if (auto done = files.remove_file(temporary); !done)
      return done;
  {
    auto blocks = files.open(temporary, open_mode::create_new);
    if (!blocks)
      return blocks.error();
    superblock drive{what.cluster, what.drive, what.node, *geometry,
                     what.now,     what.media, what.sed};
    if (auto done = write_empty_drive(**blocks, drive); !done) {
      blocks->reset();
      static_cast<void>(files.remove_file(temporary));
      return done;
    }
  }
  if (auto done = files.rename(temporary, path); !done)
    return done;
  return files.sync_directory(directory);
}

expected<superblock> inspect_drive(env& files, const std::string& directory) {
  auto blocks = open_blocks(files, directory, open_mode::read_only);
  if (!blocks)
    return blocks.error();
  return read_superblock(**blocks, directory);
}

expected<mounted_drive> mount_drive(env& files, const std::string& directory,
                                    const drive_expectation& expected_drive,
                                    const block_store_options& options) {
  auto blocks = open_blocks(files, directory, open_mode::read_write);
  if (!blocks)
    return blocks.error();
  auto found = read_superblock(**blocks, directory);
  if (!found)
    return found.error();
  if (found->cluster != expected_drive.cluster)
    return error{errc::wrong_cluster, directory + ": drive of cluster " + to_string(found->cluster),
                 trp::foreign_data_directory};
  if (expected_drive.drive && found->drive != expected_drive.drive)
    return missing(directory, "expected drive " + to_string(expected_drive.drive) + ", found "
                                + to_string(found->drive));
  if (auto fit = check(options, found->geometry.log_bytes); !fit)
    return fit.error();
  auto lock = files.lock(directory + "/lock");
  if (!lock)
    return lock.error();
  auto recovered = recover_drive(**blocks, *found, options);
  if (!recovered)
    return recovered.error();
  drive_mount_report report{recovered->replayed_batches, recovered->replayed_records,
                            recovered->restored_pages, recovered->damaged_pages,
                            recovered->tail_cut};
  return mounted_drive{*found, report, block_store_state{std::move(*recovered)}, std::move(*blocks),
                       std::move(*lock)};
}

} // namespace troupe
