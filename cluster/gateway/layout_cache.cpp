#include "cluster/gateway/layout_cache.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace troupe {

void layout_cache::clear() {
  attributes_.reset();
  inline_data_.reset();
  extents_.clear();
  covered_.clear();
}

void layout_cache::insert(std::uint64_t offset, std::uint64_t bytes, layout_is answer) {
  if (attributes_ && answer.attributes.change_count < attributes_->change_count)
    return;
  bool same = attributes_ && attributes_->change_count == answer.attributes.change_count;
  if (!same || extents_.size() + answer.extents.size() > extents_max_)
    clear();
  attributes_ = answer.attributes;
  if (answer.inline_data)
    inline_data_ = std::move(answer.inline_data);
  std::map<stripe_id, stripe_ptr> stripes;
  for (auto& s : answer.stripes)
    stripes[s.id] = std::make_shared<const stripe_info>(std::move(s));
  auto end = offset + bytes;
  for (const auto& x : answer.extents) {
    auto stripe = stripes.find(x.stripe);
    if (stripe == stripes.end()) { // a broken answer: as if it ended here
      end = std::min(end, x.file_offset);
      break;
    }
    extents_[x.file_offset] = {x.bytes, stripe->second, x.stripe_offset};
  }
  if (answer.more)
    end = answer.extents.empty()
            ? offset
            : std::min(end, answer.extents.back().file_offset + answer.extents.back().bytes);
  if (end > offset)
    add_covered(offset, end);
}

void layout_cache::add_covered(std::uint64_t from, std::uint64_t to) {
  auto it = covered_.upper_bound(from);
  if (it != covered_.begin() && std::prev(it)->second >= from)
    --it;
  while (it != covered_.end() && it->first <= to) {
    from = std::min(from, it->first);
    to = std::max(to, it->second);
    it = covered_.erase(it);
  }
  covered_[from] = to;
}

bool layout_cache::covers(std::uint64_t offset, std::uint64_t bytes) const {
  if (!attributes_)
    return false;
  if (inline_data_ || bytes == 0)
    return true;
  return covered_until(offset) >= offset + bytes;
}

std::uint64_t layout_cache::covered_until(std::uint64_t offset) const {
  auto it = covered_.upper_bound(offset);
  if (it == covered_.begin())
    return offset;
  return std::max(offset, std::prev(it)->second);
}

std::vector<file_segment> layout_cache::segments(std::uint64_t offset, std::uint64_t bytes) const {
  TROUPE_ASSERT(covers(offset, bytes));
  TROUPE_ASSERT(!inline_data_);
  std::vector<file_segment> out;
  auto end = offset + bytes;
  auto it = extents_.upper_bound(offset);
  if (it != extents_.begin() && std::prev(it)->first + std::prev(it)->second.bytes > offset)
    --it;
  while (offset < end) {
    if (it == extents_.end() || it->first >= end) {
      out.push_back({offset, end - offset, nullptr, 0});
      break;
    }
    if (it->first > offset) {
      out.push_back({offset, it->first - offset, nullptr, 0});
      offset = it->first;
    }
    auto within = offset - it->first;
    auto count = std::min(end, it->first + it->second.bytes) - offset;
    out.push_back({offset, count, it->second.stripe, it->second.stripe_offset + within});
    offset += count;
    ++it;
  }
  return out;
}

} // namespace troupe
