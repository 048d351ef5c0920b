#include "storage/base/held_file.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <cstring>

namespace troupe {

namespace {

using page_array = std::array<std::byte, held_page_bytes>;

/// Stands in for the medium of a file that has no name there yet: only pages that are not zero.
class unnamed_file final : public file {
public:
  expected<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) override {
    if (offset >= length_)
      return std::size_t{0};
    into =
      into.first(static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), length_ - offset)));
    std::fill(into.begin(), into.end(), std::byte{0});
    for (auto it = pages_.lower_bound(offset / held_page_bytes);
         it != pages_.end() && it->first * held_page_bytes < offset + into.size(); ++it) {
      auto begin = std::max(offset, it->first * held_page_bytes);
      auto end = std::min(offset + into.size(), (it->first + 1) * held_page_bytes);
      std::memcpy(into.data() + (begin - offset), it->second.data() + begin % held_page_bytes,
                  end - begin);
    }
    return into.size();
  }
  expected<void> write_at(std::uint64_t offset, byte_view from) override {
    length_ = std::max(length_, offset + from.size());
    while (!from.empty()) {
      auto in_page = offset % held_page_bytes;
      auto piece = from.first(
        static_cast<std::size_t>(std::min<std::uint64_t>(from.size(), held_page_bytes - in_page)));
      auto at = pages_.find(offset / held_page_bytes);
      bool zeros =
        std::all_of(piece.begin(), piece.end(), [](std::byte b) { return b == std::byte{0}; });
      if (at == pages_.end() && !zeros)
        at = pages_.emplace(offset / held_page_bytes, page_array{}).first;
      if (at != pages_.end())
        std::memcpy(at->second.data() + in_page, piece.data(), piece.size());
      offset += piece.size();
      from = from.subspan(piece.size());
    }
    return {};
  }
  expected<void> sync() override { return {}; }
  expected<void> preallocate(std::uint64_t bytes) override {
    length_ = std::max(length_, bytes);
    return {};
  }
  expected<void> truncate(std::uint64_t bytes) override {
    pages_.erase(pages_.lower_bound((bytes + held_page_bytes - 1) / held_page_bytes), pages_.end());
    if (auto last = pages_.find(bytes / held_page_bytes); last != pages_.end())
      std::fill(last->second.begin() + static_cast<std::ptrdiff_t>(bytes % held_page_bytes),
                last->second.end(), std::byte{0});
    length_ = bytes;
    return {};
  }
  expected<std::uint64_t> size() override { return length_; }

private:
  std::map<std::uint64_t, page_array> pages_;
  std::uint64_t length_ = 0;
};

} // namespace

void held_read::complete(std::uint64_t offset, std::span<std::byte> into, std::size_t got) const {
  std::fill(into.begin() + static_cast<std::ptrdiff_t>(std::min(got, bytes)),
            into.begin() + static_cast<std::ptrdiff_t>(bytes), std::byte{0});
  for (const auto& [index, page] : pages) {
    auto begin = std::max(offset, index * held_page_bytes);
    auto end = std::min(offset + bytes, (index + 1) * held_page_bytes);
    std::memcpy(into.data() + (begin - offset), page->data() + begin % held_page_bytes,
                end - begin);
  }
}

held_file::held_file(std::unique_ptr<file> medium, std::uint64_t medium_bytes,
                     std::uint32_t keep_one_in, std::uint64_t seed)
  : medium_(std::move(medium)), named_(medium_ != nullptr), length_(medium_bytes),
    medium_length_(medium_bytes), floor_(medium_bytes), keep_one_in_(keep_one_in), random_(seed) {
  if (!named_)
    medium_ = std::make_unique<unnamed_file>();
}

held_file::~held_file() = default;

error held_file::poisoned() const {
  return {errc::io_error, "an earlier sync of this file failed", trp::drive_failed};
}

