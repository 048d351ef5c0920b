#include "tests/cluster/gateway/gateway_calls.hpp"

using namespace troupe;
using namespace troupe::test;

// Leases, handles and attributes over changes of a partition's leader (hazards F14).

namespace {

inode_attributes stat_of(fake_cluster& c, lin id, std::size_t client = 0) {
  return must<attributes_are>(c.call(call_get_attributes{id}, client)).attributes;
}
/// All gateways hear from the cluster group who leads.
void tell_leaders(fake_cluster& c) {
  c.view_names_leaders = true;
  c.push_view(false);
}

} // namespace

TEST_CASE("gateway_state: leases are named to a new leader at once, and so is that there are none",
          "[unit][gateway][gateway_state][gateway_reassert]") {
  fake_cluster c;
  c.add_gateway();
  auto idle = c.add_gateway();
  auto a = create(c, "a");
  auto b = create(c, "b");
  auto& p = c.partition_of(a.attributes->id);
  close(c, create(c, "x", idle).handle, idle); // registered, holds nothing
  write(c, a.handle, 0, noise(50'000, 1));     // only buffered
  write(c, b.handle, 0, noise(50'000, 2));
  tell_leaders(c);
  for (int i = 0; i < 3; ++i) {
    INFO("change " << i);
    c.change_leader(p.id);
    CHECK(p.reclaiming(c.now().boot));
    c.push_view(true);
    c.run_for(20); // far less than a lease
    CHECK_FALSE(p.reclaiming(c.now().boot));
    CHECK(p.lease_count() == 2);
  }
  // So nobody waits for leases to run out.
  auto began = c.now().boot.ns;
  close(c, create(c, "y", idle).handle, idle);
  CHECK(stat_of(c, a.attributes->id, idle).size == 50'000); // recalled, flushed, read
  CHECK(c.now().boot.ns - began < 3'000'000'000);
  close(c, a.handle);
  close(c, b.handle);
  CHECK(c.lost.empty());
}

TEST_CASE("gateway_state: whatever moment a leader changes twice, no acknowledged byte is lost",
          "[unit][gateway][gateway_state][gateway_reassert]") {
  for (std::uint64_t seed = 1; seed <= 2; ++seed)
    for (std::uint64_t us = 0; us <= 3000; us += 250) {
      INFO("seed " << seed << ", " << us << " us between the changes");
      fake_cluster c{{5, 4, 4, 100'000, seed}};
      c.add_gateway();
      auto other = c.add_gateway();
      auto f = create(c, "f");
      auto id = f.attributes->id;
      auto content = noise(60'000, seed);
      write(c, f.handle, 0, content);
      must<done>(c.call(call_fsync{f.handle}));
      auto piece = noise(40'000, seed + 100);
      write(c, f.handle, 10'000, piece); // only buffered
      std::copy(piece.begin(), piece.end(), content.begin() + 10'000);
      tell_leaders(c);
      auto group = c.partition_of(id).id;
      c.change_leader(group);
      c.push_view(true); // names the leases
      auto h = open(c, id, true, other);
      auto last = noise(5'000, seed + 200);
      auto writing = c.begin(call_write{h, 55'000, shared_bytes{last}}, other);
      c.run_for_us(us);
      c.change_leader(group); // while they are being named
      c.push_view(true);
      must<bytes_written>(c.finish(writing));
      std::copy(last.begin(), last.end(), content.begin() + 55'000);
      close(c, h, other);
      close(c, f.handle);
      CHECK(c.lost.empty());
      CHECK((read_all(c, id, 0) == content));
      CHECK((read_all(c, id, other) == content));
    }
}

TEST_CASE("gateway_state: a lease that was granted by a leader of the past is asked for again",
          "[unit][gateway][gateway_state][gateway_reassert]") {
  for (std::uint64_t us = 0; us <= 1500; us += 50) {
    INFO("the leader changes " << us << " us after the first write");
    fake_cluster c;
    c.add_gateway();
    auto other = c.add_gateway();
    auto f = create(c, "f");
    auto id = f.attributes->id;
    close(c, f.handle);
    close(c, create(c, "x", other).handle, other);
    tell_leaders(c);
    auto mine = open(c, id, true);
    auto theirs = open(c, id, true, other);
    auto first = noise(100, 1);
    auto second = noise(100, 2);
    auto writing = c.begin(call_write{mine, 0, shared_bytes{first}});
    c.run_for_us(us);
    c.change_leader(c.partition_of(id).id);
    c.push_view(true); // this client's list may not have the lease that is on its way
    auto also = c.begin(call_write{theirs, 100, shared_bytes{second}}, other);
    must<bytes_written>(c.finish(writing));
    must<bytes_written>(c.finish(also));
    close(c, mine);
    close(c, theirs, other);
    CHECK(c.lost.empty());
    auto both = first;
    both.insert(both.end(), second.begin(), second.end());
    CHECK((read_all(c, id, 0) == both));
    CHECK((read_all(c, id, other) == both));
  }
}

TEST_CASE("gateway_state: an unlinked file lives on under a new leader until its last close",
          "[unit][gateway][gateway_state][gateway_reassert]") {
  fake_cluster c;
  c.add_gateway();
  auto other = c.add_gateway();
  auto f = create(c, "f");
  auto id = f.attributes->id;
  auto& p = c.partition_of(id);
  auto content = noise(50'000, 1);
  write(c, f.handle, 0, content);
  must<done>(c.call(call_fsync{f.handle}));
  write(c, f.handle, 0, noise(10'000, 2)); // only buffered
  auto piece = noise(10'000, 2);
  std::copy(piece.begin(), piece.end(), content.begin());
  must<done>(c.call(call_unlink{root_lin, "f"}));
  for (int i = 0; i < 2; ++i) {
    c.change_leader(p.id);
    p.clean();
    CHECK((read(c, f.handle, 0, 60'000) == content));
  }
  must<done>(c.call(call_fsync{f.handle}));
  CHECK((read(c, f.handle, 0, 60'000) == content));
  CHECK(code_of(c.call(call_lookup{root_lin, "f"}, other)) == errc::not_found);
  c.change_leader(p.id);
  close(c, f.handle);
  c.run_for(1000);
  p.clean();
  CHECK(code_of(c.call(call_get_attributes{id}, other)) == errc::stale_handle);
  CHECK(c.lost.empty());
}

TEST_CASE("gateway_state: attributes come from the buffer only under a good lease",
          "[unit][gateway][gateway_state][gateway_reassert]") {
  auto ask = GENERATE(0, 1, 2);
  auto size_of = [&](fake_cluster& c, lin id) -> std::uint64_t {
    if (ask == 0)
      return stat_of(c, id).size;
    if (ask == 1)
      return must<attributes_are>(c.call(call_lookup{root_lin, "f"})).attributes.size;
    auto page = must<directory_page>(c.call(call_read_directory{root_lin, 0, 10, true}));
    REQUIRE(page.entries.size() == 1);
    // Without attributes the door asks for them.
    return page.entries[0].attributes ? page.entries[0].attributes->size : stat_of(c, id).size;
  };
  fake_cluster c;
  c.add_gateway();
  auto other = c.add_gateway();
  auto f = create(c, "f");
  auto id = f.attributes->id;
  write(c, f.handle, 0, noise(50'000, 1));
  must<done>(c.call(call_fsync{f.handle}));
  write(c, f.handle, 0, noise(100'000, 2)); // only buffered
  CHECK(size_of(c, id) == 100'000);
  SECTION("a new leader does not know the lease yet: one's own size does not shrink") {
    for (int i = 0; i < 3; ++i) {
      c.change_leader(c.partition_of(id).id);
      CHECK(size_of(c, id) == 100'000);
    }
    CHECK(c.lost.empty());
  }
  SECTION("the lease has run out at the partition, and another client wrote") {
    c.cut_off(0, true);
    auto h = open(c, id, true, other);
    write(c, h, 0, noise(70'000, 3), other);
    close(c, h, other);
    c.cut_off(0, false);
    CHECK(size_of(c, id) == 70'000);
    CHECK(c.lost.size() == 1);
  }
}
