#include "tests/cluster/gateway/fake_cluster.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

// Goal: whatever drives, leaders, leases and messages do, as long as it stays within the level,
// every read gives what the last acknowledged writes made, on every client, and nothing that was
// acknowledged as durable is lost.
// Method: two or three gateways work on a few files of a cluster with the real evaluation, layout
// and codec, one call at a time, so that a plain array is the model of each file; harm comes
// between the calls and inside them.

using namespace troupe;
using test::fake_cluster;

namespace {

constexpr std::size_t file_bytes_max = 2'600'000;

struct model_file {
  lin id;
  byte_vector content;
};

class model_run {
public:
  explicit model_run(std::uint64_t seed)
    : random_(seed * 7919), cluster_({5, 4, 4, 100'000, seed}) {
    gateway_options options;
    options.write_buffer_bytes_max = 8 * mib;
    options.read_cache_bytes_max = 2 * mib;
    for (int i = 0; i < 3; ++i)
      cluster_.add_gateway(options);
    handles_.resize(3);
    for (int i = 0; i < 3; ++i) {
      new_inode inode;
      inode.mode = 0644;
      handle_mode mode;
      mode.write = true;
      auto opened = must<file_opened>(
        cluster_.call(call_create{root_lin, "f" + std::to_string(i), inode, mode}, 0));
      files_.push_back({opened.attributes->id, {}});
      handles_[0].push_back(opened.handle);
      for (std::size_t c = 1; c < 3; ++c)
        handles_[c].push_back(
          must<file_opened>(cluster_.call(call_open{files_.back().id, mode}, c)).handle);
    }
  }

  void step() {
    auto client = pick(3);
    auto which = pick(files_.size());
    auto& file = files_[which];
    auto handle = handles_[client][which];
    switch (pick(12)) {
    case 0:
    case 1:
    case 2:
    case 3: write(client, file, handle); break;
    case 4:
    case 5:
    case 6: read(client, file, handle); break;
    case 7: must<done>(call(call_fsync{handle}, client)); break;
    case 8: must<done>(call(call_flush{handle}, client)); break;
    case 9: truncate(client, file); break;
    case 10: reopen(client, which); break;
    case 11: harm(); break;
    }
    REQUIRE(cluster_.lost.empty());
  }

  /// Everything is committed; a client that was never there reads all of it.
  void finish() {
    heal();
    for (std::size_t client = 0; client < 3; ++client)
      for (auto handle : handles_[client]) {
        must<done>(cluster_.call(call_flush{handle}, client));
        must<done>(cluster_.call(call_release{handle}, client));
      }
    for (std::size_t client = 0; client < 3; ++client) {
      auto report = cluster_.gateway(client).report();
      CHECK(report.dirty_bytes == 0);
      CHECK(report.leases_held == 0);
      CHECK(report.open_handles == 0);
    }
    auto reader = cluster_.add_gateway();
    for (auto& file : files_) {
      auto handle = must<file_opened>(cluster_.call(call_open{file.id, {}}, reader)).handle;
      auto got = read_bytes(reader, handle, 0, static_cast<std::uint32_t>(file_bytes_max + 1));
      REQUIRE(got == file.content);
    }
    heal();
    cluster_.run_for(60'000); // frees and abandons arrive
    check_runs();
  }

private:
  template <class T>
  T must(expected<call_result> outcome) {
    if (!outcome)
      FAIL(describe(outcome.error()));
    REQUIRE(std::holds_alternative<T>(*outcome));
    return std::get<T>(std::move(*outcome));
  }
  std::size_t pick(std::size_t below) { return random_() % below; }
  /// A call; now and then harm comes while it is under way.
  expected<call_result> call(file_call what, std::size_t client) {
    auto token = cluster_.begin(std::move(what), client);
    if (pick(8) == 0) {
      cluster_.run_for(pick(4));
      harm();
    }
    return cluster_.finish(token);
  }

  byte_vector some_bytes() {
    static constexpr std::size_t kinds[] = {100, 5'000, 8'192, 40'000, 200'000, 1'200'000};
    byte_vector out(pick(kinds[pick(6)]) + 1);
    auto value = random_();
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<std::byte>(value >> (i % 8 * 8) ^ i / 251);
    return out;
  }

  void write(std::size_t client, model_file& file, file_handle handle) {
    auto bytes = some_bytes();
    bool append = pick(4) == 0;
    std::size_t at = append ? file.content.size() : pick(file.content.size() + 20'000);
    if (pick(3) == 0)
      at = at / block_bytes * block_bytes;
    if (append)
      at = file.content.size();
    if (at + bytes.size() > file_bytes_max)
      return;
    call_write what{handle, append ? 0 : at, shared_bytes{bytes}};
    what.append = append;
    what.durable = pick(6) == 0;
    must<bytes_written>(call(std::move(what), client));
    file.content.resize(std::max(file.content.size(), at + bytes.size()));
    std::copy(bytes.begin(), bytes.end(), file.content.begin() + static_cast<long>(at));
  }

  byte_vector read_bytes(std::size_t client, file_handle handle, std::uint64_t at,
                         std::uint32_t count) {
    auto got = must<bytes_read>(call(call_read{handle, at, count}, client));
    byte_vector out;
    for (const auto& part : got.parts)
      out.insert(out.end(), part.view().begin(), part.view().end());
    return out;
  }

  void read(std::size_t client, model_file& file, file_handle handle) {
    auto size = file.content.size();
    auto at = pick(size + 1000);
    auto count = pick(2) ? pick(300'000) + 1 : pick(10'000) + 1;
    auto got = read_bytes(client, handle, at, static_cast<std::uint32_t>(count));
    byte_vector wanted;
    if (at < size)
      wanted.assign(file.content.begin() + static_cast<long>(at),
                    file.content.begin() + static_cast<long>(std::min(size, at + count)));
    REQUIRE(got.size() == wanted.size());
    REQUIRE(got == wanted);
  }

  void truncate(std::size_t client, model_file& file) {
    static constexpr std::size_t kinds[] = {1, 8'000, 9'000, 100'000, 1'500'000};
    call_set_attributes change;
    change.id = file.id;
    change.size = pick(kinds[pick(5)]);
    auto got = must<attributes_are>(call(change, client)).attributes;
    CHECK(got.size == *change.size);
    file.content.resize(*change.size);
  }

  void reopen(std::size_t client, std::size_t which) {
    auto& handle = handles_[client][which];
    must<done>(call(call_flush{handle}, client));
    must<done>(cluster_.call(call_release{handle}, client));
    handle_mode mode;
    mode.write = true;
    handle = must<file_opened>(cluster_.call(call_open{files_[which].id, mode}, client)).handle;
  }

  void harm() {
    switch (pick(9)) {
    case 0: cluster_.change_leader(group_id{static_cast<std::uint32_t>(pick(4) + 1)}); break;
    case 1: heal(); break;
    case 2: one_node_down(); break;
    case 3:
      if (!node_down_)
        some_drive().failing = true;
      break;
    case 4:
      if (!node_down_)
        some_drive().silent = true;
      break;
    case 5: cluster_.lose_answers = 0.05; break;
    case 6: cluster_.lose_requests = 0.05; break;
    case 7: cluster_.run_for(pick(9'000)); break;
    case 8: cluster_.lose_stores = 0.02; break;
    }
  }
  /// At most one drive is bad at a time, or one node: within +2d:1n with room for what a healed
  /// drive may have missed.
  test::fake_drive& some_drive() {
    for (auto& [id, d] : cluster_.drives())
      d.failing = d.silent = false;
    return std::next(cluster_.drives().begin(), static_cast<long>(pick(20)))->second;
  }
  void one_node_down() {
    heal();
    node_down_ = node_id{static_cast<std::uint32_t>(pick(5) + 1)};
    cluster_.set_node(*node_down_, false);
  }
  void heal() {
    for (auto& [id, d] : cluster_.drives())
      d.failing = d.silent = false;
    if (node_down_)
      cluster_.set_node(*node_down_, true);
    node_down_.reset();
    cluster_.lose_answers = cluster_.lose_requests = cluster_.lose_stores = 0;
    cluster_.push_view(true);
  }

  /// Every run that a file names is there, once; leaks are allowed, shared runs are not.
  void check_runs() {
    std::set<run_ref> named;
    for (auto& file : files_) {
      auto layout = must<layout_is>(cluster_.call(call_get_layout{file.id}, 0));
      for (const auto& stripe : layout.stripes) {
        CHECK(stripe.layout.shape.parity_units == 2);
        for (const auto& unit : stripe.layout.units) {
          CHECK(named.insert(unit.run).second);
          CHECK(cluster_.drive(unit.run.drive).runs().contains(unit.run.born));
        }
      }
    }
  }

  std::mt19937_64 random_;
  fake_cluster cluster_;
  std::vector<model_file> files_;
  std::vector<std::vector<file_handle>> handles_;
  std::optional<node_id> node_down_;
};

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

} // namespace

TEST_CASE("gateway_state: every read gives what the last writes made, whatever fails",
          "[unit][gateway][gateway_state][gateway_model]") {
  auto first = from_environment("TROUPE_SEED", 1);
  auto count = from_environment("TROUPE_SEEDS", 12);
  for (auto seed = first; seed < first + count; ++seed) {
    INFO("seed " << seed << " (TROUPE_SEED=" << seed << " TROUPE_SEEDS=1 replays it)");
    model_run run{seed};
    for (int i = 0; i < 150; ++i)
      run.step();
    run.finish();
  }
}
