#include "tests/cluster/gateway/gateway_calls.hpp"

using namespace troupe;
using namespace troupe::test;

// Dynamic sector repair: what a read finds missing or wrong is made good behind it (FAULT-7, 9).

namespace {

/// A closed file of one full stripe 8+2 over five nodes, and a reader that has not seen it yet.
struct damaged_scene {
  explicit damaged_scene(gateway_options options = {}, std::uint64_t seed = 1)
    : c({5, 4, 4, 100'000, seed}) {
    c.add_gateway(options);
    reader = c.add_gateway(options);
    content = noise(1 << 20, seed);
    auto f = create(c, "f");
    id = f.attributes->id;
    write(c, f.handle, 0, content);
    close(c, f.handle);
    REQUIRE(stripe().layout.units.size() == 10);
  }
  stripe_info stripe() { return c.partition_of(id).layout(id).stripes.at(0); }
  run_ref run(std::uint32_t unit) { return stripe().layout.units[unit].run; }
  void flip(std::uint32_t unit) {
    auto r = run(unit);
    c.drive(r.drive).damage(r.born, 5 * block_bytes + 77);
  }
  void lose(std::uint32_t unit) {
    auto r = run(unit);
    c.drive(r.drive).lose(r.born);
  }
  void check_read(std::size_t client) { CHECK((read_all(c, id, client) == content)); }
  std::uint64_t reconstructed(std::size_t client) {
    return c.gateway(client).report().units_reconstructed;
  }
  /// Every unit is on its drive, whole; distinct drives, two on a node at the most.
  void check_stripe() {
    std::set<drive_uuid> drives;
    std::map<node_id, int> on_node;
    for (const auto& unit : stripe().layout.units) {
      CHECK(drives.insert(unit.run.drive).second);
      auto& d = c.drive(unit.run.drive);
      CHECK(++on_node[d.node] <= 2);
      REQUIRE(d.runs().contains(unit.run.born));
      const auto& stored = d.runs().at(unit.run.born).what;
      CHECK(unit_checksum(block_checksums(stored.data.view())) == unit.checksum);
    }
  }
  /// A client that has read nothing yet needs no reconstruction.
  void check_good() {
    check_stripe();
    auto fresh = c.add_gateway();
    auto told = c.damage.size();
    check_read(fresh);
    CHECK(reconstructed(fresh) == 0);
    CHECK(c.damage.size() == told);
  }
  fake_cluster c;
  std::size_t reader = 0;
  lin id;
  byte_vector content;
};

} // namespace

TEST_CASE("unit_repair: a flipped bit is repaired behind the read, on the same drive",
          "[unit][gateway][unit_repair]") {
  damaged_scene s;
  auto before = s.stripe();
  auto attributes = s.c.partition_of(s.id).layout(s.id).attributes;
  s.flip(3);
  s.check_read(s.reader);
  REQUIRE(s.c.damage.size() == 1);
  CHECK(s.c.damage[0].run == before.layout.units[3].run);
  CHECK(s.c.damage[0].cause.code == errc::corrupt);
  s.c.run_for(1000);
  REQUIRE(s.c.repaired.size() == 1);
  CHECK(s.c.repaired[0].damaged == before.layout.units[3].run);
  CHECK(s.c.repaired[0].run == s.run(3));
  CHECK(s.run(3).drive == before.layout.units[3].run.drive);
  CHECK(s.run(3) != before.layout.units[3].run);
  CHECK(s.c.gateway(s.reader).report().units_repaired == 1);
  CHECK(s.c.partition_of(s.id).layout(s.id).attributes == attributes); // only physical (F8)
  s.check_good();
}

TEST_CASE("unit_repair: parity, lost runs and several units at once are repaired, too",
          "[unit][gateway][unit_repair]") {
  damaged_scene s;
  SECTION("two lost data units") {
    s.lose(0);
    s.lose(7);
  }
  SECTION("a data unit and a parity unit that is needed for it") {
    s.flip(2);
    s.flip(8);
  }
  s.check_read(s.reader);
  s.c.run_for(2000);
  CHECK(s.c.damage.size() == 2);
  CHECK(s.c.repaired.size() == 2);
  s.check_good();
}

TEST_CASE("unit_repair: a unit whose drive has trouble goes to another that keeps the level",
          "[unit][gateway][unit_repair]") {
  damaged_scene s;
  auto home = s.run(4).drive;
  s.flip(4);
  SECTION("it is full") {
    s.c.drive(home).blocks_total = s.c.drive(home).blocks_used;
    s.c.push_view(true);
  }
  SECTION("it is full, and only it knows") {
    s.c.drive(home).blocks_total = s.c.drive(home).blocks_used;
  }
  SECTION("it takes no data any more") {
    s.c.set_drive_state(home, drive_state::smartfail);
    s.c.push_view(true);
  }
  SECTION("it takes no data any more, and only the partition knows") {
    s.c.set_drive_state(home, drive_state::smartfail);
  }
  s.check_read(s.reader);
  s.c.run_for(5000);
  REQUIRE(s.c.repaired.size() == 1);
  CHECK(s.run(4).drive != home);
  s.check_good();
  s.c.run_for(60'000);
  CHECK(runs_on_drives(s.c) == 11); // ten, and the old one until the partition frees it
}

TEST_CASE("unit_repair: units of a drive that was given up are repaired when they are read",
          "[unit][gateway][unit_repair]") {
  damaged_scene s;
  auto home = s.run(1).drive;
  s.c.drive(home).failing = true;
  s.c.set_drive_state(home, drive_state::gone);
  s.c.push_view(true);
  s.check_read(s.reader);
  s.c.run_for(2000);
  CHECK(s.c.damage.size() == 1);
  REQUIRE(s.c.repaired.size() == 1);
  CHECK(s.c.repaired[0].damaged.drive == home);
  CHECK(s.run(1).drive != home);
  s.check_good();
}

TEST_CASE("unit_repair: what is not damaged is left alone", "[unit][gateway][unit_repair]") {
  damaged_scene s;
  auto before = s.stripe();
  SECTION("a drive that does not answer") {
    s.c.drive(s.run(1).drive).silent = true;
  }
  SECTION("a node that is down") {
    s.c.set_node(s.c.drive(s.run(1).drive).node, false);
  }
  s.check_read(s.reader);
  s.c.run_for(30'000);
  CHECK(s.c.damage.empty());
  CHECK(s.c.repaired.empty());
  CHECK(s.stripe().version == before.version);
}

TEST_CASE("unit_repair: who knows an old place of a unit finds the new one, without an alarm",
          "[unit][gateway][unit_repair]") {
  damaged_scene s;
  auto h = open(s.c, s.id, false, 0); // knows the layout from here on
  CHECK((read(s.c, h, 0, 1000, 0).size() == 1000));
  auto old = s.run(6);
  s.flip(6);
  s.check_read(s.reader);
  s.c.run_for(1000);
  REQUIRE(s.c.repaired.size() == 1);
  s.c.drive(old.drive).lose(old.born); // the partition has freed it
  byte_vector all;
  while (all.size() < s.content.size()) {
    auto part = read(s.c, h, all.size(), 256 * 1024, 0);
    all.insert(all.end(), part.begin(), part.end());
  }
  CHECK((all == s.content));
  s.c.run_for(1000);
  CHECK(s.c.damage.size() == 1);
  CHECK(s.c.repaired.size() == 1);
  CHECK(s.stripe().version == 1);
  s.check_good();
}

TEST_CASE("unit_repair: two clients that find the same damage repair it once",
          "[unit][gateway][unit_repair]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    INFO("seed " << seed);
    damaged_scene s{{}, seed};
    s.flip(5);
    s.lose(1);
    auto first = open(s.c, s.id, false, 0);
    auto second = open(s.c, s.id, false, s.reader);
    auto a = s.c.begin(call_read{first, 0, 1 << 20}, 0);
    auto b = s.c.begin(call_read{second, 0, 1 << 20}, s.reader);
    must<bytes_read>(s.c.finish(a));
    must<bytes_read>(s.c.finish(b));
    s.c.run_for(60'000);
    CHECK(s.c.repaired.size() == 2);
    CHECK(s.stripe().version == 2);
    s.check_good();
  }
}

TEST_CASE("unit_repair: a file that goes meanwhile leaves nothing behind",
          "[unit][gateway][unit_repair]") {
  for (std::uint64_t ms = 48; ms <= 56; ++ms) { // a repair begins 50 ms after its read
    INFO("after " << ms << " ms");
    damaged_scene s;
    s.flip(0);
    s.check_read(s.reader);
    s.c.run_for_us(ms * 1000 + 300);
    must<done>(s.c.call(call_unlink{root_lin, "f"}));
    s.c.partition_of(s.id).clean();
    s.c.run_for(60'000);
    // Ten units are pending frees of the partition, and the bad one too if it was repaired.
    CHECK(runs_on_drives(s.c) == 10 + s.c.repaired.size());
  }
}

TEST_CASE("unit_repair: is bounded, and not repeated endlessly", "[unit][gateway][unit_repair]") {
  gateway_options options;
  options.repairs_at_once_max = 1;
  options.repairs_waiting_max = 2;
  options.repair_again_ms = 10'000;
  damaged_scene s{options};
  SECTION("no drive takes data: told once in a while, tried once in a while") {
    s.flip(2);
    for (auto& [id, d] : s.c.drives())
      s.c.set_drive_state(id, drive_state::smartfail);
    s.c.push_view(true);
    auto h = open(s.c, s.id, false, s.reader);
    for (int i = 0; i < 30; ++i) {
      CHECK(read(s.c, h, 0, 1 << 20, s.reader).size() == 1 << 20);
      s.c.run_for(100);
    }
    CHECK(s.c.damage.size() == 1);
    CHECK(s.c.repaired.empty());
  }
  SECTION("more damage than may wait: the rest is repaired by a later read") {
    for (int i = 1; i < 8; ++i) { // seven more files, each with one bad unit
      auto f = create(s.c, "f" + std::to_string(i));
      write(s.c, f.handle, 0, noise(1 << 20, i));
      close(s.c, f.handle);
      auto r = s.c.partition_of(f.attributes->id).layout(f.attributes->id).stripes[0].layout;
      s.c.drive(r.units[i].run.drive).damage(r.units[i].run.born, 9);
    }
    auto read_them = [&] {
      for (int i = 1; i < 8; ++i) {
        auto id = must<attributes_are>(s.c.call(call_lookup{root_lin, "f" + std::to_string(i)}));
        CHECK((read_all(s.c, id.attributes.id, s.reader) == noise(1 << 20, i)));
      }
    };
    read_them();
    s.c.run_for(5000);
    CHECK(s.c.repaired.size() >= 2);
    for (int i = 0; i < 8 && s.c.repaired.size() < 7; ++i) {
      s.c.run_for(11'000);
      s.c.kill_gateway(s.reader); // what it has in memory is not damaged
      s.reader = s.c.add_gateway(options);
      read_them();
      s.c.run_for(5000);
    }
    CHECK(s.c.repaired.size() == 7);
  }
}
