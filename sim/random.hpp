#pragma once

#include <cstdint>

namespace troupe {

/// The only randomness of a simulation: the same seed gives the same numbers on every machine.
/// Source: splitmix64.
class random_source {
public:
  explicit random_source(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  /// In [0, end); 0 if end is 0.
  std::uint64_t below(std::uint64_t end) { return end == 0 ? 0 : next() % end; }
  /// In [first, last].
  std::uint64_t between(std::uint64_t first, std::uint64_t last) {
    return first + below(last - first + 1);
  }
  /// True `per_mille` times in a thousand.
  bool chance(std::uint64_t per_mille) { return below(1000) < per_mille; }

private:
  std::uint64_t state_;
};

} // namespace troupe