held_read held_file::plan(std::uint64_t offset, std::size_t bytes) const {
  held_read out;
  if (offset >= length_)
    return out;
  out.bytes = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, length_ - offset));
  auto end = offset + out.bytes;
  if (offset < floor_)
    out.medium_bytes = static_cast<std::size_t>(std::min(end, floor_) - offset);
  for (auto it = pages_.lower_bound(offset / held_page_bytes);
       it != pages_.end() && it->first * held_page_bytes < end; ++it)
    out.pages.emplace_back(*it);
  return out;
}

held_read held_file::plan_read(std::uint64_t offset, std::size_t bytes) const {
  std::lock_guard lock{mutex_};
  return plan(offset, bytes);
}

expected<std::size_t> held_file::read_locked(std::uint64_t offset,
                                             std::span<std::byte> into) const {
  auto how = plan(offset, into.size());
  std::size_t got = 0;
  if (how.medium_bytes > 0) {
    auto read = medium_->read_at(offset, into.first(how.medium_bytes));
    if (!read)
      return read;
    got = *read;
  }
  how.complete(offset, into, got);
  return how.bytes;
}

expected<std::size_t> held_file::read(std::uint64_t offset, std::span<std::byte> into) {
  std::lock_guard lock{mutex_};
  return read_locked(offset, into);
}

expected<void> held_file::write(std::uint64_t offset, byte_view from) {
  std::lock_guard lock{mutex_};
  if (failed_)
    return poisoned();
  if (from.empty())
    return {};
  auto first = offset / held_page_bytes;
  auto end = offset + from.size();
  for (auto index = first; index * held_page_bytes < end; ++index) {
    auto page_begin = index * held_page_bytes;
    auto page = std::make_shared<page_array>();
    auto begin = std::max(offset, page_begin);
    auto piece = from.subspan(begin - offset, std::min(end, page_begin + held_page_bytes) - begin);
    if (piece.size() < held_page_bytes)
      if (auto old = read_locked(page_begin, *page); !old)
        return old.error();
    std::memcpy(page->data() + (begin - page_begin), piece.data(), piece.size());
    pages_[index] = std::move(page);
  }
  length_ = std::max(length_, end);
  if (keep_one_in_ == 0)
    return {};
  for (auto index = first; index * held_page_bytes < end; ++index) {
    if (!random_.one_in(keep_one_in_))
      continue;
    auto begin = index * held_page_bytes;
    auto bytes = static_cast<std::size_t>(std::min(held_page_bytes, length_ - begin));
    // That it does not fit is told by the sync.
    if (medium_->write_at(begin, byte_view{*pages_.at(index)}.first(bytes)))
      medium_length_ = std::max(medium_length_, begin + bytes);
  }
  return {};
}

/// The medium gets the length that the file has.
expected<void> held_file::settle_length() {
  if (floor_ < medium_length_) {
    if (auto cut = medium_->truncate(floor_); !cut)
      return cut;
    medium_length_ = floor_;
    if (reserved_ > floor_)
      if (auto again = medium_->preallocate(reserved_); !again)
        return again;
    medium_length_ = std::max(medium_length_, reserved_);
  }
  if (medium_length_ != length_) {
    if (auto resized = medium_->truncate(length_); !resized)
      return resized;
    medium_length_ = length_;
  }
  floor_ = length_;
  return {};
}

held_flush
held_file::collect(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& ranges) const {
  held_flush out;
  auto wanted = [&](std::uint64_t index) {
    return ranges.empty() || std::any_of(ranges.begin(), ranges.end(), [&](const auto& r) {
             return index * held_page_bytes < r.second && r.first < (index + 1) * held_page_bytes;
           });
  };
  for (const auto& page : pages_)
    if (wanted(page.first))
      out.pages.emplace_back(page);
  for (std::size_t i = 0; i < out.pages.size();) {
    auto j = i + 1;
    while (j < out.pages.size() && out.pages[j].first == out.pages[j - 1].first + 1)
      ++j;
    auto begin = out.pages[i].first * held_page_bytes;
    auto end = std::min(length_, (out.pages[j - 1].first + 1) * held_page_bytes);
    byte_vector bytes(end - begin);
    for (auto at = begin; i < j; ++i, at += held_page_bytes)
      std::memcpy(bytes.data() + (at - begin), out.pages[i].second->data(),
                  std::min(held_page_bytes, end - at));
    out.runs.push_back({begin, shared_bytes{std::move(bytes)}});
  }
  return out;
}

