#include "storage/base/coding.hpp"
#include "tests/actors/group/replica_world.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

namespace troupe::test {

namespace {

constexpr std::uint64_t tick_ns = 10'000'000;
constexpr std::size_t rows_per_batch = 8;
constexpr std::size_t row_bytes = 8192;
constexpr std::size_t keys = 300;

void fold_rows(row_map& into, const table_batch& rows) {
  for (const auto& row : rows)
    if (row.value)
      into[row.key] = *row.value;
    else
      into.erase(row.key);
}

} // namespace

shared_bytes encode_rows(const table_batch& rows) {
  byte_vector bytes;
  byte_writer out{bytes};
  out.put(static_cast<std::uint32_t>(rows.size()));
  for (const auto& row : rows) {
    out.put_text(row.key).put(std::uint8_t{row.value.has_value()});
    if (row.value)
      out.put_text(*row.value);
  }
  return shared_bytes{std::move(bytes)};
}

table_batch decode_rows(byte_view command) {
  byte_reader in{command};
  table_batch rows(in.get<std::uint32_t>());
  for (auto& row : rows) {
    row.key = in.get_text();
    if (in.get<std::uint8_t>() != 0)
      row.value = in.get_text();
  }
  REQUIRE(in.done());
  return rows;
}

// -- row_replica ----------------------------------------------------------------------------------

expected<proposal_token> row_replica::put(const table_batch& rows) {
  auto command = encode_rows(rows);
  return propose({&command, 1});
}

void row_replica::on_role(const role_changed& role) {
  ++leaders_heard;
  lost_its_leader += role.leader ? 0 : 1;
}

void row_replica::on_command(const apply_command& command) {
  ++applied;
  apply_rows(decode_rows(command.command.view()), command.index);
}

void row_replica::on_proposal(const proposal_finished& result) {
  outcomes[result.token] = result.outcome;
}

// -- valve_io -------------------------------------------------------------------------------------

valve_io::valve_io(reactor& loop)
  : io_(make_file_io(loop, {})), read_only_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

valve_io::~valve_io() {
  io_.reset();
  ::close(read_only_);
}

void valve_io::read(int fd, std::uint64_t offset, std::span<std::byte> into, read_done done) {
  io_->read(fd, offset, into, std::move(done));
}

void valve_io::write(int fd, std::vector<io_write> writes, bool sync, write_done done) {
  if (holding_)
    held_.push_back({fd, std::move(writes), sync, std::move(done)});
  else
    io_->write(failing_ ? read_only_ : fd, std::move(writes), sync, std::move(done));
}

void valve_io::release() {
  holding_ = false;
  for (auto& w : std::exchange(held_, {}))
    write(w.fd, std::move(w.writes), w.sync, std::move(w.done));
}

// -- replica_world --------------------------------------------------------------------------------

replica_world_options::replica_world_options() {
  metadata.journal.segment_bytes = mib;
  metadata.journal.segment_count = 6;
  metadata.journal.batch_bytes_max = 128 * kib;
  metadata.volume.laggard_segments = 2;
  metadata.volume.tables.chunk_bytes = 64 * kib;
  metadata.leveldb.write_buffer_bytes = mib;
  replicas.checkpoint_bytes = mib;
  replicas.journal_margin_bytes = 256 * kib;
  replicas.consensus.election_timeout_ms = 300;
  replicas.consensus.heartbeat_ms = 50;
  replicas.consensus.install_timeout_ms = 300;
}

replica_world::replica_world(replica_world_options options)
  : options_(std::move(options)), directory_("/tmp/troupe_replica_XXXXXX") {
  REQUIRE(::mkdtemp(directory_.data()) != nullptr);
  for (std::size_t node = 0; node < options_.nodes; ++node)
    make_drive(node);
}

replica_world::~replica_world() {
  residents_.clear();
  for (auto& d : drives_)
    d->volume.reset();
  for (int i = 0; i < 1000 && pool_.in_flight() > 0; ++i)
    loop.run_once(10);
  drives_.clear();
  std::filesystem::remove_all(directory_);
}

/// As `cluster create` does it.
void replica_world::make_drive(std::size_t node) {
  auto made = std::make_unique<drive>(loop);
  made->id.bytes.fill(static_cast<std::uint8_t>(node + 1));
  made->directory = directory_ + "/" + std::to_string(node);
  auto journal_directory = made->directory + "/" + metadata_paths::journal;
  const auto& options = options_.metadata;
  REQUIRE(files_.make_directory(journal_directory));
  REQUIRE(create_journal(files_, journal_directory, made->id, options.journal));
  auto journal = open_journal(files_, journal_directory, made->id, options.journal);
  REQUIRE(journal);
  for (auto group : options_.groups) {
    group_configuration voters;
    for (std::size_t n = 0; n < options_.nodes; ++n)
      voters.members.push_back({id_of(group, n), member_role::voter});
    REQUIRE(
      journal->state.create_replica(id_of(group, node), group_id{group}, bootstrap_state(voters)));
  }
  REQUIRE(flush_journal(*journal));
  REQUIRE(
    leveldb_engine::open(made->directory + "/" + metadata_paths::tables, true, options.leveldb));
  auto volume = open_metadata_volume(files_, made->directory, made->id, options, made->io, pool_);
  REQUIRE(volume);
  made->volume = std::move(*volume);
  drives_.push_back(std::move(made));
  for (auto& [id, found] : drives_[node]->volume->take_replicas()) {
    auto& r = residents_[id];
    r.self = {found.group, id, drives_[node]->id};
    r.node = node;
    start(r, std::move(found.state));
  }
}

void replica_world::start(resident& r, durable_state state) {
  replica_services services;
  services.time = &loop.time();
  services.volume = drives_[r.node]->volume.get();
  services.send = [this](consensus_parcel parcel) {
    loop.post([this, parcel = std::move(parcel)] { deliver(parcel); });
  };
  services.pull = [this, to = r.self.replica](const pull_state& request, auto done) {
    pull(to, request, std::move(done));
  };
  services.node_lease_until = [] { return boot_time{UINT64_MAX}; };
  services.event = [this](event_severity, const std::string& name, auto fields) {
    events_.push_back({fields["replica"], name, fields["why"]});
  };
  r.replica = std::make_unique<row_replica>(r.self, std::move(services), options_.replicas);
  r.replica->open(std::move(state));
}

void replica_world::deliver(consensus_parcel parcel) {
  auto from = residents_.find(parcel.from);
  auto to = residents_.find(parcel.to);
  if (from == residents_.end() || to == residents_.end() || !to->second.replica
      || cut_off_.contains(from->second.node) || cut_off_.contains(to->second.node)
      || (on_parcel && !on_parcel(parcel)))
    return;
  to->second.replica->receive(parcel.from, std::move(parcel.message));
}

/// There and back again, each way in a turn of its own.
void replica_world::pull(replica_id to, const pull_state& request,
                         std::function<void(expected<state_piece>)> done) {
  auto answer = [this, to, request, done = std::move(done)](expected<state_piece> piece) {
    loop.post([this, to, request, done, piece = std::move(piece)]() mutable {
      if (!on_piece || on_piece(to, request, piece))
        done(std::move(piece));
    });
  };
  loop.post([this, request, answer = std::move(answer)] {
    auto source = residents_.find(request.source);
    if (source == residents_.end() || !source->second.replica
        || cut_off_.contains(source->second.node))
      return answer(error{errc::unavailable, "the source is away"});
    source->second.replica->serve_pull(request, answer);
  });
}

row_replica* replica_world::at(std::uint32_t group, std::size_t node) {
  return residents_.at(id_of(group, node)).replica.get();
}

std::optional<std::size_t> replica_world::leader_node(std::uint32_t group) {
  for (std::size_t node = 0; node < options_.nodes; ++node)
    if (auto* r = at(group, node); r != nullptr && r->ready() && !cut_off_.contains(node))
      return node;
  return {};
}

row_replica* replica_world::leader(std::uint32_t group) {
  auto node = leader_node(group);
  return node ? at(group, *node) : nullptr;
}

void replica_world::turn() {
  loop.run_once(1);
  auto now = loop.time().boot();
  if (now.ns < ticked_at_.ns + tick_ns)
    return;
  ticked_at_ = now;
  for (auto& d : drives_)
    d->volume->tick();
  for (auto& [id, r] : residents_)
    if (r.replica && !not_ticked.contains(id))
      r.replica->tick();
}

void replica_world::turns_for_ms(std::uint64_t ms) {
  auto end = loop.time().boot().ns + ms * 1'000'000;
  while (loop.time().boot().ns < end)
    turn();
}

void replica_world::give_up(const char* what) {
  std::string state;
  for (auto& [id, r] : residents_) {
    state += "\nreplica " + std::to_string(id.value);
    if (!r.replica) {
      state += " away";
      continue;
    }
    auto report = r.replica->report();
    state += std::string{r.replica->finished() ? " finished" : ""} + " role "
             + std::string{to_string(report.role)} + " term " + std::to_string(report.term)
             + " leader " + std::to_string(report.leader.value) + " last "
             + std::to_string(r.replica->raft().last_index()) + " commit "
             + std::to_string(report.commit_index) + " applied "
             + std::to_string(report.applied_index) + " checkpoint "
             + std::to_string(report.checkpoint_index);
  }
  for (auto& d : drives_) {
    state += "\njournal with " + std::to_string(d->volume->journal_counts().bytes)
             + " bytes written admits 64 KiB: " + std::to_string(d->volume->admits(64 * kib));
    for (const auto& laggard : d->volume->laggards())
      state += ", replica " + std::to_string(laggard.replica.value) + " keeps "
               + std::to_string(laggard.segments) + " segments, may write again "
               + std::to_string(laggard.rewrite_bytes_max);
  }
  for (std::size_t i = events_.size() - std::min<std::size_t>(events_.size(), 30);
       i < events_.size(); ++i)
    state += "\n" + events_[i].replica + ": " + events_[i].name + " " + events_[i].why;
  FAIL("waited in vain: " << what << state);
  std::abort();
}

void replica_world::destroy(std::uint32_t group, std::size_t node) {
  residents_.at(id_of(group, node)).replica.reset();
}

void replica_world::recover(std::uint32_t group, std::size_t node) {
  auto id = id_of(group, node);
  REQUIRE(at(group, node) == nullptr);
  volume(node).recover(id, [this, id](expected<recovered_replica> found) {
    REQUIRE(found);
    start(residents_.at(id), std::move(found->state));
  });
}

void replica_world::cut_off(std::size_t node, bool cut) {
  if (cut)
    cut_off_.insert(node);
  else
    cut_off_.erase(node);
}

bool replica_world::try_write(std::uint32_t group, const table_batch& rows) {
  for (int tries = 0; tries < 1000; ++tries) {
    bool full = false;
    std::optional<std::size_t> node;
    proposal_token token;
    until("a proposal is taken", [&] {
      node = leader_node(group);
      if (!node)
        return false;
      auto taken = at(group, *node)->put(rows);
      full =
        !taken && taken.error().code == errc::busy && taken.error().context == "journal is full";
      if (taken)
        token = *taken;
      return taken || full;
    });
    if (full)
      return false;
    auto* writer = at(group, *node);
    until("a proposal ends", [&] {
      return at(group, *node) != writer || writer->finished() || writer->outcomes.contains(token);
    });
    if (at(group, *node) != writer || !writer->outcomes.contains(token)
        || writer->outcomes.at(token) != proposal_outcome::committed)
      continue; // it may have happened: the same rows again do no harm
    fold_rows(committed_[group], rows);
    return true;
  }
  give_up("a batch is committed");
}

void replica_world::write(std::uint32_t group, const table_batch& rows) {
  until("the journal has room", [&] { return try_write(group, rows); });
}

table_batch replica_world::next_rows() {
  table_batch rows;
  for (std::size_t i = 0; i < rows_per_batch; ++i) {
    auto number = ++written_;
    table_change row{"key" + std::to_string(number * 7919 % keys), {}};
    if (number % 13 != 0)
      row.value = std::to_string(number) + std::string(row_bytes, 'a');
    rows.push_back(std::move(row));
  }
  return rows;
}

void replica_world::write_much(std::uint32_t group, std::uint64_t bytes) {
  for (std::uint64_t done = 0; done < bytes; done += rows_per_batch * row_bytes)
    write(group, next_rows());
}

std::vector<table_id> replica_world::tables(std::size_t node) {
  std::optional<expected<std::vector<table_id>>> found;
  volume(node).tables().present([&](auto x) { found = std::move(x); });
  volume(node).pump();
  until("tables are counted", [&] { return found.has_value(); });
  REQUIRE(*found);
  return std::move(**found);
}

row_map replica_world::rows(std::uint32_t group, std::size_t node) {
  row_map out;
  auto* replica = at(group, node);
  REQUIRE(replica != nullptr);
  table_range range{"", "\xff", 50, false};
  for (;;) {
    auto found = volume(node).tables().scan(replica->table(), range);
    if (found.missing) {
      std::optional<expected<void>> loaded;
      volume(node).tables().load(replica->table(), {{}, {*found.missing}},
                                 [&](expected<void> result) { loaded = result; });
      volume(node).pump();
      until("rows are loaded", [&] { return loaded.has_value(); });
      REQUIRE(*loaded);
      continue;
    }
    for (auto& row : found.rows)
      out[row.key] = row.value;
    if (!found.more)
      return out;
    range.begin = found.rows.back().key + '\0';
  }
}

void replica_world::catch_up(std::uint32_t group, std::size_t node, std::uint64_t ms) {
  until(
    "a replica catches up",
    [&] {
      auto* first = leader(group);
      auto* other = at(group, node);
      return first != nullptr && other != nullptr && !other->finished()
             && other->raft().last_applied() == first->raft().last_applied();
    },
    ms);
}

void replica_world::check_all(std::uint32_t group) {
  for (std::size_t node = 0; node < options_.nodes; ++node) {
    catch_up(group, node);
    INFO("group " << group << " node " << node);
    CHECK((rows(group, node) == committed_[group]));
  }
}

std::uint64_t replica_world::events(const std::string& name, const std::string& part_of_why) const {
  std::uint64_t count = 0;
  for (const auto& e : events_)
    count += e.name == name && e.why.find(part_of_why) != std::string::npos ? 1 : 0;
  return count;
}

std::uint64_t replica_world::refused() const {
  std::uint64_t count = 0;
  for (const auto& d : drives_)
    count += d->volume->journal_counts().refused;
  return count;
}

bool replica_world::nobody_finished() const {
  for (const auto& [id, r] : residents_)
    if (r.replica && r.replica->finished())
      return false;
  return true;
}

} // namespace troupe::test

using namespace troupe;
using namespace troupe::test;

TEST_CASE("replica: what a group commits, all its replicas have in their tables",
          "[actor][replica]") {
  CHECK(decode_rows(encode_rows({{"a", "1"}, {"b", {}}}).view())
        == table_batch{{"a", "1"}, {"b", {}}});
  replica_world world;
  world.write(1, {{"a", "1"}, {"b", "2"}});
  world.write(2, {{"a", "other group"}});
  world.write(1, {{"b", {}}, {"c", "3"}});
  CHECK(world.committed(1) == row_map{{"a", "1"}, {"c", "3"}});
  world.check_all(1);
  world.check_all(2);
}
