#include "storage/block/drive_recovery.hpp"

#include "storage/base/assert.hpp"
#include "storage/block/allocation_log.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace troupe {

using namespace block_format;

namespace {

/// Each mount leaves this many births out: should the last acknowledged batch have rotted away
/// (it then looks like a torn tail), the births it gave out are not given out again.
constexpr std::uint64_t births_skipped_per_mount = 1 << 20;

expected<byte_vector> read_exactly(file& blocks, std::uint64_t offset, std::uint64_t bytes) {
  byte_vector out(bytes);
  auto got = blocks.read_at(offset, out);
  if (!got)
    return got.error();
  if (*got != bytes)
    return error{errc::io_error, "block file ends at byte " + std::to_string(offset + *got),
                 trp::drive_damaged};
  return out;
}

/// Puts changed pages in place so that a crash at any point leaves each whole, old or new: first
/// to the shadow slots, then to their places, each made durable.
class page_installer {
public:
  page_installer(file& blocks, const superblock& drive, std::uint64_t lsn)
    : blocks_(blocks), drive_(drive), lsn_(lsn) {}

  expected<void> add(page_id id, byte_vector page) {
    seal_page(page, id, drive_tag(drive_.drive), lsn_);
    pages_.emplace_back(id, std::move(page));
    return pages_.size() == shadow_slots ? flush() : expected<void>{};
  }

  expected<void> flush() {
    if (pages_.empty())
      return {};
    byte_vector images;
    for (const auto& [id, page] : pages_)
      images.insert(images.end(), page.begin(), page.end());
    images.resize(std::size_t{shadow_slots} * page_bytes); // no slot keeps an older image
    if (auto done = blocks_.write_at(drive_.geometry.shadow_offset, images); !done)
      return done;
    if (auto done = blocks_.sync(); !done)
      return done;
    for (const auto& [id, page] : pages_)
      if (auto done = blocks_.write_at(page_offset(drive_.geometry, id), page); !done)
        return done;
    pages_.clear();
    return blocks_.sync();
  }

private:
  file& blocks_;
  const superblock& drive_;
  std::uint64_t lsn_;
  std::vector<std::pair<page_id, byte_vector>> pages_;
};

struct block_range {
  std::uint64_t start = 0;
  std::uint64_t count = 0;
};

/// The blocks that a record is about; none for an abandoned key.
block_range blocks_of(const log_record& record) {
  if (const auto* stored = std::get_if<stored_record>(&record))
    return {stored->start_block, stored->checksums.size()};
  if (const auto* freed = std::get_if<freed_record>(&record))
    return {freed->start_block, freed->block_count};
  return {};
}

/// One recovery, step by step.
class drive_recovery {
public:
  drive_recovery(file& blocks, const superblock& drive, const block_store_options& options,
                 log_contents log)
    : blocks_(blocks), drive_(drive), tag_(drive_tag(drive.drive)), log_(std::move(log)),
      installer_(blocks, drive, log_.newest.lsn), out_{.superblock = drive,
                                                       .options = options,
                                                       .bitmap =
                                                         block_bitmap{drive.geometry.block_count},
                                                       .keys = {options.done_keys_max,
                                                                options.abandoned_keys_max}} {}

  expected<recovered_drive> run() {
    for (auto step : {&drive_recovery::check_records, &drive_recovery::restore_torn_pages,
                      &drive_recovery::load_bitmap, &drive_recovery::replay_table,
                      &drive_recovery::rebuild_groups, &drive_recovery::write_bitmap,
                      &drive_recovery::begin_mount})
      if (auto done = (this->*step)(); !done)
        return done.error();
    return std::move(out_);
  }

private:
  /// A record with a right checksum about blocks that are not there is damage of another kind.
  expected<void> check_records() {
    out_.replayed_batches = log_.batch_count;
    out_.replayed_records = log_.records.size();
    out_.tail_cut = log_.tail_cut;
    auto blocks = drive_.geometry.block_count;
    for (std::size_t i = 0; i < log_.records.size(); ++i) {
      const auto& record = log_.records[i];
      auto [start, count] = blocks_of(record);
      if (start >= blocks || count > blocks - start
          || (count != 0 && start / group_blocks != (start + count - 1) / group_blocks))
        return error{errc::quarantined,
                     "drive " + to_string(drive_.drive) + " allocation log: a record of block "
                       + std::to_string(start),
                     trp::drive_damaged};
      if (const auto* stored = std::get_if<stored_record>(&record))
        remember(*stored, log_.record_lsns[i]);
      else if (const auto* freed = std::get_if<freed_record>(&record))
        out_.keys.forget_run(freed->born);
      else if (const auto* abandoned = std::get_if<abandoned_record>(&record))
        out_.keys.remember_abandoned(abandoned->key, log_.record_lsns[i]);
    }
    return {};
  }

