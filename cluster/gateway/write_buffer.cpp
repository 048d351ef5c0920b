#include "cluster/gateway/write_buffer.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace troupe {

frozen_blocks::frozen_blocks(std::uint64_t index, byte_view content) : range_{index, 1} {
  TROUPE_ASSERT(content.size() <= block_bytes);
  auto bytes = std::make_shared<std::byte[]>(block_bytes); // zeros
  if (!content.empty())
    std::memcpy(bytes.get(), content.data(), content.size());
  blocks_.push_back({bytes, bytes.get()});
}

shared_bytes frozen_blocks::window(std::uint64_t first, std::uint64_t count) const {
  TROUPE_ASSERT(count > 0);
  auto there = first < blocks_.size() ? std::min<std::uint64_t>(count, blocks_.size() - first) : 0;
  bool together = there == count;
  for (std::uint64_t i = 1; together && i < count; ++i)
    together = blocks_[first + i].owner == blocks_[first].owner
               && blocks_[first + i].at == blocks_[first].at + i * block_bytes;
  if (together)
    return {blocks_[first].owner, byte_view{blocks_[first].at, count * block_bytes}};
  byte_vector copy(count * block_bytes); // zeros where there is nothing
  for (std::uint64_t i = 0; i < there; ++i)
    std::memcpy(copy.data() + i * block_bytes, blocks_[first + i].at, block_bytes);
  return shared_bytes{std::move(copy)};
}

template <class Fn>
void write_buffer::each(block_range range, Fn fn) {
  for (auto block = range.first; block < range.end(); ++block) {
    auto it = chunks_.find(block / unit_blocks);
    TROUPE_ASSERT(it != chunks_.end());
    fn(it->first, it->second, static_cast<std::uint32_t>(block % unit_blocks));
  }
}

bool write_buffer::holds(std::uint64_t block) const {
  auto it = chunks_.find(block / unit_blocks);
  return it != chunks_.end() && it->second.blocks[block % unit_blocks] != phase::absent;
}

void write_buffer::set_phase(std::uint64_t index, chunk& c, std::uint32_t at, phase to) {
  auto& p = c.blocks[at];
  auto flushing = [](phase x) { return x == phase::flushing || x == phase::flushing_dirty; };
  dirty_count_ -= p == phase::dirty ? 1 : 0;
  flushing_count_ -= flushing(p) ? 1 : 0;
  rewritten_count_ -= p == phase::flushing_dirty ? 1 : 0;
  p = to;
  dirty_count_ += p == phase::dirty ? 1 : 0;
  flushing_count_ += flushing(p) ? 1 : 0;
  rewritten_count_ += p == phase::flushing_dirty ? 1 : 0;
  if (to == phase::dirty)
    dirty_chunks_.insert(index);
  else if (std::find(c.blocks.begin(), c.blocks.end(), phase::dirty) == c.blocks.end())
    dirty_chunks_.erase(index);
}

void write_buffer::make_room(chunk& c, std::uint64_t index, std::uint32_t blocks) {
  if (blocks <= c.capacity_blocks)
    return;
  // Small files stay small: only the first chunk of a file grows step by step.
  auto capacity = index == 0 ? std::bit_ceil(blocks) : unit_blocks;
  auto bytes = std::shared_ptr<std::byte[]>(new std::byte[capacity * block_bytes]);
  if (c.bytes)
    std::memcpy(bytes.get(), c.bytes.get(), c.capacity_blocks * block_bytes);
  memory_bytes_ += (capacity - c.capacity_blocks) * block_bytes;
  c.bytes = std::move(bytes);
  c.capacity_blocks = capacity;
  c.frozen = false;
}

std::byte* write_buffer::writable(chunk& c) {
  if (!c.frozen)
    return c.bytes.get();
  auto count = c.capacity_blocks * block_bytes;
  auto bytes = std::shared_ptr<std::byte[]>(new std::byte[count]);
  std::memcpy(bytes.get(), c.bytes.get(), count);
  c.bytes = std::move(bytes);
  c.frozen = false;
  return c.bytes.get();
}

std::byte* write_buffer::block_for_writing(std::uint64_t block, bool keep_content) {
  auto index = block / unit_blocks;
  auto at = static_cast<std::uint32_t>(block % unit_blocks);
  auto& c = chunks_[index];
  make_room(c, index, at + 1);
  auto* bytes = writable(c) + at * block_bytes;
  if (keep_content && c.blocks[at] == phase::absent)
    std::memset(bytes, 0, block_bytes);
  return bytes;
}

void write_buffer::write(std::uint64_t offset, byte_view bytes) {
  while (!bytes.empty()) {
    auto block = offset / block_bytes;
    auto within = offset % block_bytes;
    auto count = std::min<std::uint64_t>(bytes.size(), block_bytes - within);
    if (block % unit_blocks == 0 && within == 0) { // the whole chunk at once, if it is coming
      auto blocks = std::min<std::uint64_t>(unit_blocks, bytes.size() / block_bytes);
      if (blocks > 1)
        make_room(chunks_[block / unit_blocks], block / unit_blocks,
                  static_cast<std::uint32_t>(blocks));
    }
    auto* to = block_for_writing(block, count < block_bytes);
    std::memcpy(to + within, bytes.data(), count);
    auto index = block / unit_blocks;
    auto at = static_cast<std::uint32_t>(block % unit_blocks);
    auto& c = chunks_[index];
    bool in_flight = c.blocks[at] == phase::flushing || c.blocks[at] == phase::flushing_dirty;
    set_phase(index, c, at, in_flight ? phase::flushing_dirty : phase::dirty);
    offset += count;
    bytes = bytes.subspan(count);
  }
}

