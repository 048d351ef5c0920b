#include "storage/codec/stripe_codec.hpp"

#include "storage/base/assert.hpp"

#include <isa-l/erasure_code.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

namespace {

constexpr std::uint32_t units_max = 255;
constexpr std::size_t unit_size_max = std::size_t{1} << 30; // ISA-L counts in int
constexpr std::size_t kept_tables_max = 1024;

using gf_bytes = std::vector<unsigned char>;
using unit_set = std::array<bool, units_max>;

/// Expanded multiplication tables: rows of outputs times columns of inputs.
struct coding_tables {
  std::uint32_t inputs = 0;
  std::uint32_t outputs = 0;
  gf_bytes bytes;
};
using tables_ptr = std::shared_ptr<const coding_tables>;

tables_ptr expand(std::uint32_t inputs, std::uint32_t outputs, gf_bytes& rows) {
  auto out = std::make_shared<coding_tables>();
  out->inputs = inputs;
  out->outputs = outputs;
  out->bytes.resize(std::size_t{32} * inputs * outputs);
  ec_init_tables(static_cast<int>(inputs), static_cast<int>(outputs), rows.data(),
                 out->bytes.data());
  return out;
}

/// Identity on top, Cauchy rows below: N+M rows of N.
gf_bytes full_matrix(code_shape shape) {
  auto units = shape.data_units + shape.parity_units;
  gf_bytes rows(std::size_t{units} * shape.data_units);
  gf_gen_cauchy1_matrix(rows.data(), static_cast<int>(units), static_cast<int>(shape.data_units));
  return rows;
}

tables_ptr parity_tables(code_shape shape) {
  auto rows = full_matrix(shape);
  rows.erase(rows.begin(), rows.begin() + shape.data_units * shape.data_units);
  return expand(shape.data_units, shape.parity_units, rows);
}

/// The rows that give each lost unit from the N units at hand.
tables_ptr rebuild_tables(code_shape shape, std::span<const unit_source> have,
                          std::span<const unit_target> lost) {
  std::size_t n = shape.data_units;
  auto all = full_matrix(shape);
  gf_bytes known;
  for (const auto& x : have)
    known.insert(known.end(), all.begin() + x.index * n, all.begin() + (x.index + 1) * n);
  gf_bytes inverse(n * n);
  // Every square part of a Cauchy matrix can be inverted, so a failure is a bug.
  TROUPE_ASSERT(gf_invert_matrix(known.data(), inverse.data(), static_cast<int>(n)) == 0);
  gf_bytes rows(lost.size() * n);
  for (std::size_t r = 0; r < lost.size(); ++r)
    for (std::size_t c = 0; c < n; ++c)
      for (std::size_t i = 0; i < n; ++i)
        rows[r * n + c] = static_cast<unsigned char>(
          rows[r * n + c] ^ gf_mul(all[lost[r].index * n + i], inverse[i * n + c]));
  return expand(shape.data_units, static_cast<std::uint32_t>(lost.size()), rows);
}

/// Tables by what they are for. Full: starts over, which costs a few microseconds per pattern.
class table_cache {
public:
  template <class Make>
  tables_ptr get(const std::string& key, Make make) {
    {
      std::lock_guard lock{mutex_};
      if (auto it = kept_.find(key); it != kept_.end())
        return it->second;
    }
    tables_ptr made = make();
    std::lock_guard lock{mutex_};
    if (kept_.size() >= kept_tables_max)
      kept_.clear();
    return kept_.emplace(key, std::move(made)).first->second;
  }

private:
  std::mutex mutex_;
  std::map<std::string, tables_ptr> kept_;
};

table_cache& cache() {
  static table_cache the_cache;
  return the_cache;
}

/// Bytes N, M, then the indexes in the order of the caller.
std::string key_of(code_shape shape, std::span<const unit_source> have,
                   std::span<const unit_target> lost) {
  std::string key{static_cast<char>(shape.data_units), static_cast<char>(shape.parity_units)};
  for (const auto& x : have)
    key += static_cast<char>(x.index);
  for (const auto& x : lost)
    key += static_cast<char>(x.index);
  return key;
}

/// ISA-L reads its sources through pointers to non-const.
unsigned char* raw(std::span<const std::byte> bytes) {
  return const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
}

void run(const coding_tables& tables, std::size_t size, unsigned char** in, unsigned char** out) {
  ec_encode_data(static_cast<int>(size), static_cast<int>(tables.inputs),
                 static_cast<int>(tables.outputs), const_cast<unsigned char*>(tables.bytes.data()),
                 in, out);
}

error bad(code_shape shape, const std::string& problem) {
  return {errc::invalid_argument, "stripe " + std::to_string(shape.data_units) + "+"
                                    + std::to_string(shape.parity_units) + ": " + problem};
}

expected<void> check_shape(code_shape shape, std::size_t size) {
  if (shape.data_units < 1 || shape.parity_units < 1 || shape.data_units > units_max
      || shape.parity_units > units_max || shape.data_units + shape.parity_units > units_max)
    return bad(shape, "not 1 to 255 units with data and parity");
  if (size < 1 || size > unit_size_max)
    return bad(shape, "units of " + std::to_string(size) + " bytes");
  return {};
}

/// One unit of the call: a valid index that was not used before, and the common size.
expected<void> take(code_shape shape, std::uint32_t index, std::size_t size, std::size_t expected,
                    unit_set& taken) {
  if (index >= shape.data_units + shape.parity_units)
    return bad(shape, "no unit " + std::to_string(index));
  if (std::exchange(taken[index], true))
    return bad(shape, "unit " + std::to_string(index) + " is named twice");
  if (size != expected)
    return bad(shape, "unit " + std::to_string(index) + " has " + std::to_string(size)
                        + " bytes, others have " + std::to_string(expected));
  return {};
}

} // namespace

