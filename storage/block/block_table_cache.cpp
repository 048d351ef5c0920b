#include "storage/block/block_table_cache.hpp"

#include "storage/base/assert.hpp"

namespace troupe {

void block_table_cache::insert(std::uint64_t page, byte_vector bytes, std::uint32_t pins) {
  TROUPE_ASSERT(bytes.size() == block_format::page_bytes);
  auto [it, fresh] = pages_.try_emplace(page);
  TROUPE_ASSERT(fresh);
  it->second.bytes = std::move(bytes);
  it->second.pins = pins;
  settle(page, it->second);
  shrink();
}

void block_table_cache::pin(std::uint64_t page) {
  auto& e = pages_.at(page);
  ++e.pins;
  settle(page, e);
}

void block_table_cache::unpin(std::uint64_t page) {
  auto& e = pages_.at(page);
  TROUPE_ASSERT(e.pins > 0);
  --e.pins;
  settle(page, e);
  shrink();
}

void block_table_cache::hold(std::uint64_t page, bool held) {
  auto& e = pages_.at(page);
  e.held = held;
  settle(page, e);
  shrink();
}

std::span<std::byte> block_table_cache::bytes(std::uint64_t page) {
  return pages_.at(page).bytes;
}

void block_table_cache::settle(std::uint64_t page, entry& e) {
  auto idle = e.pins == 0 && !e.held;
  if (idle == e.idle)
    return;
  if (idle)
    e.place = idle_.insert(idle_.end(), page);
  else
    idle_.erase(e.place);
  e.idle = idle;
}

void block_table_cache::shrink() {
  while (pages_.size() > pages_max_ && !idle_.empty()) {
    pages_.erase(idle_.front());
    idle_.pop_front();
  }
}

void block_dirty_pages::touch(block_format::page_id page, std::uint64_t lsn) {
  TROUPE_ASSERT(lsn != 0);
  auto [it, fresh] = pages_.try_emplace(page);
  if (fresh) {
    it->second.lsn = lsn;
    by_lsn_.insert({lsn, page});
  } else if (it->second.picked && it->second.lsn_after_pick == 0) {
    it->second.lsn_after_pick = lsn;
  }
}

std::vector<block_format::page_id> block_dirty_pages::pick(std::size_t count) {
  std::vector<block_format::page_id> out;
  for (const auto& [lsn, page] : by_lsn_) {
    if (out.size() == count)
      break;
    auto& e = pages_.at(page);
    TROUPE_ASSERT(!e.picked);
    e.picked = true;
    out.push_back(page);
  }
  return out;
}

std::vector<block_format::page_id> block_dirty_pages::settle() {
  std::vector<block_format::page_id> clean;
  for (auto it = pages_.begin(); it != pages_.end();) {
    auto& [page, e] = *it;
    if (!e.picked) {
      ++it;
      continue;
    }
    by_lsn_.erase({e.lsn, page});
    if (e.lsn_after_pick == 0) {
      clean.push_back(page);
      it = pages_.erase(it);
      continue;
    }
    e = entry{.lsn = e.lsn_after_pick};
    by_lsn_.insert({e.lsn, page});
    ++it;
  }
  return clean;
}

std::uint64_t block_dirty_pages::oldest_lsn() const {
  return by_lsn_.empty() ? UINT64_MAX : by_lsn_.begin()->first;
}

} // namespace troupe
