#include "actors/kit/reactor.hpp"
#include "actors/metadata/open_volume.hpp"
#include "storage/base/posix_env.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>

using namespace troupe;

namespace {

/// A drive's directory with an empty journal and no tables, as `cluster create` makes it.
class volume_rig {
public:
  volume_rig() {
    REQUIRE(::mkdtemp(directory_.data()) != nullptr);
    options.journal.segment_bytes = mib;
    options.journal.segment_count = 8;
    options.journal.batch_bytes_max = 128 * kib;
    id.bytes.fill(7);
    REQUIRE(files.make_directory(path(metadata_paths::journal)));
    REQUIRE(create_journal(files, path(metadata_paths::journal), id, options.journal));
    REQUIRE(leveldb_engine::open(path(metadata_paths::tables), true, options.leveldb));
  }
  ~volume_rig() {
    for (int i = 0; i < 1000 && pool.in_flight() > 0; ++i)
      loop.run_once(10);
    std::filesystem::remove_all(directory_);
  }

  std::string path(const char* name) const { return directory_ + "/" + name; }
  expected<std::unique_ptr<metadata_volume>> open() {
    return open_metadata_volume(files, directory_, id, options, *io, pool);
  }
  template <class Predicate>
  void until(Predicate holds) {
    for (int turns = 0; !holds(); ++turns) {
      REQUIRE(turns < 5000);
      loop.run_once(1);
    }
  }
  std::vector<table_id> tables(metadata_volume& volume) {
    std::vector<table_id> out;
    bool done = false;
    volume.tables().present([&](expected<std::vector<table_id>> found) {
      REQUIRE(found);
      out = std::move(*found);
      done = true;
    });
    volume.pump();
    until([&] { return done; });
    return out;
  }

  posix_env files;
  reactor loop;
  worker_pool pool{loop, {2, 4096}};
  std::unique_ptr<file_io> io = make_file_io(loop, {});
  drive_uuid id;
  metadata_options options;

private:
  std::string directory_ = "/tmp/troupe_volume_XXXXXX";
};

} // namespace

TEST_CASE("metadata_volume: tables that no replica of the journal owns go when it is opened",
          "[actor][metadata_volume]") {
  // A crash may leave a pulled state without its switch, a table behind a switch, or the table of
  // a replica that was removed.
  volume_rig rig;
  auto mine = table_of(replica_id{5}, 2);
  {
    auto journal =
      open_journal(rig.files, rig.path(metadata_paths::journal), rig.id, rig.options.journal);
    REQUIRE(journal);
    durable_state state;
    state.checkpoint.state_id = 2;
    REQUIRE(journal->state.create_replica(replica_id{5}, group_id{1}, state));
    REQUIRE(flush_journal(*journal));
    auto engine =
      leveldb_engine::open(rig.path(metadata_paths::tables), false, rig.options.leveldb);
    REQUIRE(engine);
    std::vector<engine_batch> batches;
    for (auto table : {table_of(replica_id{4}, 2), table_of(replica_id{5}, 1), mine,
                       table_of(replica_id{5}, 3), table_of(replica_id{6}, 2)})
      batches.push_back({table, {{"a", "1"}, {"b", "2"}}});
    REQUIRE((*engine)->write(batches));
    REQUIRE((*engine)->tables()->size() == 5);
  }
  auto volume = rig.open();
  REQUIRE(volume);
  REQUIRE((*volume)->take_replicas().size() == 1);
  rig.until([&] { return rig.tables(**volume) == std::vector{mine}; });
  (*volume)->tables().open(mine, 0);
  bool loaded = false;
  (*volume)->tables().load(mine, {{"a", "b"}, {}},
                           [&](const expected<void>& x) { loaded = bool{x}; });
  (*volume)->pump();
  rig.until([&] { return loaded; });
  CHECK((*volume)->tables().get(mine, "a").value == "1");
  CHECK((*volume)->tables().get(mine, "b").value == "2");
}

TEST_CASE("metadata_volume: options under which a full journal is never noticed are refused",
          "[actor][metadata_volume]") {
  volume_rig rig; // 8 segments, 2 of them in reserve
  for (std::uint64_t segments : {0u, 6u, 100u}) {
    rig.options.volume.laggard_segments = segments;
    auto refused = rig.open();
    REQUIRE(!refused);
    CHECK(refused.error().code == errc::invalid_argument);
    CHECK(refused.error().context
          == "volume option laggard_segments: " + std::to_string(segments)
               + ", must be 1 to 5 with 8 segments, of which 2 are kept in reserve");
  }
  for (std::uint64_t segments : {1u, 5u}) {
    rig.options.volume.laggard_segments = segments;
    CHECK(rig.open());
  }
  CHECK(
    check(volume_options{}, journal_options{}.segment_count, journal_options{}.reserve_segments));
}
