#pragma once

#include "messages/metadata.hpp"
#include "storage/meta/evaluate.hpp"

namespace troupe::test {

/// Twelve writable drives on six nodes, and stripes over them whose runs never repeat.
class stripe_maker {
public:
  static drive_uuid drive(std::uint8_t i) {
    drive_uuid x;
    x.bytes[15] = static_cast<std::uint8_t>(i + 1);
    return x;
  }
  static std::map<drive_uuid, drive_fact> drives() {
    std::map<drive_uuid, drive_fact> out;
    for (std::uint8_t i = 0; i < 12; ++i)
      out[drive(i)] = {node_id{1u + i / 2}, true};
    return out;
  }
  stripe_layout make(std::uint8_t n, std::uint8_t m, std::uint32_t blocks = unit_blocks) {
    stripe_layout s;
    s.shape = {n, m, 2};
    s.unit_blocks = blocks;
    for (std::uint8_t i = 0; i < n + m; ++i) {
      ++births_;
      s.units.push_back(
        {{drive(static_cast<std::uint8_t>(i % 12)), births_ * 100, blocks, birth{births_}},
         static_cast<std::uint32_t>(births_ * 7)});
    }
    return s;
  }

private:
  std::uint64_t births_ = 0;
};

/// One stripe that holds [offset, offset + bytes) of a file.
inline op_commit_write commit_of(stripe_maker& maker, lin id, std::uint64_t offset,
                                 std::uint64_t bytes) {
  op_commit_write op;
  op.id = id;
  auto blocks = (bytes + block_bytes - 1) / block_bytes;
  std::uint8_t n = blocks <= unit_blocks ? 1 : 8;
  auto per_unit = static_cast<std::uint32_t>((blocks + n - 1) / n);
  op.stripes.push_back(maker.make(n, 2, per_unit));
  op.extents.push_back({offset, blocks * block_bytes, 0, 0});
  op.size_at_least = offset + bytes;
  return op;
}

} // namespace troupe::test
