#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

using byte_vector = std::vector<std::byte>;
using byte_view = std::span<const std::byte>;

inline byte_view as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(byte_view bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A read-only window into bytes that several owners share: a stripe unit on its way from
/// the wire to a drive is one of these, never a copy. Cheap to copy; the bytes live as long as
/// any window. Thread-safe as far as nobody writes through another path.
class shared_bytes {
public:
  shared_bytes() = default;
  /// Takes ownership of a vector.
  explicit shared_bytes(byte_vector bytes)
    : owner_(std::make_shared<byte_vector>(std::move(bytes))) {
    view_ = *std::static_pointer_cast<const byte_vector>(owner_);
  }
  /// Takes ownership of a string.
  explicit shared_bytes(std::string text) {
    auto keep = std::make_shared<std::string>(std::move(text));
    view_ = as_bytes(*keep);
    owner_ = std::move(keep);
  }
  /// A window `view` into memory that `owner` keeps alive.
  shared_bytes(std::shared_ptr<const void> owner, byte_view view)
    : owner_(std::move(owner)), view_(view) {}

  byte_view view() const { return view_; }
  const std::byte* data() const { return view_.data(); }
  std::size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }
  /// The window [offset, offset + count) of this one; must lie inside.
  shared_bytes slice(std::size_t offset, std::size_t count) const {
    return {owner_, view_.subspan(offset, count)};
  }

private:
  std::shared_ptr<const void> owner_;
  byte_view view_;
};

} // namespace troupe
