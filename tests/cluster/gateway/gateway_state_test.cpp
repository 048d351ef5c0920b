#include "tests/cluster/gateway/gateway_calls.hpp"

using namespace troupe;
using namespace troupe::test;

TEST_CASE("gateway_state: names are made, found, listed, moved and removed",
          "[unit][gateway][gateway_state]") {
  fake_cluster c;
  c.add_gateway();
  auto dir = must<attributes_are>(c.call(call_make{root_lin, "d", inode_of(file_kind::directory)}))
               .attributes;
  CHECK(dir.kind == file_kind::directory);
  auto sub = must<attributes_are>(c.call(call_make{dir.id, "sub", inode_of(file_kind::directory)}))
               .attributes;
  auto link = inode_of(file_kind::symlink);
  link.symlink_target = "sub/x";
  auto symlink = must<attributes_are>(c.call(call_make{dir.id, "l", link})).attributes;
  CHECK(must<symlink_target_is>(c.call(call_read_symlink{symlink.id})).target == "sub/x");
  auto f = must<file_opened>(
    c.call(call_create{dir.id, "f", inode_of(file_kind::regular), for_writing()}));
  close(c, f.handle);
  CHECK(must<attributes_are>(c.call(call_lookup{dir.id, "f"})).attributes.id == f.attributes->id);
  CHECK(must<attributes_are>(c.call(call_resolve{"/d//sub"})).attributes.id == sub.id);
  CHECK(must<attributes_are>(c.call(call_resolve{"/"})).attributes.id == root_lin);
  CHECK(code_of(c.call(call_resolve{"/d/none/x"})) == errc::not_found);
  CHECK(code_of(c.call(call_lookup{dir.id, std::string(256, 'a')})) == errc::name_too_long);
  CHECK(code_of(c.call(call_make{dir.id, "sub", inode_of(file_kind::directory)}))
        == errc::already_exists);

  auto page = must<directory_page>(c.call(call_read_directory{dir.id}));
  CHECK(page.entries.size() == 3);
  CHECK(page.end);
  must<done>(c.call(call_rename{dir.id, "f", dir.id, "g"}));
  CHECK(code_of(c.call(call_lookup{dir.id, "f"})) == errc::not_found);
  auto hard = must<attributes_are>(c.call(call_link{f.attributes->id, dir.id, "h"})).attributes;
  CHECK(hard.link_count == 2);
  CHECK(code_of(c.call(call_remove_directory{root_lin, "d"})) == errc::not_empty);
  for (auto name : {"g", "h", "l"})
    must<done>(c.call(call_unlink{dir.id, name}));
  must<done>(c.call(call_remove_directory{dir.id, "sub"}));
  must<done>(c.call(call_remove_directory{root_lin, "d"}));
  CHECK(code_of(c.call(call_resolve{"/d"})) == errc::not_found);
}

TEST_CASE("gateway_state: what crosses partitions is refused with an explanation",
          "[unit][gateway][gateway_state]") {
  fake_cluster c;
  c.add_gateway();
  lin other;
  for (int i = 0; !other; ++i) { // children of the root are spread
    auto d = must<attributes_are>(
      c.call(call_make{root_lin, "d" + std::to_string(i), inode_of(file_kind::directory)}));
    if (c.partition_of(d.attributes.id).id != group_id{1})
      other = d.attributes.id;
    REQUIRE(i < 50);
  }
  auto f = create(c, "f");
  close(c, f.handle);
  auto moved = c.call(call_rename{root_lin, "f", other, "f"});
  REQUIRE(code_of(moved) == errc::cross_partition);
  CHECK(moved.error().id == trp::cross_partition_rename);
  CHECK(code_of(c.call(call_link{f.attributes->id, other, "f"})) == errc::cross_partition);
}

TEST_CASE("gateway_state: a small file lies in the metadata, a larger one in stripes",
          "[unit][gateway][gateway_state]") {
  fake_cluster c;
  c.add_gateway();
  c.add_gateway();
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{8192}, std::size_t{8193},
                           std::size_t{100'000}, std::size_t{3'000'000}}) {
    auto bytes = noise(size, size + 1);
    auto before = runs_on_drives(c);
    auto f = create(c, "f" + std::to_string(size));
    if (size > 0)
      write(c, f.handle, 0, bytes);
    close(c, f.handle);
    CHECK((runs_on_drives(c) == before) == (size <= 8192));
    CHECK(read_all(c, f.attributes->id, 1) == bytes);
    CHECK(must<attributes_are>(c.call(call_get_attributes{f.attributes->id}, 1)).attributes.size
          == size);
    auto layout = must<layout_is>(c.call(call_get_layout{f.attributes->id}));
    CHECK(layout.inline_data.has_value() == (size > 0 && size <= 8192));
    for (const auto& s : layout.stripes) {
      CHECK(s.layout.shape.parity_units == 2);
      CHECK_FALSE(s.layout.at_risk);
    }
  }
  CHECK(c.gateway().report().leases_held == 0);
  CHECK(c.gateway().report().dirty_bytes == 0);
}