  /// The newest batch may have survived without the data that went along with it: no sync covered
  /// both, or somebody would have written another batch. Of older mounts the log has none: it
  /// begins with a batch of the last one.
  void remember(const stored_record& stored, std::uint64_t lsn) {
    run_ref run{drive_.drive, stored.start_block,
                static_cast<std::uint32_t>(stored.checksums.size()), stored.born};
    if (lsn == log_.newest.lsn)
      out_.keys.remember_unsure(stored.key, run);
    else
      out_.keys.remember_done(stored.key, run);
  }

  /// A page that is bad in place and whole in a shadow slot was being written when the power went.
  expected<void> restore_torn_pages() {
    auto slots = read_exactly(blocks_, drive_.geometry.shadow_offset,
                              std::uint64_t{shadow_slots} * page_bytes);
    if (!slots)
      return slots.error();
    std::map<page_id, std::pair<std::uint64_t, byte_view>> images; // newest by LSN
    for (std::uint32_t slot = 0; slot < shadow_slots; ++slot) {
      auto image = byte_view{*slots}.subspan(std::size_t{slot} * page_bytes, page_bytes);
      page_id id;
      std::uint64_t lsn = 0;
      // An image of a batch that was never durable is not to be believed.
      if (!identify_page(image, tag_, id, lsn) || lsn > log_.newest.lsn || !in_file(id))
        continue;
      auto& newest = images[id];
      if (newest.second.empty() || lsn > newest.first)
        newest = {lsn, image};
    }
    auto restored = false;
    for (const auto& [id, newest] : images) {
      auto page = read_exactly(blocks_, page_offset(drive_.geometry, id), page_bytes);
      if (!page)
        return page.error();
      std::uint64_t lsn = 0;
      if (check_page(*page, id, tag_, lsn) != page_state::bad)
        continue;
      if (auto done = blocks_.write_at(page_offset(drive_.geometry, id), newest.second); !done)
        return done;
      ++out_.restored_pages;
      restored = true;
    }
    return restored ? blocks_.sync() : expected<void>{};
  }

  bool in_file(page_id id) const {
    const auto& g = drive_.geometry;
    return id.number < (id.kind == page_kind::bitmap ? g.group_count() : g.table_page_count());
  }

  expected<void> load_bitmap() {
    for (std::uint64_t group = 0; group < drive_.geometry.group_count(); ++group) {
      page_id id{page_kind::bitmap, group};
      auto page = read_exactly(blocks_, page_offset(drive_.geometry, id), page_bytes);
      if (!page)
        return page.error();
      std::uint64_t lsn = 0;
      // Formatting wrote every bitmap page: an empty one is damage too.
      if (check_page(*page, id, tag_, lsn) == page_state::good) {
        out_.bitmap.load_group(group, byte_view{*page}.subspan(page_header_bytes));
      } else {
        bad_groups_.insert(group);
        ++out_.damaged_pages;
      }
    }
    for (const auto& record : log_.records) {
      auto [start, count] = blocks_of(record);
      if (count == 0)
        continue;
      out_.bitmap.set(start, count, std::holds_alternative<stored_record>(record));
      changed_groups_.insert(start / group_blocks);
    }
    return {};
  }

  /// Page by page, so that memory holds one at a time, however long the log is.
  expected<void> replay_table() {
    std::vector<std::pair<std::uint64_t, std::size_t>> work; // page, record
    for (std::size_t i = 0; i < log_.records.size(); ++i) {
      auto [start, count] = blocks_of(log_.records[i]);
      if (count == 0)
        continue;
      for (auto page = start / table_page_blocks; page <= (start + count - 1) / table_page_blocks;
           ++page)
        work.emplace_back(page, i);
    }
    std::sort(work.begin(), work.end());
    for (std::size_t i = 0; i < work.size();) {
      auto number = work[i].first;
      page_id id{page_kind::table, number};
      auto page = read_exactly(blocks_, page_offset(drive_.geometry, id), page_bytes);
      if (!page)
        return page.error();
      std::uint64_t lsn = 0;
      auto found = check_page(*page, id, tag_, lsn);
      auto before = *page;
      if (found == page_state::bad)
        std::fill(page->begin(), page->end(), std::byte{0});
      for (; i < work.size() && work[i].first == number; ++i)
        apply(log_.records[work[i].second], number, *page);
      if (found == page_state::bad)
        heal(number, *page);
      if (found == page_state::bad
          || !std::equal(page->begin() + page_header_bytes, page->end(),
                         before.begin() + page_header_bytes))
        if (auto done = installer_.add(id, std::move(*page)); !done)
          return done;
    }
    return installer_.flush();
  }

