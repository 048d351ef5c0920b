#include "storage/block/block_bitmap.hpp"

#include "storage/base/assert.hpp"
#include "storage/base/coding.hpp"
#include "storage/block/block_format.hpp"

#include <algorithm>
#include <bit>

namespace troupe {

using block_format::group_blocks;

namespace {
constexpr std::uint64_t group_words = group_blocks / 64;
static_assert(group_blocks % 64 == 0);
} // namespace

block_bitmap::block_bitmap(std::uint64_t block_count)
  : block_count_(block_count), free_count_(block_count),
    groups_((block_count + group_blocks - 1) / group_blocks) {
  words_.resize(groups_.size() * group_words);
  for (std::uint64_t g = 0; g < groups_.size(); ++g)
    groups_[g].free_count = groups_[g].gap_max = static_cast<std::uint32_t>(group_size(g));
}

std::uint64_t block_bitmap::group_size(std::uint64_t group) const {
  return std::min<std::uint64_t>(group_blocks, block_count_ - group * group_blocks);
}

bool block_bitmap::used(std::uint64_t block) const {
  TROUPE_ASSERT(block < block_count_);
  return (words_[block / 64] >> (block % 64) & 1) != 0;
}

std::uint64_t block_bitmap::next(std::uint64_t from, std::uint64_t end, bool value) const {
  while (from < end) {
    auto word = value ? words_[from / 64] : ~words_[from / 64];
    word >>= from % 64;
    if (word != 0)
      return std::min(end, from + static_cast<std::uint64_t>(std::countr_zero(word)));
    from = (from / 64 + 1) * 64;
  }
  return end;
}

std::optional<std::uint32_t> block_bitmap::find_gap(std::uint64_t group, std::uint32_t from,
                                                    std::uint32_t count) {
  auto& info = groups_[group];
  if (info.free_count < count || info.gap_max < count)
    return {};
  auto base = group * group_blocks;
  auto end = base + group_size(group);
  std::uint64_t longest = 0;
  for (auto at = base + from; at < end;) {
    auto begin = next(at, end, false);
    at = next(begin, std::min(end, begin + count), true);
    if (at - begin == count)
      return static_cast<std::uint32_t>(begin - base);
    longest = std::max(longest, at - begin);
  }
  if (from == 0)
    info.gap_max = static_cast<std::uint32_t>(longest);
  return {};
}

std::optional<std::uint64_t> block_bitmap::place(std::uint32_t count) {
  TROUPE_ASSERT(count >= 1);
  TROUPE_ASSERT(count <= block_format::run_blocks_max);
  if (cursor_ >= block_count_)
    cursor_ = 0;
  auto first = cursor_ / group_blocks;
  for (std::uint64_t i = 0; i <= groups_.size(); ++i) {
    auto group = (first + i) % groups_.size();
    // The group of the cursor is searched behind it first, and as a whole at the end.
    auto from = i == 0 ? static_cast<std::uint32_t>(cursor_ % group_blocks) : 0;
    auto gap = find_gap(group, from, count);
    if (!gap)
      continue;
    auto start = group * group_blocks + *gap;
    set(start, count, true);
    cursor_ = start + count;
    return start;
  }
  return {};
}

void block_bitmap::release(std::uint64_t start, std::uint32_t count) {
  TROUPE_ASSERT(start + count <= block_count_);
  TROUPE_ASSERT(next(start, start + count, false) == start + count);
  set(start, count, false);
}

void block_bitmap::set(std::uint64_t start, std::uint64_t count, bool in_use) {
  TROUPE_ASSERT(start + count <= block_count_);
  for (auto block = start; block < start + count; ++block) {
    auto mask = std::uint64_t{1} << (block % 64);
    auto& word = words_[block / 64];
    if (((word & mask) != 0) == in_use)
      continue;
    word ^= mask;
    auto& info = groups_[block / group_blocks];
    if (in_use) {
      --info.free_count;
      --free_count_;
    } else {
      ++info.free_count;
      ++free_count_;
      info.gap_max = group_blocks; // may have grown by joining: look again
    }
  }
}

void block_bitmap::load_group(std::uint64_t group, byte_view body) {
  TROUPE_ASSERT(body.size() == block_format::page_body_bytes);
  auto size = group_size(group);
  for (std::uint64_t w = 0; w < group_words; ++w) {
    auto word = load_le<std::uint64_t>(body.data() + 8 * w);
    if (w * 64 + 64 > size)
      word = w * 64 >= size ? 0 : word & ((std::uint64_t{1} << (size % 64)) - 1);
    words_[group * group_words + w] = word;
  }
  recount(group);
}

void block_bitmap::recount(std::uint64_t group) {
  std::uint64_t used_count = 0;
  for (std::uint64_t w = 0; w < group_words; ++w)
    used_count += static_cast<std::uint64_t>(std::popcount(words_[group * group_words + w]));
  auto& info = groups_[group];
  free_count_ -= info.free_count;
  info.free_count = static_cast<std::uint32_t>(group_size(group) - used_count);
  info.gap_max = info.free_count;
  free_count_ += info.free_count;
}

void block_bitmap::copy_group(std::uint64_t group, std::span<std::byte> body) const {
  TROUPE_ASSERT(body.size() == block_format::page_body_bytes);
  for (std::uint64_t w = 0; w < group_words; ++w)
    store_le(body.data() + 8 * w, words_[group * group_words + w]);
}

} // namespace troupe
