#include "tests/cluster/gateway/gateway_calls.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

layout_is layout_of(fake_cluster& c, lin id, std::size_t client = 0) {
  return must<layout_is>(c.call(call_get_layout{id}, client));
}
/// True if every unit of the layout is on its drive.
bool all_there(fake_cluster& c, const layout_is& layout) {
  for (const auto& stripe : layout.stripes)
    for (const auto& unit : stripe.layout.units)
      if (!c.drive(unit.run.drive).runs().contains(unit.run.born))
        return false;
  return true;
}
std::uint64_t unit_count(const layout_is& layout) {
  std::uint64_t sum = 0;
  for (const auto& stripe : layout.stripes)
    sum += stripe.layout.units.size();
  return sum;
}
/// The drive with the first unit of the stripe that holds a byte of a file.
fake_drive& drive_at(fake_cluster& c, const layout_is& layout, std::uint64_t offset) {
  for (const auto& x : layout.extents)
    if (x.file_offset <= offset && offset < x.file_offset + x.bytes)
      for (const auto& s : layout.stripes)
        if (s.id == x.stripe) {
          auto within = (offset - x.file_offset + x.stripe_offset) / block_bytes;
          return c.drive(s.layout.units[within / s.layout.unit_blocks].run.drive);
        }
  FAIL("no stripe holds byte " << offset);
  return c.drives().begin()->second;
}

} // namespace

