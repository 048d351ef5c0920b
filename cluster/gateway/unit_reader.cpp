#include "cluster/gateway/unit_reader.hpp"

#include "storage/codec/stripe_codec.hpp"
#include "storage/codec/unit_checksum.hpp"

#include <algorithm>

namespace troupe {

procedure<expected<shared_bytes>> unit_reader::read(lin file, stripe_ptr stripe, std::uint32_t unit,
                                                    std::uint32_t first, std::uint32_t count) {
  unit_blocks_key key{stripe->id, unit, first, count};
  if (auto cached = find_cached(key))
    co_return std::move(*cached);
  load_ptr direct;
  if (ctx_.map.readable(stripe->layout.units[unit].run.drive)) {
    direct = begin_load(file, stripe, key);
    auto until = ctx_.in_ms(ctx_.options.read_hedge_ms);
    while (!direct->result && ctx_.now() < until)
      co_await direct->done.wait_until(until);
    if (direct->result && *direct->result)
      co_return **direct->result;
  }
  auto computed = co_await reconstruct(file, stripe, key);
  // A run that is gone is damage only if the rest of its stripe is still there.
  bool failed = direct && direct->result && !*direct->result; // it may have come late, and well
  if (computed && failed && direct->result->error().code == errc::stale)
    note_damage(file, stripe, unit, direct->result->error());
  const auto& home = stripe->layout.units[unit].run.drive;
  if (computed && !direct && ctx_.map.lost(home))
    note_damage(file, stripe, unit, {errc::not_found, "drive " + to_string(home) + " is lost"});
  if (computed || !direct)
    co_return computed;
  while (!direct->result) // it was only late, and the others are worse
    co_await direct->done.wait();
  if (*direct->result)
    co_return **direct->result;
  co_return computed;
}

unit_reader::load_ptr unit_reader::begin_load(lin file, stripe_ptr stripe,
                                              const unit_blocks_key& key) {
  auto it = loads_.find(key);
  if (it != loads_.end())
    return it->second;
  auto out = std::make_shared<unit_load>();
  if (auto cached = find_cached(key)) {
    out->result = std::move(*cached);
    return out;
  }
  loads_.emplace(key, out);
  ctx_.run.start(load(file, std::move(stripe), key, out));
  return out;
}

procedure<void> unit_reader::load(lin file, stripe_ptr stripe, unit_blocks_key key, load_ptr out) {
  const auto& unit = stripe->layout.units[key.unit];
  read_run request{unit.run, key.first, key.count};
  auto call = drives_.begin(unit.run.drive, std::move(request));
  co_await drives_.wait(call, ctx_.in_ms(ctx_.options.drive_timeout_ms));
  drives_.forget(*call);
  if (call->answer)
    out->result = verify(*stripe, key, std::move(*call->answer));
  else
    out->result = error{errc::timeout, "drive " + to_string(unit.run.drive)};
  loads_.erase(key);
  if (*out->result) {
    keep(key, **out->result);
  } else {
    auto code = out->result->error().code;
    if (code == errc::corrupt || code == errc::io_error)
      note_damage(file, stripe, key.unit, out->result->error());
  }
  out->done.wake_all();
}

expected<shared_bytes> unit_reader::verify(const stripe_info& stripe, const unit_blocks_key& key,
                                           expected<drive_answer> answer) const {
  if (!answer)
    return answer.error();
  auto name = "unit " + std::to_string(key.unit) + " on drive "
              + to_string(stripe.layout.units[key.unit].run.drive);
  auto* got = std::get_if<run_data>(&*answer);
  if (!got || got->data.size() != std::size_t{key.count} * block_bytes
      || got->checksums.size() != stripe.layout.unit_blocks)
    return error{errc::corrupt, name + ": another length"};
  if (ctx_.options.planted_unchecked_reads)
    return std::move(got->data);
  if (unit_checksum(got->checksums) != stripe.layout.units[key.unit].checksum)
    return error{errc::corrupt, name + ": not the unit that was written here"};
  auto wanted = std::span{got->checksums}.subspan(key.first, key.count);
  if (auto bad = first_bad_block(got->data.view(), wanted))
    return error{errc::corrupt, name + ": block " + std::to_string(key.first + *bad)};
  return std::move(got->data);
}

procedure<expected<shared_bytes>> unit_reader::reconstruct(lin file, stripe_ptr stripe,
                                                           unit_blocks_key lost) {
  auto g = std::make_shared<gathering>();
  g->file = file;
  g->stripe = stripe;
  g->first = lost.first;
  g->count = lost.count;
  const auto& layout = stripe->layout;
  std::vector<std::uint32_t> order; // what is at hand first, then what can be asked
  for (bool cached : {true, false})
    for (std::uint32_t i = 0; i < layout.units.size(); ++i) {
      if (i == lost.unit
          || cached != find_cached({lost.stripe, i, lost.first, lost.count}).has_value())
        continue;
      if (cached || ctx_.map.readable(layout.units[i].run.drive))
        order.push_back(i);
      else
        ++g->unreachable;
    }
  std::size_t needed = layout.shape.data_units;
  std::size_t next = 0;
  auto start_next = [&] {
    ++g->outstanding;
    ctx_.run.start(gather_one(g, order[next++]));
  };
  while (g->have.size() < needed) {
    while (next < order.size() && g->have.size() + g->outstanding < needed)
      start_next();
    if (g->have.size() >= needed)
      break;
    if (g->outstanding == 0)
      co_return too_few(*g);
    bool woken = co_await g->progress.wait_until(ctx_.in_ms(ctx_.options.read_hedge_ms));
    if (!woken && next < order.size()) // somebody is late: one more than needed
      start_next();
  }
  co_return compute(*g, lost);
}

procedure<void> unit_reader::gather_one(std::shared_ptr<gathering> g, std::uint32_t unit) {
  auto loading = begin_load(g->file, g->stripe, {g->stripe->id, unit, g->first, g->count});
  while (!loading->result)
    co_await loading->done.wait();
  --g->outstanding;
  const auto& result = *loading->result;
  if (result)
    g->have.emplace_back(unit, *result);
  else if (result.error().code == errc::stale || result.error().code == errc::not_found)
    ++g->gone;
  else if (result.error().code == errc::corrupt || result.error().code == errc::io_error)
    ++g->damaged;
  else
    ++g->unreachable;
  g->progress.wake_all();
}

expected<shared_bytes> unit_reader::compute(const gathering& g, const unit_blocks_key& lost) {
  const auto& layout = g.stripe->layout;
  code_shape shape{layout.shape.data_units, layout.shape.parity_units};
  std::vector<unit_source> have;
  for (const auto& [index, bytes] : g.have)
    have.push_back({index, bytes.view()});
  byte_vector out(std::size_t{lost.count} * block_bytes);
  std::vector<unit_target> wanted{{lost.unit, out}};
  auto done = rebuild_units(shape, have, wanted);
  if (!done)
    return done.error();
  bool whole = lost.first == 0 && lost.count == layout.unit_blocks;
  if (whole && unit_checksum(block_checksums(out)) != layout.units[lost.unit].checksum)
    return error{errc::io_error,
                 "unit " + std::to_string(lost.unit) + " came out wrong of the others",
                 trp::data_lost};
  ++ctx_.report.units_reconstructed;
  shared_bytes bytes{std::move(out)};
  keep(lost, bytes);
  return bytes;
}

error unit_reader::too_few(const gathering& g) const {
  const auto& shape = g.stripe->layout.shape;
  auto text = "stripe " + to_string(lin{g.stripe->id.value}) + " "
              + std::to_string(shape.data_units) + "+" + std::to_string(shape.parity_units) + ": "
              + std::to_string(g.unreachable) + " units unreachable, " + std::to_string(g.gone)
              + " gone, " + std::to_string(g.damaged) + " damaged besides the one wanted";
  if (g.unreachable > 0)
    return error{errc::unavailable, std::move(text), trp::data_lost};
  if (g.gone > 0)
    return error{errc::stale, std::move(text), trp::data_lost};
  return error{errc::io_error, std::move(text), trp::data_lost};
}

void unit_reader::note_damage(lin file, const stripe_ptr& stripe, std::uint32_t unit,
                              const error& cause) {
  if (damaged_)
    damaged_({file, stripe, unit, cause});
}

procedure<expected<shared_bytes>> unit_reader::read_whole(stripe_ptr stripe, std::uint32_t unit) {
  unit_blocks_key key{stripe->id, unit, 0, stripe->layout.unit_blocks};
  const auto& run = stripe->layout.units[unit].run;
  auto call = drives_.begin(run.drive, read_run{run, key.first, key.count});
  co_await drives_.wait(call, ctx_.in_ms(ctx_.options.drive_timeout_ms));
  drives_.forget(*call);
  if (!call->answer)
    co_return error{errc::timeout, "drive " + to_string(run.drive)};
  co_return verify(*stripe, key, std::move(*call->answer));
}

procedure<expected<shared_bytes>> unit_reader::rebuild(lin file, stripe_ptr stripe,
                                                       std::uint32_t unit) {
  unit_blocks_key whole{stripe->id, unit, 0, stripe->layout.unit_blocks};
  return reconstruct(file, std::move(stripe), whole);
}

std::optional<shared_bytes> unit_reader::find_cached(const unit_blocks_key& key) {
  auto it = cache_.find({key.stripe, key.unit});
  if (it == cache_.end())
    return std::nullopt;
  auto& entry = it->second;
  if (key.first < entry.first
      || std::uint64_t{key.first - entry.first + key.count} * block_bytes > entry.data.size())
    return std::nullopt;
  ages_.splice(ages_.end(), ages_, entry.age);
  return entry.data.slice(std::size_t{key.first - entry.first} * block_bytes,
                          std::size_t{key.count} * block_bytes);
}

void unit_reader::keep(const unit_blocks_key& key, const shared_bytes& data) {
  auto drop = [&](auto it) {
    cached_bytes_ -= it->second.data.size();
    ages_.erase(it->second.age);
    cache_.erase(it);
  };
  auto it = cache_.find({key.stripe, key.unit});
  if (it != cache_.end()) {
    if (it->second.data.size() > data.size())
      return; // the larger part is worth more
    drop(it);
  }
  auto age = ages_.insert(ages_.end(), {key.stripe, key.unit});
  cache_[{key.stripe, key.unit}] = {key.first, data, age};
  cached_bytes_ += data.size();
  while (cached_bytes_ > ctx_.options.read_cache_bytes_max && !ages_.empty())
    drop(cache_.find(ages_.front()));
}

} // namespace troupe
