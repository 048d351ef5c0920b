#pragma once

#include "messages/bytes.hpp"
#include "messages/error.hpp"
#include "storage/base/coding.hpp"

#include <array>
#include <map>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace troupe {

/// How messages become bytes between processes: every type with an `inspect` over its fields,
/// numbers little-endian, sequences with a 32-bit count, no names and no padding. For messages
/// only; what lies on disk has an explicit `x_format.hpp`. Both sides have agreed on a protocol
/// version in the handshake.
///
/// `shared_bytes` are not copied into the body: the body holds their length, and the bytes follow
/// the body as *bulk*, in order. So a stripe unit goes from its buffer to the socket by
/// scatter/gather, and on the other side becomes a window into the received frame.
class wire_writer {
public:
  using result_type = void;

  template <class... Ts>
  void operator()(Ts&... fields) {
    (apply(fields), ...);
  }

  byte_vector body;               ///< The coded fields.
  std::vector<shared_bytes> bulk; ///< To send behind the body, in this order.

private:
  template <class T>
  void apply(T& x) {
    if constexpr (std::is_same_v<T, bool>)
      out_.put(static_cast<std::uint8_t>(x ? 1 : 0));
    else if constexpr (std::is_enum_v<T>)
      out_.put(static_cast<std::make_unsigned_t<std::underlying_type_t<T>>>(x));
    else if constexpr (std::is_integral_v<T>)
      out_.put(static_cast<std::make_unsigned_t<T>>(x));
    else
      inspect(*this, x);
  }
  void count(std::size_t n) { out_.put(static_cast<std::uint32_t>(n)); }

  friend void inspect(wire_writer& f, std::byte& x) { f.out_.put(static_cast<std::uint8_t>(x)); }
  friend void inspect(wire_writer& f, std::string& x) { f.out_.put_text(x); }
  friend void inspect(wire_writer& f, byte_vector& x) { f.out_.put_bytes(x); }
  friend void inspect(wire_writer& f, shared_bytes& x) {
    f.count(x.size());
    if (!x.empty())
      f.bulk.push_back(x);
  }
  template <class T>
  friend void inspect(wire_writer& f, std::vector<T>& x) {
    f.count(x.size());
    for (auto& e : x)
      f.apply(e);
  }
  template <class T, std::size_t N>
  friend void inspect(wire_writer& f, std::array<T, N>& x) {
    for (auto& e : x)
      f.apply(e);
  }
  template <class K, class V>
  friend void inspect(wire_writer& f, std::map<K, V>& x) {
    f.count(x.size());
    for (auto& [k, v] : x) {
      f.apply(const_cast<K&>(k));
      f.apply(v);
    }
  }
  template <class K>
  friend void inspect(wire_writer& f, std::set<K>& x) {
    f.count(x.size());
    for (auto& k : x)
      f.apply(const_cast<K&>(k));
  }
  template <class A, class B>
  friend void inspect(wire_writer& f, std::pair<A, B>& x) {
    f(x.first, x.second);
  }
  template <class T>
  friend void inspect(wire_writer& f, std::optional<T>& x) {
    bool there = x.has_value();
    f.apply(there);
    if (there)
      f.apply(*x);
  }
  template <class... Ts>
  friend void inspect(wire_writer& f, std::variant<Ts...>& x) {
    static_assert(sizeof...(Ts) < 256);
    auto which = static_cast<std::uint8_t>(x.index());
    f.apply(which);
    std::visit([&](auto& alternative) { f.apply(alternative); }, x);
  }

  byte_writer out_{body};
};

/// Reads what `wire_writer` wrote, from bytes that nobody trusts. A count or length beyond what
/// the input could hold, an unknown variant index, a missing or a left-over byte make `ok()`
/// false; the object is then half-filled and must be dropped.
class wire_reader {
public:
  using result_type = void;

  /// Windows of `bulk` are handed out to the `shared_bytes` fields.
  wire_reader(byte_view body, shared_bytes bulk) : in_(body), bulk_(std::move(bulk)) {}

  template <class... Ts>
  void operator()(Ts&... fields) {
    (apply(fields), ...);
  }