TEST_CASE("gateway_state: units of a commit that may have happened stay (F3)",
          "[unit][gateway][gateway_state][gateway_failure]") {
  fake_cluster c;
  c.add_gateway();
  auto other = c.add_gateway();
  auto f = create(c, "f");
  auto id = f.attributes->id;
  write(c, f.handle, 0, noise(1'500'000, 1));
  c.lose_answers = 1;
  auto token = c.begin(call_fsync{f.handle});
  c.run_for(45'000); // longer than the bounded wait
  REQUIRE(c.finished(token));
  c.lose_answers = 0;
  CHECK(code_of(c.finish(token)) == errc::may_have_happened);
  CHECK(c.lost.size() == 1);
  // It did happen. Whoever reads now reads all of it: nothing was freed.
  c.run_for(60'000);
  CHECK(all_there(c, layout_of(c, id, other)));
  CHECK(read_all(c, id, other) == noise(1'500'000, 1));
  close(c, f.handle);
}

TEST_CASE("gateway_state: units of a commit that was refused go, and the data are stored anew (F3)",
          "[unit][gateway][gateway_state][gateway_failure]") {
  fake_cluster c;
  c.add_gateway();
  auto f = create(c, "f");
  auto id = f.attributes->id;
  write(c, f.handle, 0, noise(1 << 20, 1)); // a full stripe: stored at once, committed later
  c.run_for(20);
  REQUIRE(runs_on_drives(c) == 10);
  drive_uuid refused;
  for (auto& [uuid, d] : c.drives())
    if (!d.runs().empty())
      refused = uuid;
  c.set_drive_state(refused, drive_state::smartfail);
  c.push_view(true);
  SECTION("the refusal is heard") {}
  SECTION("the refusal is heard when it is repeated") {
    c.lose_answers = 0.7;
  }
  must<done>(c.call(call_fsync{f.handle}));
  c.lose_answers = 0;
  c.run_for(60'000);
  auto layout = layout_of(c, id);
  CHECK(all_there(c, layout));
  CHECK(runs_on_drives(c) == unit_count(layout)); // and no others
  CHECK(c.drive(refused).runs().empty());
  CHECK(c.lost.empty());
  close(c, f.handle);
  CHECK(read_all(c, id, 0) == noise(1 << 20, 1));
}

TEST_CASE("gateway_state: what an unknown commit did is found out before the next write",
          "[unit][gateway][gateway_state][gateway_failure]") {
  fake_cluster c;
  c.add_gateway();
  auto other = c.add_gateway();
  auto f = create(c, "f");
  auto id = f.attributes->id;
  write(c, f.handle, 0, noise(100, 1));
  c.lose_answers = 1;
  auto token = c.begin(call_fsync{f.handle});
  c.run_for(45'000);
  REQUIRE(c.finished(token));
  c.lose_answers = 0;
  CHECK(code_of(c.finish(token)) == errc::may_have_happened);
  // The small content is in the metadata, although this client was not told: it must move out.
  write(c, f.handle, 50'000, noise(1000, 2));
  close(c, f.handle);
  auto got = read_all(c, id, other);
  REQUIRE(got.size() == 51'000);
  CHECK(byte_vector(got.begin(), got.begin() + 100) == noise(100, 1));
  CHECK(byte_vector(got.begin() + 50'000, got.end()) == noise(1000, 2));
}

TEST_CASE("gateway_state: a new leader gives a file to nobody before its writer came back (F14)",
          "[unit][gateway][gateway_state][gateway_failure]") {
  fake_cluster c;
  c.add_gateway();
  auto other = c.add_gateway();
  auto f = create(c, "f");
  auto id = f.attributes->id;
  write(c, f.handle, 0, noise(50'000, 1));
  must<done>(c.call(call_fsync{f.handle}));
  write(c, f.handle, 10'000, noise(30'000, 2)); // only buffered
  auto wanted = noise(50'000, 1);
  auto piece = noise(30'000, 2);
  std::copy(piece.begin(), piece.end(), wanted.begin() + 10'000);
  for (int i = 0; i < 3; ++i)
    c.change_leader(c.partition_of(id).id);
  SECTION("the other reads") {
    CHECK(read_all(c, id, other) == wanted);
  }
  SECTION("the other writes") {
    auto h = open(c, id, true, other);
    write(c, h, 40'000, noise(20'000, 3), other);
    close(c, h, other);
    wanted.resize(60'000);
    piece = noise(20'000, 3);
    std::copy(piece.begin(), piece.end(), wanted.begin() + 40'000);
  }
  CHECK(c.lost.empty());
  close(c, f.handle);
  CHECK(read_all(c, id, 0) == wanted);
  CHECK(read_all(c, id, other) == wanted);
}

TEST_CASE("gateway_state: a writer that was cut off is told, and sees what the other wrote",
          "[unit][gateway][gateway_state][gateway_failure]") {
  fake_cluster c;
  c.add_gateway();
  auto other = c.add_gateway();
  auto f = create(c, "f");
  auto id = f.attributes->id;
  write(c, f.handle, 0, noise(50'000, 1));
  must<done>(c.call(call_fsync{f.handle}));
  write(c, f.handle, 0, noise(100'000, 2));
  c.cut_off(0, true);
  bool new_leader = false;
  SECTION("under the same leader") {}
  SECTION("under a new leader") {
    new_leader = true;
  }
  if (new_leader)
    c.change_leader(c.partition_of(id).id);
  auto began = c.now().boot.ns;
  auto h = open(c, id, true, other);
  write(c, h, 1000, noise(150'000, 3), other);
  CHECK(c.now().boot.ns - began >= 3'000'000'000); // not before the lease had run out
  close(c, h, other);
  auto wanted = noise(50'000, 1);
  wanted.resize(151'000);
  auto piece = noise(150'000, 3);
  std::copy(piece.begin(), piece.end(), wanted.begin() + 1000);
  c.run_for(1000);
  c.cut_off(0, false);
  CHECK(code_of(c.call(call_fsync{f.handle})) == errc::stale_handle);
  CHECK(c.lost.size() == 1);
  CHECK(read(c, f.handle, 0, 200'000) == wanted);
  // What is written from here on goes beside the other's content, not over it.
  write(c, f.handle, 151'000, noise(10, 4));
  close(c, f.handle);
  piece = noise(10, 4);
  wanted.insert(wanted.end(), piece.begin(), piece.end());
  CHECK(read_all(c, id, other) == wanted);
  auto layout = layout_of(c, id);
  c.run_for(60'000);
  CHECK(all_there(c, layout));
}

TEST_CASE("gateway_state: what was read to complete a write outlives a commit that ends meanwhile",
          "[unit][gateway][gateway_state][gateway_failure]") {
  fake_cluster c;
  c.add_gateway();
  auto f = create(c, "f");
  auto id = f.attributes->id;
  auto model = noise(3 << 20, 1);
  write(c, f.handle, 0, model);
  close(c, f.handle);
  auto h = open(c, id, true);
  auto overwrite = [&](std::uint64_t at, std::size_t bytes, std::uint64_t seed) {
    auto piece = noise(bytes, seed);
    write(c, h, at, piece);
    std::copy(piece.begin(), piece.end(), model.begin() + static_cast<long>(at));
  };
  // A full stripe is on its drives at once and committed after 100 ms…
  overwrite(1 << 20, 1 << 20, 2);
  c.run_for(20);
  // … while the last block of the next write takes 400 ms to reconstruct, and the first does not.
  auto& slow = drive_at(c, c.partition_of(id).layout(id), 2'500'000);
  REQUIRE(&slow != &drive_at(c, c.partition_of(id).layout(id), 0));
  slow.silent = true;
  auto commits = c.gateway().report().commits;
  overwrite(10, 2'500'000 - 10, 3);
  CHECK(c.gateway().report().commits > commits);
  slow.silent = false;
  close(c, h);
  CHECK(read_all(c, id, 0) == model);
}

TEST_CASE("gateway_state: reads give everything while no stripe lacks more than its parity",
          "[unit][gateway][gateway_state][gateway_failure]") {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    INFO("seed " << seed);
    fake_cluster c{{5, 4, 4, 100'000, seed}};
    c.add_gateway();
    auto other = c.add_gateway();
    std::mt19937_64 random{seed * 31};
    auto f = create(c, "f");
    byte_vector model;
    for (int i = 0; i < 4; ++i) { // stripes of several shapes, mirrors among them
      auto bytes = noise(random() % 1'500'000 + 1, random());
      write(c, f.handle, model.size(), bytes);
      model.insert(model.end(), bytes.begin(), bytes.end());
      must<done>(c.call(call_fsync{f.handle}));
    }
    close(c, f.handle);
    auto layout = layout_of(c, f.attributes->id);
    std::uint64_t harmed = 0;
    for (const auto& stripe : layout.stripes) {
      std::set<std::size_t> units;
      while (units.size() < stripe.layout.shape.parity_units)
        units.insert(random() % stripe.layout.units.size());
      for (auto i : units) {
        const auto& run = stripe.layout.units[i].run;
        if (random() % 2)
          c.drive(run.drive).lose(run.born);
        else // one bit in every block
          for (std::size_t b = 0; b < run.block_count; ++b)
            c.drive(run.drive).damage(run.born, b * block_bytes + random() % block_bytes);
        ++harmed;
      }
    }
    auto h = open(c, f.attributes->id, false, other);
    for (int i = 0; i < 40; ++i) {
      auto at = random() % model.size();
      auto count = std::min<std::size_t>(random() % 400'000 + 1, model.size() - at);
      auto got = read(c, h, at, static_cast<std::uint32_t>(count), other);
      auto begin = model.begin() + static_cast<long>(at);
      REQUIRE(got == byte_vector(begin, begin + static_cast<long>(count)));
    }
    REQUIRE(read_all(c, f.attributes->id, other) == model);
    CHECK(c.damage.size() <= harmed);
    CHECK(c.gateway(other).report().units_reconstructed > 0);
  }
}
