#include "tests/cluster/gateway/gateway_calls.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

layout_is layout_of(fake_cluster& c, lin id, std::size_t client = 0) {
  return must<layout_is>(c.call(call_get_layout{id}, client));
}
/// Compared without printing: contents are long.
bool is_same(const byte_vector& a, const byte_vector& b) {
  return a == b;
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
  bool leader_goes_after = false;
  SECTION("under the same leader") {}
  SECTION("under the same leader, which then falls silent") {
    leader_goes_after = true;
  }
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
  if (leader_goes_after) {
    c.run_for(3000); // an election
    c.change_leader(c.partition_of(id).id);
  }
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

TEST_CASE("gateway_state: the answer to a repeated commit hides nobody else's write",
          "[unit][gateway][gateway_state][gateway_failure]") {
  fake_cluster c;
  c.add_gateway();
  auto other = c.add_gateway();
  auto f = create(c, "f");
  auto id = f.attributes->id;
  auto wanted = noise(1 << 20, 1);
  write(c, f.handle, 0, wanted); // a full stripe: stored at once, committed after 100 ms
  c.lose_answers = 1;
  c.run_for(200); // the commit happens, and nobody hears of it
  REQUIRE(c.partition_of(id).layout(id).attributes.size == wanted.size());
  c.cut_off(0, true);
  c.lose_answers = 0;
  write(c, f.handle, wanted.size(), noise(100'000, 2)); // under the lease, which runs out
  auto h = open(c, id, true, other);
  auto piece = noise(150'000, 3);
  write(c, h, wanted.size(), piece, other);
  close(c, h, other);
  wanted.insert(wanted.end(), piece.begin(), piece.end());
  c.cut_off(0, false);
  CHECK(code_of(c.call(call_fsync{f.handle})) == errc::stale_handle);
  CHECK(c.lost.size() == 1);
  CHECK(is_same(read_all(c, id, other), wanted));
  close(c, f.handle);
  CHECK(is_same(read_all(c, id, other), wanted));
}

TEST_CASE("gateway_state: who lost his lease never reads his own old writes over newer ones",
          "[unit][gateway][gateway_state][gateway_failure]") {
  for (std::uint64_t later_ms : {0, 500, 1000, 1500, 2000, 2500}) {
    INFO("read after " << later_ms << " ms");
    fake_cluster c;
    c.add_gateway();
    auto other = c.add_gateway();
    auto f = create(c, "f");
    write(c, f.handle, 0, noise(50'000, 1));
    must<done>(c.call(call_fsync{f.handle}));
    write(c, f.handle, 0, noise(100'000, 2)); // only buffered
    c.cut_off(0, true);
    auto h = open(c, f.attributes->id, true, other);
    auto wanted = noise(150'000, 3);
    write(c, h, 0, wanted, other);
    must<done>(c.call(call_fsync{h}, other));
    c.cut_off(0, false);
    c.run_for(later_ms);
    CHECK(is_same(read(c, f.handle, 0, 200'000), wanted));
    CHECK(is_same(read(c, h, 0, 200'000, other), wanted));
  }
}

TEST_CASE("gateway_state: a file whose start is missing is given up, not waited for",
          "[unit][gateway][gateway_state][gateway_failure]") {
  gateway_options options;
  options.commit_stripes_min = 1;
  options.dirty_age_ms_max = 1500;
  options.meta_attempt_ms = 500;
  fake_cluster c;
  c.add_gateway(options);
  auto f = create(c, "f");
  auto& p = c.partition_of(f.attributes->id);
  write(c, f.handle, 0, noise(100, 1));
  c.run_for(100);
  c.lose_answers = 1;
  c.run_for(1900); // the small content is in the metadata, and nobody hears of it
  REQUIRE(p.layout(f.attributes->id).attributes.size == 100);
  for (auto& [id, d] : c.drives())
    d.blocks_total = d.blocks_used;
  write(c, f.handle, 1 << 20, noise(1 << 20, 2));
  c.run_for(200);
  REQUIRE(c.lost.size() == 1); // there is no room: all that was buffered is given up
  for (auto& [id, d] : c.drives())
    d.blocks_total = 100'000;
  c.push_view(true);
  auto h = open(c, f.attributes->id, true);
  write(c, h, 50'000, noise(1000, 3)); // before the commit of the small content is heard of
  c.lose_answers = 0;
  c.run_for(700);
  REQUIRE(c.gateway().report().commits == 1);
  auto token = c.begin(call_fsync{h});
  c.run_for(60'000);
  CHECK(c.finished(token));
}

TEST_CASE("gateway_state: a change of unknown fate is not repeated under another session (F20)",
          "[unit][gateway][gateway_state][gateway_failure]") {
  fake_cluster c;
  c.add_gateway();
  close(c, create(c, "f").handle); // the client is registered
  c.lose_answers = 1;
  auto token = c.begin(call_make{root_lin, "d", inode_of(file_kind::symlink)});
  c.run_for(10); // it is made, and nobody hears of it
  c.lose_answers = 0;
  c.partition_of(root_lin).forget(client_id{1});
  close(c, create(c, "g").handle); // finds that out: a new session
  CHECK(code_of(c.finish(token)) == errc::may_have_happened);
}

TEST_CASE("gateway_state: a commit that replaces too many extents goes in parts",
          "[unit][gateway][gateway_state][gateway_failure]") {
  gateway_options options;
  options.commit_stripes_min = 64;
  options.commit_delay_ms_max = 1000;
  fake_cluster c;
  c.add_gateway(options);
  auto f = create(c, "f");
  for (std::uint64_t i = 0; i < 16; ++i) // many extents
    write(c, f.handle, i << 18, noise(100, i));
  must<done>(c.call(call_fsync{f.handle}));
  c.partition_of(f.attributes->id).limits.replaced_extents_max = 4;
  auto model = noise(4 << 20, 99);
  write(c, f.handle, 0, model);
  must<done>(c.call(call_fsync{f.handle}));
  CHECK(c.lost.empty());
  close(c, f.handle);
  CHECK(is_same(read_all(c, f.attributes->id, 0), model));
}

TEST_CASE("gateway_state: acknowledged data outlive refusals for as long as the bounded wait",
          "[unit][gateway][gateway_state][gateway_failure]") {
  fake_cluster c;
  c.add_gateway();
  auto f = create(c, "f");
  write(c, f.handle, 0, noise(1 << 20, 1));
  for (auto& [id, d] : c.drives())
    c.set_drive_state(id, drive_state::smartfail); // the partition takes no drive
  auto token = c.begin(call_fsync{f.handle});
  c.run_for(12'000);
  CHECK(c.lost.empty());
  CHECK_FALSE(c.finished(token));
  for (auto& [id, d] : c.drives())
    c.set_drive_state(id, drive_state::healthy);
  c.push_view(true);
  must<done>(c.finish(token));
  CHECK(c.lost.empty());
  close(c, f.handle);
  CHECK(is_same(read_all(c, f.attributes->id, 0), noise(1 << 20, 1)));
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
