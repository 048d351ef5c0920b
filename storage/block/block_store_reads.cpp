#include "storage/base/assert.hpp"
#include "storage/block/block_store_core.hpp"
#include "storage/codec/unit_checksum.hpp"

#include <algorithm>

namespace troupe {

using namespace block_format;

// Table pages.

void block_store_state::core::need_pages(task_id id, std::uint64_t first_block,
                                         std::uint64_t block_count) {
  auto& t = at(id);
  auto last = (first_block + block_count - 1) / table_page_blocks;
  for (auto page = first_block / table_page_blocks; page <= last; ++page) {
    if (cache_.contains(page)) {
      cache_.pin(page);
      t.pages.push_back(page);
      continue;
    }
    ++t.pages_missing;
    auto& waiting = loading_[page];
    waiting.push_back(id);
    if (waiting.size() == 1)
      order_read({io_kind::page_load, {}, page},
                 page_offset(superblock_.geometry, {page_kind::table, page}), page_bytes);
  }
  if (t.pages_missing == 0)
    pages_ready(id);
}

void block_store_state::core::page_loaded(std::uint64_t page, expected<shared_bytes> result) {
  auto waiting = std::move(loading_.at(page));
  loading_.erase(page);
  auto loaded = result && result->size() == page_bytes;
  if (loaded) {
    byte_vector bytes(result->data(), result->data() + page_bytes);
    std::uint64_t lsn = 0;
    auto found = check_page(bytes, {page_kind::table, page}, tag_, lsn);
    auto damaged = found != page_state::good && heal_page(page, bytes, found);
    cache_.insert(page, std::move(bytes), static_cast<std::uint32_t>(waiting.size()));
    if (damaged && dirty_.size() < options_.dirty_pages_max) {
      dirty_.touch({page_kind::table, page}, last_lsn_);
      cache_.hold(page, true);
    }
  } else {
    for (auto id : waiting)
      at(id).failure = error{errc::io_error, name() + ": run table page " + std::to_string(page)
                                               + " cannot be read"};
  }
  for (auto id : waiting) {
    auto& t = at(id);
    --t.pages_missing;
    if (loaded) // pinned for it, even if another of its pages failed
      t.pages.push_back(page);
    if (t.pages_missing == 0)
      pages_ready(id);
  }
}

bool block_store_state::core::heal_page(std::uint64_t page, std::span<std::byte> bytes,
                                        page_state found) {
  // What is in use stays in use, by nobody known: readers reconstruct, Collect asks the partitions.
  std::fill(bytes.begin(), bytes.end(), std::byte{0});
  auto lost = false;
  for (std::uint32_t entry = 0; entry < table_page_blocks; ++entry) {
    auto block = page * table_page_blocks + entry;
    if (block >= bitmap_.block_count() || !bitmap_.used(block))
      continue;
    auto placed = reserved_.upper_bound(block);
    if (placed != reserved_.begin() && block - std::prev(placed)->first < std::prev(placed)->second)
      continue;
    store_descriptor(bytes, entry, {lost_birth, {}, 0, 1, 0});
    lost = true;
  }
  if (lost || found == page_state::bad)
    note_damage();
  return lost || found == page_state::bad;
}

void block_store_state::core::note_damage() {
  ++report_.checksum_errors;
  if (report_.state == drive_state::healthy)
    report_.state = drive_state::suspect;
}

void block_store_state::core::drop_pages(task& t) {
  for (auto page : t.pages)
    cache_.unpin(page);
  t.pages.clear();
}

block_descriptor block_store_state::core::descriptor(std::uint64_t block) {
  return load_descriptor(cache_.bytes(block / table_page_blocks),
                         static_cast<std::uint32_t>(block % table_page_blocks));
}

error block_store_state::core::look_up(const run_ref& run) {
  auto lost = false;
  for (std::uint32_t i = 0; i < run.block_count; ++i) {
    auto d = descriptor(run.start_block + i);
    if (d.born == lost_birth)
      lost = true;
    else if (d.born != run.born || d.index != i || d.run_blocks != run.block_count)
      return {errc::stale, name() + named_block(run.start_block) + ": no such run (any more)"};
  }
  if (lost)
    return {errc::corrupt, name() + named_block(run.start_block) + ": its descriptor was lost"};
  // Nobody was told of it yet: whoever names it guesses.
  if (run.born >= round_.first_birth)
    return {errc::stale, name() + named_block(run.start_block) + ": no such run yet"};
  return {};
}

// Reads.

void block_store_state::core::pages_ready_read(task_id id) {
  auto& t = at(id);
  auto no = look_up(t.run);
  if (no.code != errc::none)
    return end_all(id, std::move(no));
  for (std::uint32_t i = 0; i < t.run.block_count; ++i)
    t.checksums.push_back(descriptor(t.run.start_block + i).checksum);
  drop_pages(t);
  reading_.emplace(t.run.start_block, id);
  order_read({io_kind::read_data, id, 0},
             superblock_.geometry.data_offset + (t.run.start_block + t.first_block) * block_bytes,
             std::uint64_t{t.block_count} * block_bytes);
}

void block_store_state::core::read_done(task_id id, expected<shared_bytes> result) {
  auto& t = at(id);
  auto [begin, end_of] = reading_.equal_range(t.run.start_block);
  reading_.erase(std::find_if(begin, end_of, [&](const auto& x) { return x.second == id; }));
  auto first = t.run.start_block + t.first_block;
  if (t.stale) // freed while the read was under way; the bytes may be another run's
    return end_all(id, error{errc::stale, name() + named_block(t.run.start_block) + ": freed"});
  if (!result || result->size() != std::size_t{t.block_count} * block_bytes)
    return end_all(id, error{errc::io_error, name() + named_block(first) + " cannot be read"});
  auto wanted = std::span{t.checksums}.subspan(t.first_block, t.block_count);
  if (auto bad = first_bad_block(result->view(), wanted);
      bad && !options_.planted_unchecked_reads) {
    note_damage();
    return end_all(id, error{errc::corrupt,
                             name() + named_block(first + *bad) + ": wrong checksum on the drive"});
  }
  ++report_.reads;
  report_.bytes_read += result->size();
  end_all(id, run_data{std::move(t.checksums), std::move(*result)});
}

void block_store_state::core::pages_ready_list(task_id id) {
  auto& t = at(id);
  run_list found;
  auto end_of =
    std::min((t.from_block / table_page_blocks + 1) * table_page_blocks, bitmap_.block_count());
  for (auto block = t.from_block; block < end_of; ++block) {
    auto d = descriptor(block);
    if (d.born == lost_birth)
      found.runs.push_back({{superblock_.drive, block, 1, birth{}}, lin{}});
    else if (d.born && d.index == 0)
      found.runs.push_back({{superblock_.drive, block, d.run_blocks, d.born}, d.owner});
  }
  found.next_block = end_of;
  found.done = end_of == bitmap_.block_count();
  end_all(id, std::move(found));
}

} // namespace troupe
