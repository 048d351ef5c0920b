#pragma once

#include <cstdint>

namespace troupe {

/// A small seeded generator (splitmix64), the same numbers on every platform: for simulated
/// faults and tests, never for secrets. Not thread-safe.
class random_source {
public:
  explicit random_source(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// A number in [0, limit); limit >= 1. The bias is below limit / 2^64.
  std::uint64_t below(std::uint64_t limit) { return next() % limit; }
  /// True once in `n` on average.
  bool one_in(std::uint64_t n) { return below(n) == 0; }

private:
  std::uint64_t state_;
};

} // namespace troupe