TEST_CASE("gateway_state: one reads one's own buffered writes, others the committed ones",
          "[unit][gateway][gateway_state]") {
  fake_cluster c;
  c.add_gateway();
  c.add_gateway();
  auto f = create(c, "f");
  write(c, f.handle, 0, noise(50'000, 1));
  CHECK(read(c, f.handle, 0, 100'000) == noise(50'000, 1));
  CHECK(must<attributes_are>(c.call(call_get_attributes{f.attributes->id})).attributes.size
        == 50'000);
  // The other's question recalls the lease: he waits and sees what was written.
  CHECK(read_all(c, f.attributes->id, 1) == noise(50'000, 1));
  CHECK(c.gateway().report().leases_held == 0);
  write(c, f.handle, 10, noise(100, 2)); // gets it back
  CHECK(c.gateway().report().leases_held == 1);
  close(c, f.handle);
}

TEST_CASE("gateway_state: a lost unit is reconstructed and told once",
          "[unit][gateway][gateway_state]") {
  fake_cluster c;
  c.add_gateway();
  c.add_gateway();
  auto bytes = noise(2'000'000, 7);
  auto f = create(c, "f");
  write(c, f.handle, 0, bytes);
  close(c, f.handle);
  auto layout = must<layout_is>(c.call(call_get_layout{f.attributes->id}));
  REQUIRE(layout.stripes.size() == 2);
  const auto& units = layout.stripes[0].layout.units;
  c.drive(units[0].run.drive).damage(units[0].run.born, 12'345);
  c.drive(units[3].run.drive).lose(units[3].run.born);
  CHECK(read_all(c, f.attributes->id, 1) == bytes);
  CHECK(read_all(c, f.attributes->id, 1) == bytes);
  c.run_for(1000); // behind the reads
  CHECK(c.damage.size() == 2);
  CHECK(c.repaired.size() == 2);
  CHECK(c.gateway(1).report().units_reconstructed >= 2);
  auto now = must<layout_is>(c.call(call_get_layout{f.attributes->id}));
  for (std::size_t i : {0, 3, 5}) { // one more than the level bears
    const auto& run = now.stripes[0].layout.units[i].run;
    c.drive(run.drive).lose(run.born);
  }
  auto third = c.add_gateway();
  auto h = open(c, f.attributes->id, false, third);
  auto outcome = c.call(call_read{h, 0, 100'000}, third);
  REQUIRE(code_of(outcome) == errc::io_error);
  CHECK(outcome.error().id == trp::data_lost);
  // The second stripe is not touched by that (FAULT-16).
  CHECK(read(c, h, 1 << 20, 1000, third)
        == byte_vector(bytes.begin() + (1 << 20), bytes.begin() + (1 << 20) + 1000));
}

TEST_CASE("gateway_state: a drive that fails mid-write is replaced by another",
          "[unit][gateway][gateway_state]") {
  fake_cluster c;
  c.add_gateway();
  c.drives().begin()->second.failing = true;
  std::next(c.drives().begin(), 6)->second.silent = true;
  auto bytes = noise(8'000'000, 9);
  auto f = create(c, "f");
  for (std::size_t at = 0; at < bytes.size(); at += 1'000'000)
    write(c, f.handle, at,
          byte_vector(bytes.begin() + static_cast<long>(at),
                      bytes.begin() + static_cast<long>(at) + 1'000'000));
  close(c, f.handle);
  CHECK(c.gateway().report().units_replaced > 0);
  CHECK(c.gateway().report().stripes_at_risk == 0);
  std::next(c.drives().begin(), 6)->second.silent = false;
  CHECK(read_all(c, f.attributes->id, 0) == bytes);
}

TEST_CASE("gateway_state: with a node down stripes are narrower and keep their parity",
          "[unit][gateway][gateway_state]") {
  fake_cluster c;
  c.add_gateway();
  auto before = create(c, "before");
  write(c, before.handle, 0, noise(1'600'000, 2));
  close(c, before.handle);
  auto full = must<layout_is>(c.call(call_get_layout{before.attributes->id}));
  CHECK(full.stripes[0].layout.shape == stripe_shape{8, 2, 2});
  c.set_node(node_id{3}, false);
  CHECK(read_all(c, before.attributes->id, 0) == noise(1'600'000, 2));
  auto bytes = noise(1'600'000, 3);
  auto f = create(c, "f");
  write(c, f.handle, 0, bytes);
  close(c, f.handle);
  auto layout = must<layout_is>(c.call(call_get_layout{f.attributes->id}));
  CHECK(layout.stripes[0].layout.shape == stripe_shape{6, 2, 2});
  CHECK(read_all(c, f.attributes->id, 0) == bytes);
  c.set_node(node_id{3}, true);
  c.set_node(node_id{4}, false);
  CHECK(read_all(c, f.attributes->id, 0) == bytes);
}

TEST_CASE("gateway_state: below the level a stripe is marked at risk, never without copies",
          "[unit][gateway][gateway_state]") {
  fake_cluster c{{2, 1, 1}};
  c.add_gateway();
  auto f = create(c, "f");
  write(c, f.handle, 0, noise(100'000, 3));
  close(c, f.handle);
  auto layout = must<layout_is>(c.call(call_get_layout{f.attributes->id}));
  REQUIRE(layout.stripes.size() == 1);
  CHECK(layout.stripes[0].layout.at_risk);
  CHECK(layout.stripes[0].layout.units.size() == 2);
}

TEST_CASE("gateway_state: full drives are an error at close, not a lower level",
          "[unit][gateway][gateway_state]") {
  fake_cluster c{{5, 4, 4, 40, 1}};
  c.add_gateway();
  auto f = create(c, "f");
  for (std::uint64_t i = 0; i < 20; ++i) {
    auto outcome = c.call(call_write{f.handle, i << 20, shared_bytes{noise(1 << 20, i)}});
    if (!outcome)
      CHECK(outcome.error().code == errc::no_space);
  }
  auto closed = c.call(call_flush{f.handle});
  bool told = code_of(closed) == errc::no_space || !c.lost.empty();
  CHECK(told);
  CHECK(c.gateway().report().stripes_at_risk == 0);
}

TEST_CASE("gateway_state: several pieces of which the first finds no room at once",
          "[unit][gateway][gateway_state]") {
  // The map says that no drive has room: the first piece fails before the second one is taken.
  fake_cluster c{{5, 4, 4, 40, 1}};
  c.add_gateway();
  auto full = create(c, "full");
  for (std::uint64_t i = 0;; ++i) {
    REQUIRE(i < 20);
    if (!c.call(call_write{full.handle, i << 20, shared_bytes{noise(1 << 20, i)}})
        || !c.call(call_fsync{full.handle}))
      break;
  }
  auto f = create(c, "f");
  for (std::uint64_t i = 0; i < 20; ++i) // far apart
    (void)c.call(call_write{f.handle, i << 20, shared_bytes{noise(150'000, i)}});
  CHECK(code_of(c.call(call_fsync{f.handle})) == errc::no_space);
  CHECK(must<attributes_are>(c.call(call_get_attributes{f.attributes->id})).attributes.size == 0);
}

TEST_CASE("gateway_state: truncate drops, keeps and shows zeros",
          "[unit][gateway][gateway_state]") {
  fake_cluster c;
  c.add_gateway();
  c.add_gateway();
  auto f = create(c, "f");
  auto id = f.attributes->id;
  auto model = noise(200'000, 5);
  write(c, f.handle, 0, model);
  std::mt19937_64 random{4};
  for (std::uint64_t size : {150'001u, 150'000u, 400'000u, 20'000u, 9'000u, 500u, 700u, 8'192u,
                             8'193u, 0u, 5u, 1'000'000u, 8'000u, 0u, 30'000u}) {
    call_set_attributes change;
    change.id = id;
    change.size = size;
    auto got = must<attributes_are>(c.call(change)).attributes;
    model.resize(size);
    CHECK(got.size == size);
    CHECK(read_all(c, id, 1) == model);
    CHECK(read_all(c, id, 0) == model);
    if (random() % 2 == 0) {
      auto at = random() % 300'000;
      auto piece = noise(random() % 20'000 + 1, size);
      write(c, f.handle, at, piece);
      model.resize(std::max<std::size_t>(model.size(), at + piece.size()));
      std::copy(piece.begin(), piece.end(), model.begin() + static_cast<long>(at));
      CHECK(read_all(c, id, 1) == model);
    }
  }
  close(c, f.handle);
}

TEST_CASE("gateway_state: an unlinked file lives until its last handle",
          "[unit][gateway][gateway_state]") {
  fake_cluster c;
  c.add_gateway();
  auto f = create(c, "f");
  write(c, f.handle, 0, noise(30'000, 1));
  must<done>(c.call(call_unlink{root_lin, "f"}));
  CHECK(read(c, f.handle, 0, 50'000) == noise(30'000, 1));
  write(c, f.handle, 30'000, noise(10, 2));
  auto& partition = c.partition_of(f.attributes->id);
  partition.clean();
  CHECK(read(c, f.handle, 0, 50'000).size() == 30'010);
  close(c, f.handle);
  partition.clean();
  CHECK(code_of(c.call(call_get_attributes{f.attributes->id})) == errc::stale_handle);
}

TEST_CASE("gateway_state: a forgotten client comes back under a new session",
          "[unit][gateway][gateway_state]") {
  fake_cluster c;
  c.add_gateway();
  auto f = create(c, "a");
  write(c, f.handle, 0, noise(100, 1));
  for (auto& [id, p] : c.partitions())
    p.forget(client_id{1});
  // Nobody else wrote: the lease is had again, and nothing is lost.
  must<done>(c.call(call_flush{f.handle}));
  close(c, create(c, "b").handle);
  CHECK(read(c, f.handle, 0, 1000) == noise(100, 1));
  CHECK(c.lost.empty());
}

TEST_CASE("gateway_state: a partition without a majority is an error after a bounded wait",
          "[unit][gateway][gateway_state]") {
  fake_cluster c;
  c.add_gateway();
  auto f = create(c, "f");
  write(c, f.handle, 0, noise(100, 1));
  c.partition(group_id{1}).down = true;
  auto began = c.now().boot.ns;
  auto outcome = c.call(call_lookup{root_lin, "f"});
  REQUIRE(code_of(outcome) == errc::unavailable);
  CHECK(outcome.error().id == trp::no_quorum);
  CHECK(outcome.error().context.find("partition 1") != std::string::npos);
  CHECK(c.now().boot.ns - began <= 31'000'000'000);
  c.partition(group_id{1}).down = false;
  must<attributes_are>(c.call(call_lookup{root_lin, "f"}));
}

TEST_CASE("gateway_state: buffered data are stored without being asked, and in bounded memory",
          "[unit][gateway][gateway_state]") {
  fake_cluster c;
  gateway_options small;
  small.write_buffer_bytes_max = 4 << 20;
  c.add_gateway(small);
  auto f = create(c, "f");
  for (std::uint64_t i = 0; i < 400; ++i) { // 128 KiB of memory each
    write(c, f.handle, i * 200'000, noise(10, i));
    CHECK(c.gateway().report().dirty_bytes <= 4 << 20);
  }
  CHECK(c.gateway().report().commits > 0);
  c.run_for(10'000);
  CHECK(c.gateway().report().dirty_bytes == 0);
  close(c, f.handle);
}

TEST_CASE("gateway_state: an interrupted wait for a lease ends", "[unit][gateway][gateway_state]") {
  fake_cluster c;
  c.add_gateway();
  c.add_gateway();
  auto f = create(c, "f");
  write(c, f.handle, 0, noise(100, 1));
  for (auto& [id, d] : c.drives())
    d.silent = true; // whoever holds the lease cannot flush quickly
  write(c, f.handle, 0, noise(100'000, 1));
  auto h = open(c, f.attributes->id, true, 1);
  auto token = c.begin(call_write{h, 0, shared_bytes{noise(10, 3)}}, 1);
  c.run_for(500);
  CHECK_FALSE(c.finished(token));
  c.interrupt(token, 1);
  c.run_for(500);
  REQUIRE(c.finished(token));
  CHECK(code_of(c.finish(token)) == errc::interrupted);
}

TEST_CASE("gateway_state: shutting down stores everything and gives leases back",
          "[unit][gateway][gateway_state]") {
  fake_cluster c;
  c.add_gateway();
  c.add_gateway();
  auto f = create(c, "f");
  write(c, f.handle, 0, noise(1'500'000, 1));
  must<done>(c.shut_down(0));
  CHECK(c.gateway().report().leases_held == 0);
  c.kill_gateway(0);
  CHECK(read_all(c, f.attributes->id, 1) == noise(1'500'000, 1));
}