  void apply(const log_record& record, std::uint64_t number, std::span<std::byte> page) const {
    auto [start, count] = blocks_of(record);
    const auto* stored = std::get_if<stored_record>(&record);
    auto first = number * table_page_blocks;
    for (std::uint64_t n = 0; n < count; ++n) {
      auto block = start + n;
      if (block < first || block >= first + table_page_blocks)
        continue;
      block_descriptor d;
      if (stored)
        d = {stored->born, stored->owner, stored->checksums[n], static_cast<std::uint16_t>(count),
             static_cast<std::uint16_t>(n)};
      store_descriptor(page, static_cast<std::uint32_t>(block - first), d);
    }
  }

  /// The log made what it could of a damaged page; other blocks in use belong to nobody known.
  void heal(std::uint64_t number, std::span<std::byte> page) {
    ++out_.damaged_pages;
    for (std::uint32_t entry = 0; entry < table_page_blocks; ++entry) {
      auto block = number * table_page_blocks + entry;
      if (block >= drive_.geometry.block_count || load_descriptor(page, entry).born)
        continue;
      if (bad_groups_.contains(block / group_blocks) || out_.bitmap.used(block))
        store_descriptor(page, entry, {lost_birth, {}, 0, 1, 0});
    }
  }

  /// A bitmap page is redundant: the table, which is complete now, has it all.
  expected<void> rebuild_groups() {
    for (auto group : bad_groups_) {
      auto first_page = group * group_table_pages;
      auto end_page = std::min(first_page + group_table_pages, drive_.geometry.table_page_count());
      for (auto number = first_page; number < end_page; ++number) {
        page_id id{page_kind::table, number};
        auto page = read_exactly(blocks_, page_offset(drive_.geometry, id), page_bytes);
        if (!page)
          return page.error();
        std::uint64_t lsn = 0;
        auto found = check_page(*page, id, tag_, lsn);
        for (std::uint32_t entry = 0; entry < table_page_blocks; ++entry) {
          auto block = number * table_page_blocks + entry;
          if (block < drive_.geometry.block_count)
            out_.bitmap.set(block, 1,
                            found == page_state::bad
                              || (found == page_state::good && load_descriptor(*page, entry).born));
        }
      }
      changed_groups_.insert(group);
    }
    return {};
  }

  expected<void> write_bitmap() {
    for (auto group : changed_groups_) {
      byte_vector page(page_bytes);
      out_.bitmap.copy_group(group, std::span{page}.subspan(page_header_bytes));
      if (auto done = installer_.add({page_kind::bitmap, group}, std::move(page)); !done)
        return done;
    }
    return installer_.flush();
  }

  /// From here on the log begins with a batch of this mount.
  expected<void> begin_mount() {
    out_.mount = incarnation{log_.newest.mount.value + 1};
    out_.next_birth = birth{log_.newest.next_birth.value + births_skipped_per_mount};
    out_.log_start = log_.end;
    byte_vector payload;
    std::uint32_t count = 0;
    for (const auto& key : out_.keys.abandoned_before(UINT64_MAX)) {
      encode_record(abandoned_record{key}, payload);
      out_.keys.remember_abandoned(key, log_.end);
      ++count;
    }
    auto batch = encode_batch({.lsn = log_.end,
                               .mount = out_.mount,
                               .log_start = log_.end,
                               .next_birth = out_.next_birth,
                               .record_count = count},
                              tag_, payload);
    const auto& g = drive_.geometry;
    auto at = log_.end % g.log_bytes;
    auto before_end = std::min<std::uint64_t>(batch.size(), g.log_bytes - at);
    if (auto done = blocks_.write_at(g.log_offset + at, byte_view{batch}.first(before_end)); !done)
      return done;
    if (before_end < batch.size())
      if (auto done = blocks_.write_at(g.log_offset, byte_view{batch}.subspan(before_end)); !done)
        return done;
    out_.log_end = log_.end + batch.size();
    // What was in the slots has served; an image of a batch that was lost must not outlive it.
    byte_vector no_images(std::size_t{shadow_slots} * page_bytes);
    if (auto done = blocks_.write_at(g.shadow_offset, no_images); !done)
      return done;
    return blocks_.sync();
  }

  file& blocks_;
  const superblock& drive_;
  std::uint64_t tag_;
  log_contents log_;
  page_installer installer_;
  recovered_drive out_;
  std::set<std::uint64_t> bad_groups_;
  std::set<std::uint64_t> changed_groups_;
};

} // namespace

expected<recovered_drive> recover_drive(file& blocks, const superblock& drive,
                                        const block_store_options& options) {
  // What a killed process wrote and did not sync is read back from the cache, and would be
  // believed: pages that look whole in place could still be torn by a power cut when their images
  // are gone.
  if (auto done = blocks.sync(); !done)
    return done.error();
  auto log = read_allocation_log(blocks, drive);
  if (!log)
    return log.error();
  return drive_recovery{blocks, drive, options, std::move(*log)}.run();
}

} // namespace troupe
