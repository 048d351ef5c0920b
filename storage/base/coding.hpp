#pragma once

#include "messages/bytes.hpp"

#include <concepts>
#include <cstring>

namespace troupe {

/// Little-endian fixed-width coding, for everything on disk and on the wire. The only way in
/// which numbers become bytes.
template <std::unsigned_integral T>
void store_le(std::byte* at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    at[i] = static_cast<std::byte>(value >> (8 * i));
}
template <std::unsigned_integral T>
T load_le(const std::byte* at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value = static_cast<T>(value | static_cast<T>(static_cast<T>(at[i]) << (8 * i)));
  return value;
}

/// Appends fixed-width little-endian fields to a byte vector. Never fails.
class byte_writer {
public:
  explicit byte_writer(byte_vector& out) : out_(out) {}

  template <std::unsigned_integral T>
  byte_writer& put(T value) {
    auto at = out_.size();
    out_.resize(at + sizeof(T));
    store_le(out_.data() + at, value);
    return *this;
  }
  byte_writer& put_i64(std::int64_t value) { return put(static_cast<std::uint64_t>(value)); }
  /// The bytes as they are, without a length.
  byte_writer& put_raw(byte_view bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  /// A 32-bit length, then the bytes.
  byte_writer& put_bytes(byte_view bytes) {
    put(static_cast<std::uint32_t>(bytes.size()));
    return put_raw(bytes);
  }
  byte_writer& put_text(std::string_view text) { return put_bytes(as_bytes(text)); }
  /// Bytes written to the vector so far, whoever wrote them.
  std::size_t size() const { return out_.size(); }

private:
  byte_vector& out_;
};

/// Reads what `byte_writer` wrote, from bytes that nobody trusts. Reading past the end gives
/// zeros and makes `ok()` false for good; check it once at the end.
class byte_reader {
public:
  explicit byte_reader(byte_view in) : in_(in) {}

  template <std::unsigned_integral T>
  T get() {
    if (!take(sizeof(T)))
      return 0;
    return load_le<T>(in_.data() + pos_ - sizeof(T));
  }
  std::int64_t get_i64() { return static_cast<std::int64_t>(get<std::uint64_t>()); }
  /// A window into the input, or an empty one if fewer bytes are left.
  byte_view get_raw(std::size_t count) {
    if (!take(count))
      return {};
    return in_.subspan(pos_ - count, count);
  }
  byte_view get_bytes() { return get_raw(get<std::uint32_t>()); }
  std::string get_text() { return std::string{as_text(get_bytes())}; }

  bool ok() const { return ok_; }
  /// True if everything was read and nothing was missing.
  bool done() const { return ok_ && pos_ == in_.size(); }
  std::size_t left() const { return ok_ ? in_.size() - pos_ : 0; }
  void fail() { ok_ = false; }

private:
  bool take(std::size_t count) {
    if (!ok_ || in_.size() - pos_ < count) {
      ok_ = false;
      return false;
    }
    pos_ += count;
    return true;
  }

  byte_view in_;
  std::size_t pos_ = 0;
  bool ok_ = true;
};

} // namespace troupe
