#include "tests/cluster/gateway/gateway_calls.hpp"

using namespace troupe;
using namespace troupe::test;

// Where units may lie, and under which configuration a commit says so (hazards M1, F5).

namespace {

/// A full stripe of a new file, on its drives and not committed.
struct stored_stripe_scene {
  explicit stored_stripe_scene(std::uint64_t seed = 1) : c({5, 4, 4, 100'000, seed}) {
    c.add_gateway();
    auto f = create(c, "f");
    handle = f.handle;
    id = f.attributes->id;
    content = noise(1 << 20, seed);
    write(c, handle, 0, content);
    c.run_for(20);
    REQUIRE(runs_on_drives(c) == 10);
    for (auto& [uuid, d] : c.drives())
      if (!d.runs().empty())
        used = uuid;
  }
  /// Everything that was written is there, in runs that all belong to it.
  void check_content() {
    must<done>(c.call(call_fsync{handle}));
    CHECK(c.lost.empty());
    CHECK(c.misnamed_commits == 0);
    c.run_for(60'000); // what is told to drives in the background
    auto layout = c.partition_of(id).layout(id);
    std::uint64_t units = 0;
    for (const auto& stripe : layout.stripes)
      for (const auto& unit : stripe.layout.units) {
        CHECK(unit.run.drive != used);
        CHECK(c.drive(unit.run.drive).runs().contains(unit.run.born));
        ++units;
      }
    CHECK(runs_on_drives(c) == units);
    CHECK((read_all(c, id, 0) == content));
  }
  fake_cluster c;
  file_handle handle;
  lin id;
  byte_vector content;
  drive_uuid used;
};

} // namespace

TEST_CASE("gateway_state: a drive that the partition refuses rests, and others take its units",
          "[unit][gateway][gateway_state][gateway_plan]") {
  stored_stripe_scene s;
  s.c.set_drive_state(s.used, drive_state::smartfail); // the gateway is not told
  auto stores = s.c.drive(s.used).stores;
  auto began = s.c.now().boot.ns;
  must<done>(s.c.call(call_fsync{s.handle}));
  CHECK(s.c.now().boot.ns - began < 1'000'000'000);
  CHECK(s.c.drive(s.used).stores == stores);
  s.check_content();
  // Ten of twenty drives: one refusal each, at the most.
  for (auto& [uuid, d] : s.c.drives())
    if (d.bay == drive_bay{1} || d.bay == drive_bay{2})
      s.c.set_drive_state(uuid, drive_state::smartfail);
  auto more = noise(300'000, 5);
  write(s.c, s.handle, 1 << 20, more);
  must<done>(s.c.call(call_fsync{s.handle}));
  CHECK(s.c.lost.empty());
  CHECK((read(s.c, s.handle, 1 << 20, 300'000) == more));
}

TEST_CASE("gateway_state: a truncate that is refused because of a drive is laid out on others",
          "[unit][gateway][gateway_state][gateway_plan]") {
  stored_stripe_scene s;
  must<done>(s.c.call(call_fsync{s.handle}));
  for (auto& [uuid, d] : s.c.drives())
    if (d.bay == drive_bay{3})
      s.c.set_drive_state(uuid, drive_state::smartfail);
  call_set_attributes cut;
  cut.id = s.id;
  cut.size = 500'000;
  must<attributes_are>(s.c.call(cut));
  s.content.resize(500'000);
  CHECK((read_all(s.c, s.id, 0) == s.content));
}

TEST_CASE(
  "gateway_state: what waited while a drive was written off is stored anew before it is sent",
  "[unit][gateway][gateway_state][gateway_plan]") {
  stored_stripe_scene s;
  auto& partition = s.c.partition_of(s.id);
  partition.down = true; // refuses unseen: it has certainly not happened
  auto token = s.c.begin(call_fsync{s.handle});
  s.c.run_for(1000);
  REQUIRE_FALSE(s.c.finished(token));
  s.c.set_drive_state(s.used, drive_state::smartfail);
  s.c.push_view(true);
  s.c.run_for(1000);
  CHECK(s.c.drive(s.used).runs().empty()); // without asking the partition
  CHECK(runs_on_drives(s.c) >= 10);
  partition.down = false;
  must<done>(s.c.finish(token));
  s.check_content();
}

TEST_CASE("gateway_state: a commit of unknown fate is repeated as it was, whatever is newer",
          "[unit][gateway][gateway_state][gateway_plan]") {
  stored_stripe_scene s;
  auto& partition = s.c.partition_of(s.id);
  SECTION("it has happened: its units stay, wherever they lie") {
    s.c.lose_answers = 1;
    auto token = s.c.begin(call_fsync{s.handle});
    s.c.run_for(1000);
    REQUIRE(partition.layout(s.id).stripes.size() == 1);
    s.c.set_drive_state(s.used, drive_state::smartfail);
    s.c.push_view(true);
    partition.floor = partition.config;
    s.c.run_for(3000);
    s.c.lose_answers = 0;
    must<done>(s.c.finish(token));
    CHECK(s.c.drive(s.used).runs().size() == 1);
    CHECK(partition.layout(s.id).stripes.size() == 1);
    CHECK(s.c.misnamed_commits == 0);
    s.c.run_for(60'000);
    CHECK(runs_on_drives(s.c) == 10);
    CHECK((read_all(s.c, s.id, 0) == s.content));
  }
  SECTION("it has not: below the floor it never will, and is laid out anew") {
    s.c.lose_requests = 1;
    auto token = s.c.begin(call_fsync{s.handle});
    s.c.run_for(1000);
    s.c.set_drive_state(s.used, drive_state::smartfail);
    s.c.push_view(true);
    partition.floor = partition.config;
    s.c.run_for(1000);
    CHECK_FALSE(s.c.drive(s.used).runs().empty()); // it might still arrive
    s.c.lose_requests = 0;
    must<done>(s.c.finish(token));
    s.check_content();
  }
}

TEST_CASE("gateway_state: below the floor a commit is redone under the newer configuration",
          "[unit][gateway][gateway_state][gateway_plan]") {
  stored_stripe_scene s;
  // The floor is raised before this client has heard of the configuration.
  auto& partition = s.c.partition_of(s.id);
  s.c.hold_views = true;
  s.c.set_drive_state(s.used, drive_state::smartfail);
  s.c.push_view(true);
  partition.floor = partition.config;
  auto token = s.c.begin(call_fsync{s.handle});
  s.c.run_for(500);
  CHECK_FALSE(s.c.finished(token));
  CHECK(partition.layout(s.id).stripes.empty());
  s.c.hold_views = false;
  s.c.push_view(false);
  must<done>(s.c.finish(token));
  s.check_content();
}