expected<held_flush>
held_file::begin_flush(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& ranges) {
  std::lock_guard lock{mutex_};
  TROUPE_ASSERT(!flushing_);
  if (failed_)
    return poisoned();
  // Pages that were cut off and written again lie over a medium that still has the old end: the
  // cut comes first. Nobody but this file knows that the others are not synced.
  if (auto settled = settle_length(); !settled) {
    failed_ = true;
    return settled.error();
  }
  flushing_ = true;
  return collect(ranges);
}

void held_file::end_flush(const held_flush& flushed, bool done) {
  std::lock_guard lock{mutex_};
  TROUPE_ASSERT(flushing_);
  flushing_ = false;
  if (done) {
    for (const auto& [index, page] : flushed.pages)
      if (auto it = pages_.find(index); it != pages_.end() && it->second == page)
        pages_.erase(it); // else written again meanwhile
  } else {
    failed_ = true;
  }
  flushed_.notify_all();
}

expected<void> held_file::sync() {
  std::unique_lock lock{mutex_};
  flushed_.wait(lock, [this] { return !flushing_; });
  if (failed_)
    return poisoned();
  auto done = settle_length();
  if (done)
    for (const auto& run : collect({}).runs)
      if (done = medium_->write_at(run.offset, run.bytes.view()); !done)
        break;
  if (done)
    done = medium_->sync();
  if (!done) {
    failed_ = true;
    return done;
  }
  pages_.clear();
  return {};
}

expected<void> held_file::preallocate(std::uint64_t bytes) {
  std::lock_guard lock{mutex_};
  if (failed_)
    return poisoned();
  if (auto room = medium_->preallocate(bytes); !room)
    return room;
  reserved_ = std::max(reserved_, bytes);
  bool whole = floor_ == medium_length_;
  medium_length_ = std::max(medium_length_, bytes);
  if (whole)
    floor_ = medium_length_;
  length_ = std::max(length_, bytes);
  return {};
}

expected<void> held_file::truncate(std::uint64_t bytes) {
  std::lock_guard lock{mutex_};
  if (failed_)
    return poisoned();
  pages_.erase(pages_.lower_bound((bytes + held_page_bytes - 1) / held_page_bytes), pages_.end());
  if (auto last = pages_.find(bytes / held_page_bytes); last != pages_.end()) {
    auto cut = std::make_shared<page_array>(*last->second);
    std::fill(cut->begin() + static_cast<std::ptrdiff_t>(bytes % held_page_bytes), cut->end(),
              std::byte{0});
    last->second = std::move(cut);
  }
  length_ = bytes;
  floor_ = std::min(floor_, bytes);
  reserved_ = std::min(reserved_, bytes);
  return {};
}

std::uint64_t held_file::size() const {
  std::lock_guard lock{mutex_};
  return length_;
}

int held_file::descriptor() const {
  std::lock_guard lock{mutex_};
  return named_ ? medium_->descriptor() : -1;
}

expected<void> held_file::move_to(std::unique_ptr<file> medium) {
  std::lock_guard lock{mutex_};
  TROUPE_ASSERT(!named_ && !flushing_);
  byte_vector buffer(256 * held_page_bytes);
  for (std::uint64_t at = 0; at < medium_length_;) {
    auto got = medium_->read_at(at, buffer);
    if (!got)
      return got.error();
    if (auto put = medium->write_at(at, byte_view{buffer}.first(*got)); !put)
      return put;
    at += *got;
  }
  if (auto synced = medium->sync(); !synced)
    return synced;
  medium_ = std::move(medium);
  named_ = true;
  return {};
}

bool held_file::clean() const {
  std::lock_guard lock{mutex_};
  return named_ && !flushing_ && pages_.empty() && length_ == medium_length_ && floor_ == length_;
}

std::uint64_t held_file::unsynced_bytes() const {
  std::lock_guard lock{mutex_};
  return pages_.size() * held_page_bytes;
}

} // namespace troupe
