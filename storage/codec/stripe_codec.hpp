#pragma once

#include "messages/error.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace troupe {

/// N+M: any M lost units of a stripe can be rebuilt. Units are numbered 0…N-1 (data), then
/// N…N+M-1 (parity).
struct code_shape {
  std::uint32_t data_units = 0;   ///< N
  std::uint32_t parity_units = 0; ///< M
  bool operator==(const code_shape&) const = default;
};

/// A unit, or the same part of every unit, that is at hand. Bytes are borrowed for the call.
struct unit_source {
  std::uint32_t index = 0;
  std::span<const std::byte> bytes;
};
/// A unit, or the same part of it, that is to be computed into `bytes`.
struct unit_target {
  std::uint32_t index = 0;
  std::span<std::byte> bytes;
};

/// True if every parity unit equals the data unit (N = 1): a caller may then send the same bytes
/// M+1 times instead of encoding.
constexpr bool is_mirrored(code_shape shape) {
  return shape.data_units == 1;
}

/// Computes the parity of one stripe with a Cauchy Reed-Solomon code over GF(2^8), polynomial
/// 0x11d: parity unit p is the sum over data units i of inverse((N + p) xor i) * data[i]; with N =
/// 1 it is a copy. The matrix is what is on disk: it never changes.
/// @param shape   1 <= N, 1 <= M, N + M <= 255; fixes the matrix, which is never stored.
/// @param data    N units in stripe order, equally sized, 1 byte to 1 GiB; borrowed for the call.
/// @param parity  M units of that size, written; must not overlap `data`.
/// @returns errc::invalid_argument if a rule above is broken; then nothing was written.
/// Thread-safe. Cost: reads N and writes M units without a copy; tables of 32*N*M bytes are kept
/// per shape. Source: ISA-L `gf_gen_cauchy1_matrix`, `ec_init_tables`, `ec_encode_data`.
expected<void> encode_parity(code_shape shape, std::span<const std::span<const std::byte>> data,
                             std::span<const std::span<std::byte>> parity);

/// Computes lost units, data or parity, from any N others. Coding is bytewise: to read or repair
/// bytes [a, b) of a lost unit, give bytes [a, b) of N others.
/// @param have  at least N different units, equally sized; the first N are read.
/// @param lost  1…M different units, none of them in `have`, of that size; written, must not
///              overlap `have`.
/// @returns errc::invalid_argument if a rule above is broken; then nothing was written.
/// Thread-safe. Cost: reads N units once, whatever the number of lost ones, without a copy. The
/// inverted matrix is kept per pattern of loss, at most 1024 patterns.
expected<void> rebuild_units(code_shape shape, std::span<const unit_source> have,
                             std::span<const unit_target> lost);

} // namespace troupe
