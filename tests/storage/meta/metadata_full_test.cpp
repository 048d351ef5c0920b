#include "tests/storage/meta/meta_harness.hpp"
#include "tests/storage/meta/table_fixture.hpp"

using namespace troupe;
using troupe::test::meta_harness;

// hazards F31: who cannot delete never gets room again.
TEST_CASE("metadata_full: growth is refused for good, deletes and truncates are not",
          "[unit][metadata_full]") {
  meta_harness m;
  auto file = m.create(root_lin, "f");
  m.create(root_lin, "g");
  m.must<entry_found>(op_create{root_lin, "d", {file_kind::directory}, false});
  m.context.metadata_full = true;
  CHECK(m.refused(op_create{root_lin, "h", {}, false}) == errc::no_space);
  CHECK(m.last_recorded);
  CHECK(m.refused(op_create{root_lin, "e", {file_kind::directory}, false}) == errc::no_space);
  CHECK(m.refused(op_create_detached_directory{slot_id{5}, root_lin, {file_kind::directory}})
        == errc::no_space);
  CHECK(m.refused(op_link{root_lin, "l", file}) == errc::no_space);
  op_commit_write write;
  write.id = file;
  write.inline_data = byte_vector(100);
  write.size_at_least = 100;
  CHECK(m.refused(write) == errc::no_space);

  CHECK(m.refused(op_register_client{}) == errc::none); // one must come in order to delete
  op_commit_write cut;
  cut.id = file;
  cut.truncate_to = 0;
  CHECK(m.refused(cut) == errc::none);
  op_commit_write closing;
  closing.id = file;
  closing.release_lease = true;
  CHECK(m.refused(closing) == errc::none);
  CHECK(m.refused(op_rename{root_lin, "f", root_lin, "i"}) == errc::none);
  CHECK(m.refused(op_unlink{root_lin, "g", {}}) == errc::none);
  CHECK(m.refused(op_remove_directory{root_lin, "d"}) == errc::none);
  CHECK(m.refused(op_lookup{root_lin, "i"}) == errc::none);
  m.clean_all();
  CHECK(m.refused(op_lookup{root_lin, "h"}) == errc::not_found);

  m.context.metadata_full = false;
  CHECK(m.refused(op_create{root_lin, "h", {}, false}) == errc::none);
}

TEST_CASE("metadata_full: a change that was made before is answered as it was then",
          "[unit][metadata_full]") {
  meta_harness m;
  auto made = m.must<entry_found>(op_create{root_lin, "f", {}, false});
  m.context.metadata_full = true;
  auto again = evaluate(op_create{root_lin, "f", {}, false}, m.context, m.rows);
  auto& outcome = std::get<evaluation>(again).outcome;
  REQUIRE(std::holds_alternative<meta_result>(outcome));
  CHECK(std::get<entry_found>(std::get<meta_result>(outcome)).child == made.child);
}

TEST_CASE("leveldb_engine: deleted rows take no room after a compaction",
          "[unit][leveldb_engine]") {
  test::scratch_directory directory;
  auto engine =
    leveldb_engine::open(directory.path() + "/tables", true, {.write_buffer_bytes = 64 << 10});
  REQUIRE(engine);
  auto change = [&](bool remove) {
    for (int i = 0; i < 2000; ++i) {
      engine_batch batch{table_id{}, {}};
      auto key = "key" + std::to_string(i);
      batch.changes.push_back(
        {key, remove ? std::optional<std::string>{} : std::string(1000, 'x')});
      REQUIRE((*engine)->write({&batch, 1}));
    }
    REQUIRE((*engine)->flush());
  };
  change(false);
  auto filled = (*engine)->room();
  REQUIRE(filled);
  CHECK(filled->used_bytes > 2'000'000);
  CHECK(filled->free_bytes > 0);
  change(true);
  (*engine)->compact();
  auto left = (*engine)->room();
  REQUIRE(left);
  CHECK(left->used_bytes < 500'000);
}
