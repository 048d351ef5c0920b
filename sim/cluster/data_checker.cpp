#include "sim/cluster/data_checker.hpp"

#include "messages/units.hpp"
#include "storage/base/assert.hpp"

#include <algorithm>
#include <set>

namespace troupe {

data_checker::file_number data_checker::add_file(std::uint64_t cell_bytes, std::uint64_t cells) {
  file_info f{cell_bytes, cells, {}, {}, {}};
  std::set<std::uint64_t> edges;
  for (std::uint64_t cell = 0; cell <= cells; ++cell)
    edges.insert(cell * cell_bytes);
  for (std::uint64_t at = 0; at < cells * cell_bytes; at += block_bytes)
    edges.insert(at);
  f.edges.assign(edges.begin(), edges.end());
  f.seen_here.resize(f.edges.size() - 1);
  files_.push_back(std::move(f));
  return files_.size() - 1;
}

data_checker::op_number data_checker::add(op x) {
  x.begin = now();
  ops_.push_back(x);
  return ops_.size() - 1;
}

data_checker::op_number data_checker::write_begins(file_number f, std::uint32_t client,
                                                   std::uint64_t first, std::uint64_t end) {
  auto cell = files_[f].cell_bytes;
  auto number = add({kind::write, f, client, first * cell, end * cell, 0});
  by_stamp_[stamp_of(number)] = number;
  return number;
}

byte_vector data_checker::bytes_of(op_number write) const {
  const auto& w = ops_[write];
  byte_vector out(w.end_byte - w.first_byte);
  auto stamp = stamp_of(write);
  for (std::uint64_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::byte>(stamp >> (w.first_byte + i) % 8 * 8);
  return out;
}

data_checker::op_number data_checker::truncate_begins(file_number f, std::uint32_t client,
                                                      std::uint64_t cell) {
  const auto& info = files_[f];
  return add({kind::truncate, f, client, cell * info.cell_bytes, info.edges.back(), 0});
}

data_checker::op_number data_checker::read_begins(file_number f, std::uint32_t client,
                                                  std::uint64_t first, std::uint64_t end) {
  auto cell = files_[f].cell_bytes;
  return add({kind::read, f, client, first * cell, end * cell, 0});
}

data_checker::op_number data_checker::fsync_begins(file_number f, std::uint32_t client) {
  return add({kind::fsync, f, client, 0, files_[f].edges.back(), 0});
}

void data_checker::done(op_number number) {
  ops_[number].end = now();
}

/// Takes the stamps out of what was read. What was not there counts as zeros.
void data_checker::done(op_number number, const byte_vector& bytes) {
  auto& r = ops_[number];
  r.end = now();
  auto& f = files_[r.file];
  for (std::size_t piece = 0; piece + 1 < f.edges.size(); ++piece) {
    auto from = f.edges[piece];
    auto to = f.edges[piece + 1];
    if (from < r.first_byte || to > r.end_byte)
      continue;
    auto byte_at = [&](std::uint64_t at) {
      auto i = at - r.first_byte;
      return i < bytes.size() ? static_cast<std::uint64_t>(bytes[i]) : 0;
    };
    std::uint64_t stamp = 0;
    for (std::uint64_t at = from; at < from + 8; ++at)
      stamp |= byte_at(at) << at % 8 * 8;
    for (auto at = from; at < to; ++at)
      if (byte_at(at) != (stamp >> at % 8 * 8 & 0xff))
        return complain(r.file, piece, "is a mixture of writes, at byte " + std::to_string(at));
    if (stamp != 0 && !by_stamp_.contains(stamp))
      return complain(r.file, piece, "holds what nobody wrote");
    f.seen_here[piece].push_back({number, stamp});
    ++world_.verdict.reads_checked;
  }
}

void data_checker::unsure(op_number number) {
  auto& x = ops_[number];
  x.end = never;
  if (x.what == kind::write || x.what == kind::fsync)
    lost(x.client, x.file);
}

void data_checker::lost(std::uint32_t client, file_number f) {
  files_[f].losses[client].push_back(now());
}

/// Not covered by an fsync before the client lost something.
bool data_checker::may_be_lost(op_number number) const {
  const auto& w = ops_[number];
  const auto& f = files_[w.file];
  auto it = f.losses.find(w.client);
  std::uint64_t loss = never;
  if (it != f.losses.end())
    for (auto when : it->second)
      if (when >= w.begin)
        loss = std::min(loss, when);
  if (w.end == never)
    return true;
  if (loss == never)
    return false;
  for (const auto& x : ops_)
    if (x.what == kind::fsync && x.file == w.file && x.client == w.client && x.end != never
        && x.begin >= w.end && x.end <= loss)
      return false;
  return true;
}

bool data_checker::lapsed(std::uint32_t client, file_number f, std::uint64_t from,
                          std::uint64_t to) const {
  auto it = grants_.find({client, f});
  if (it == grants_.end())
    return true;
  // Between the end of what one grant gave and the next one.
  for (std::size_t i = 0; i < it->second.size(); ++i) {
    if (it->second[i].given_back)
      continue;
    auto ran_out = it->second[i].sent + lease_ns_;
    auto next = i + 1 < it->second.size() ? it->second[i + 1].heard : never;
    if (ran_out < next && ran_out <= to && next >= from)
      return true;
  }
  return false;
}

void data_checker::find_ends() {
  ends_.clear();
  for (const auto& w : ops_) {
    auto end = w.end;
    if (w.what == kind::write && end != never) {
      auto stored = never;
      for (const auto& x : ops_)
        if (x.what == kind::fsync && x.file == w.file && x.client == w.client && x.end != never
            && x.begin >= w.end)
          stored = std::min(stored, x.end);
      if (lapsed(w.client, w.file, w.begin, stored))
        end = stored;
    }
    ends_.push_back(end);
  }
}

void data_checker::complain(file_number f, std::size_t piece, const std::string& why) {
  world_.violate("file " + std::to_string(f) + " bytes " + std::to_string(files_[f].edges[piece])
                 + " to " + std::to_string(files_[f].edges[piece + 1]) + ": " + why);
}

/// Was there a moment in this read at which zeros could be there? If not: the write that forbids
/// it.
std::optional<data_checker::op_number>
data_checker::write_over_zeros(file_number f, std::uint64_t first_byte, const op& read) const {
  // The zeros that could be the newest: those of the file's beginning, or of a cut.
  auto overwritten = [&](std::uint64_t zeros_end) -> std::optional<op_number> {
    for (op_number i = 0; i < ops_.size(); ++i) {
      const auto& w = ops_[i];
      if (w.what == kind::write && w.file == f && w.first_byte <= first_byte
          && first_byte < w.end_byte && ends_[i] != never && zeros_end < w.begin
          && ends_[i] < read.begin && !may_be_lost(i))
        return i;
    }
    return std::nullopt;
  };
  auto forbids = overwritten(0);
  if (!forbids)
    return std::nullopt;
  for (const auto& t : ops_)
    if (t.what == kind::truncate && t.file == f && t.first_byte <= first_byte && t.begin < read.end
        && (t.end == never || !overwritten(t.end)))
      return std::nullopt;
  return forbids;
}

void data_checker::judge_piece(file_number f, std::size_t piece) {
  const auto first_byte = files_[f].edges[piece];
  const auto& reads = files_[f].seen_here[piece];
  auto describe_op = [&](op_number i) {
    const auto& x = ops_[i];
    return "client " + std::to_string(x.client) + " at " + std::to_string(x.begin / 1'000'000)
           + (x.end == never ? " (unsure)" : " to " + std::to_string(x.end / 1'000'000)) + " ms";
  };
  std::vector<zone> zones;
  for (op_number i = 0; i < ops_.size(); ++i) {
    const auto& w = ops_[i];
    bool cut = w.what == kind::truncate;
    if ((w.what != kind::write && !cut) || w.file != f || first_byte < w.first_byte
        || first_byte >= w.end_byte)
      continue;
    bool seen_by_others = false;
    if (!cut)
      for (const auto& s : reads)
        seen_by_others =
          seen_by_others || (s.stamp == stamp_of(i) && ops_[s.read].client != w.client);
    if (cut ? w.end == never : may_be_lost(i) && !seen_by_others)
      continue;
    std::uint64_t first_end = ends_[i];
    std::uint64_t last_begin = w.begin;
    // What its own client reads of it shows only that it is in the buffer.
    bool may_come_late = ends_[i] != w.end || may_be_lost(i);
    if (!cut)
      for (const auto& s : reads) {
        const auto& r = ops_[s.read];
        if (s.stamp != stamp_of(i) || (may_come_late && r.client == w.client))
          continue;
        if (r.end < w.begin)
          return complain(f, piece, "was read before it was written");
        first_end = std::min(first_end, r.end);
        last_begin = std::max(last_begin, r.begin);
      }
    bool forward = first_end < last_begin;
    zones.push_back({i, std::min(first_end, last_begin), std::max(first_end, last_begin), forward});
  }
  for (const auto& a : zones)
    for (const auto& b : zones) {
      if (!a.forward || a.write == b.write)
        continue;
      bool wrong = b.forward ? a.from < b.to && b.from < a.to && a.write < b.write
                             : a.from < b.from && b.to < a.to;
      if (!wrong)
        continue;
      std::string who;
      for (const auto& s : reads)
        if (s.stamp == stamp_of(a.write) && ops_[s.read].begin == a.to)
          who = describe_op(s.read);
      return complain(f, piece,
                      "the write of " + describe_op(a.write) + " was still read by " + who
                        + ", although " + describe_op(b.write)
                        + (ops_[b.write].what == kind::truncate ? " had cut" : " had written")
                        + " in between");
    }
  for (const auto& s : reads)
    if (s.stamp == 0)
      if (auto w = write_over_zeros(f, first_byte, ops_[s.read]))
        return complain(f, piece,
                        "zeros were read by " + describe_op(s.read) + " although " + describe_op(*w)
                          + " had written, in effect by " + std::to_string(ends_[*w] / 1'000'000)
                          + " ms");
}

void data_checker::judge() {
  find_ends();
  for (file_number f = 0; f < files_.size(); ++f)
    for (std::size_t piece = 0; piece + 1 < files_[f].edges.size(); ++piece)
      judge_piece(f, piece);
}

} // namespace troupe