expected<void> encode_parity(code_shape shape, std::span<const std::span<const std::byte>> data,
                             std::span<const std::span<std::byte>> parity) {
  auto size = data.empty() ? 0 : data.front().size();
  if (auto ok = check_shape(shape, size); !ok)
    return ok;
  if (data.size() != shape.data_units || parity.size() != shape.parity_units)
    return bad(shape, std::to_string(data.size()) + " data and " + std::to_string(parity.size())
                        + " parity units given");
  unit_set taken{};
  std::uint32_t index = 0;
  for (const auto& x : data)
    if (auto ok = take(shape, index++, x.size(), size, taken); !ok)
      return ok;
  for (const auto& x : parity)
    if (auto ok = take(shape, index++, x.size(), size, taken); !ok)
      return ok;
  if (is_mirrored(shape)) {
    for (const auto& x : parity)
      std::memcpy(x.data(), data.front().data(), size);
    return {};
  }
  std::array<unsigned char*, units_max> in;
  std::array<unsigned char*, units_max> out;
  std::transform(data.begin(), data.end(), in.begin(), [](auto x) { return raw(x); });
  std::transform(parity.begin(), parity.end(), out.begin(), [](auto x) { return raw(x); });
  auto tables = cache().get(key_of(shape, {}, {}), [=] { return parity_tables(shape); });
  run(*tables, size, in.data(), out.data());
  return {};
}

expected<void> rebuild_units(code_shape shape, std::span<const unit_source> have,
                             std::span<const unit_target> lost) {
  auto size = have.empty() ? 0 : have.front().bytes.size();
  if (auto ok = check_shape(shape, size); !ok)
    return ok;
  if (have.size() < shape.data_units)
    return bad(shape, "only " + std::to_string(have.size()) + " units at hand");
  if (lost.empty())
    return bad(shape, "nothing to rebuild");
  unit_set taken{};
  for (const auto& x : have)
    if (auto ok = take(shape, x.index, x.bytes.size(), size, taken); !ok)
      return ok;
  for (const auto& x : lost)
    if (auto ok = take(shape, x.index, x.bytes.size(), size, taken); !ok)
      return ok;
  have = have.first(shape.data_units);
  if (is_mirrored(shape)) {
    for (const auto& x : lost)
      std::memcpy(x.bytes.data(), have.front().bytes.data(), size);
    return {};
  }
  std::array<unsigned char*, units_max> in;
  std::array<unsigned char*, units_max> out;
  std::transform(have.begin(), have.end(), in.begin(), [](auto x) { return raw(x.bytes); });
  std::transform(lost.begin(), lost.end(), out.begin(), [](auto x) { return raw(x.bytes); });
  auto tables =
    cache().get(key_of(shape, have, lost), [=] { return rebuild_tables(shape, have, lost); });
  run(*tables, size, in.data(), out.data());
  return {};
}

} // namespace troupe