  bool ok() const { return in_.ok(); }
  /// True if body and bulk were read to their ends and nothing was missing.
  bool done() const { return in_.done() && bulk_used_ == bulk_.size(); }

private:
  template <class T>
  void apply(T& x) {
    if constexpr (std::is_same_v<T, bool>)
      x = in_.get<std::uint8_t>() != 0;
    else if constexpr (std::is_enum_v<T>)
      x = static_cast<T>(in_.get<std::make_unsigned_t<std::underlying_type_t<T>>>());
    else if constexpr (std::is_integral_v<T>)
      x = static_cast<T>(in_.get<std::make_unsigned_t<T>>());
    else
      inspect(*this, x);
  }
  /// Every element takes at least one byte of body, so a count is bounded by what is left.
  std::size_t count() {
    std::size_t n = in_.get<std::uint32_t>();
    if (n > in_.left()) {
      in_.fail();
      return 0;
    }
    return n;
  }

  friend void inspect(wire_reader& f, std::byte& x) {
    x = static_cast<std::byte>(f.in_.get<std::uint8_t>());
  }
  friend void inspect(wire_reader& f, std::string& x) { x = f.in_.get_text(); }
  friend void inspect(wire_reader& f, byte_vector& x) {
    auto bytes = f.in_.get_bytes();
    x.assign(bytes.begin(), bytes.end());
  }
  friend void inspect(wire_reader& f, shared_bytes& x) {
    std::size_t n = f.in_.get<std::uint32_t>();
    if (!f.in_.ok() || n > f.bulk_.size() - f.bulk_used_) {
      f.in_.fail();
      x = {};
      return;
    }
    x = f.bulk_.slice(f.bulk_used_, n);
    f.bulk_used_ += n;
  }
  template <class T>
  friend void inspect(wire_reader& f, std::vector<T>& x) {
    auto n = f.count();
    x.clear();
    for (std::size_t i = 0; i < n && f.ok(); ++i)
      f.apply(x.emplace_back());
  }
  template <class T, std::size_t N>
  friend void inspect(wire_reader& f, std::array<T, N>& x) {
    for (auto& e : x)
      f.apply(e);
  }
  template <class K, class V>
  friend void inspect(wire_reader& f, std::map<K, V>& x) {
    auto n = f.count();
    x.clear();
    for (std::size_t i = 0; i < n && f.ok(); ++i) {
      K k{};
      f.apply(k);
      f.apply(x[std::move(k)]);
    }
  }
  template <class K>
  friend void inspect(wire_reader& f, std::set<K>& x) {
    auto n = f.count();
    x.clear();
    for (std::size_t i = 0; i < n && f.ok(); ++i) {
      K k{};
      f.apply(k);
      x.insert(std::move(k));
    }
  }
  template <class A, class B>
  friend void inspect(wire_reader& f, std::pair<A, B>& x) {
    f(x.first, x.second);
  }
  template <class T>
  friend void inspect(wire_reader& f, std::optional<T>& x) {
    bool there = false;
    f.apply(there);
    x.reset();
    if (there && f.ok())
      f.apply(x.emplace());
  }
  template <class... Ts>
  friend void inspect(wire_reader& f, std::variant<Ts...>& x) {
    std::uint8_t which = 0;
    f.apply(which);
    if (which >= sizeof...(Ts)) {
      f.in_.fail();
      return;
    }
    f.emplace_alternative<0>(which, x);
    std::visit([&](auto& alternative) { f.apply(alternative); }, x);
  }
  template <std::size_t I, class... Ts>
  void emplace_alternative(std::size_t which, std::variant<Ts...>& x) {
    if constexpr (I < sizeof...(Ts)) {
      if (which == I)
        x.template emplace<I>();
      else
        emplace_alternative<I + 1>(which, x);
    }
  }

  byte_reader in_;
  shared_bytes bulk_;
  std::size_t bulk_used_ = 0;
};

/// A coded message: `body`, then the bytes of `bulk` in order.
struct wire_message {
  byte_vector body;
  std::vector<shared_bytes> bulk;
  std::size_t bulk_bytes() const {
    std::size_t sum = 0;
    for (const auto& b : bulk)
      sum += b.size();
    return sum;
  }
};

/// Codes one message. The windows in `bulk` share the message's bytes.
template <class T>
wire_message wire_encode(const T& message) {
  wire_writer writer;
  writer(const_cast<T&>(message)); // inspect takes a reference; a writer only reads
  return {std::move(writer.body), std::move(writer.bulk)};
}

/// Reads one message that fills body and bulk exactly.
/// @returns errc::corrupt if it does not.
template <class T>
expected<T> wire_decode(byte_view body, shared_bytes bulk = {}) {
  wire_reader reader{body, std::move(bulk)};
  T message{};
  reader(message);
  if (!reader.done())
    return error{errc::corrupt, "message of " + std::to_string(body.size()) + " bytes"};
  return message;
}

} // namespace troupe