void write_buffer::fill(std::uint64_t block, byte_view bytes) {
  TROUPE_ASSERT(!holds(block));
  TROUPE_ASSERT(bytes.size() <= block_bytes);
  auto* to = block_for_writing(block, true);
  if (!bytes.empty())
    std::memcpy(to, bytes.data(), bytes.size());
  auto index = block / unit_blocks;
  set_phase(index, chunks_[index], static_cast<std::uint32_t>(block % unit_blocks), phase::clean);
}

void write_buffer::touch(std::uint64_t block) {
  each({block, 1}, [&](std::uint64_t index, chunk& c, std::uint32_t at) {
    if (c.blocks[at] == phase::clean)
      set_phase(index, c, at, phase::dirty);
  });
}

block_range write_buffer::held_from(std::uint64_t first, std::uint64_t end) const {
  block_range out;
  for (auto it = chunks_.lower_bound(first / unit_blocks); it != chunks_.end(); ++it) {
    for (std::uint32_t at = 0; at < unit_blocks; ++at) {
      auto block = it->first * unit_blocks + at;
      if (block < first)
        continue;
      bool held = block < end && it->second.blocks[at] != phase::absent;
      if (out.count > 0 && (!held || block != out.end()))
        return out;
      if (block >= end)
        return out;
      if (held)
        out = {out.count > 0 ? out.first : block, out.count + 1};
    }
  }
  return out;
}

void write_buffer::read(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    auto block = offset / block_bytes;
    auto within = offset % block_bytes;
    auto count = std::min<std::uint64_t>(out.size(), block_bytes - within);
    auto it = chunks_.find(block / unit_blocks);
    TROUPE_ASSERT(it != chunks_.end());
    TROUPE_ASSERT(it->second.blocks[block % unit_blocks] != phase::absent);
    const auto* from = it->second.bytes.get() + block % unit_blocks * block_bytes + within;
    std::memcpy(out.data(), from, count);
    offset += count;
    out = out.subspan(count);
  }
}

std::vector<block_range> write_buffer::dirty_ranges() const {
  std::vector<block_range> out;
  for (auto index : dirty_chunks_) {
    const auto& c = chunks_.find(index)->second;
    for (std::uint32_t at = 0; at < unit_blocks; ++at) {
      if (c.blocks[at] != phase::dirty)
        continue;
      auto block = index * unit_blocks + at;
      if (!out.empty() && out.back().end() == block)
        ++out.back().count;
      else
        out.push_back({block, 1});
    }
  }
  return out;
}

frozen_blocks write_buffer::freeze(block_range range) {
  frozen_blocks out;
  out.range_ = range;
  out.blocks_.reserve(range.count);
  each(range, [&](std::uint64_t index, chunk& c, std::uint32_t at) {
    TROUPE_ASSERT(c.blocks[at] == phase::dirty);
    set_phase(index, c, at, phase::flushing);
    c.frozen = true;
    out.blocks_.push_back({c.bytes, c.bytes.get() + at * block_bytes});
  });
  return out;
}

void write_buffer::settle(block_range range) {
  each(range, [&](std::uint64_t index, chunk& c, std::uint32_t at) {
    if (c.blocks[at] == phase::flushing)
      set_phase(index, c, at, phase::clean);
    else if (c.blocks[at] == phase::flushing_dirty)
      set_phase(index, c, at, phase::dirty);
  });
}

void write_buffer::unsettle(block_range range) {
  each(range, [&](std::uint64_t index, chunk& c, std::uint32_t at) {
    if (c.blocks[at] == phase::flushing || c.blocks[at] == phase::flushing_dirty)
      set_phase(index, c, at, phase::dirty);
  });
}

void write_buffer::erase_if_empty(std::map<std::uint64_t, chunk>::iterator it) {
  const auto& blocks = it->second.blocks;
  bool empty =
    std::all_of(blocks.begin(), blocks.end(), [](phase p) { return p == phase::absent; });
  if (!empty)
    return;
  memory_bytes_ -= it->second.capacity_blocks * block_bytes;
  dirty_chunks_.erase(it->first);
  chunks_.erase(it);
}

void write_buffer::drop_clean(std::uint64_t keep_block) {
  for (auto it = chunks_.begin(); it != chunks_.end();) {
    auto at = it++;
    if (at->first == keep_block / unit_blocks)
      continue;
    for (std::uint32_t i = 0; i < unit_blocks; ++i)
      if (at->second.blocks[i] == phase::clean)
        set_phase(at->first, at->second, i, phase::absent);
    erase_if_empty(at);
  }
}

void write_buffer::drop_all_clean() {
  drop_clean(~std::uint64_t{0});
}

void write_buffer::truncate(std::uint64_t size) {
  auto keep_blocks = (size + block_bytes - 1) / block_bytes;
  for (auto it = chunks_.lower_bound(keep_blocks / unit_blocks); it != chunks_.end();) {
    auto at = it++;
    for (std::uint32_t i = 0; i < unit_blocks; ++i)
      if (at->first * unit_blocks + i >= keep_blocks)
        set_phase(at->first, at->second, i, phase::absent);
    erase_if_empty(at);
  }
  auto within = size % block_bytes;
  if (within != 0 && holds(size / block_bytes))
    std::memset(block_for_writing(size / block_bytes, true) + within, 0, block_bytes - within);
}

std::uint64_t write_buffer::lose_everything() {
  auto lost = (dirty_count_ + flushing_count_) * block_bytes;
  *this = {};
  return lost;
}

} // namespace troupe
