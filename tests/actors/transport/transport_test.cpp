#include "tests/actors/transport/transport_fixture.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

drive_uuid some_drive() {
  drive_uuid d;
  d.bytes.fill(3);
  return d;
}

/// Node 1 and node 2 on one loop, node 1 with a link to node 2.
struct two_nodes {
  reactor loop;
  test_cluster cluster;
  member a{loop, cluster, peer_role::node, 1};
  member b{loop, cluster, peer_role::node, 2};
  node_id to_b{2};

  bool connect() {
    a->open_link(to_b, b->address());
    return run_until(loop, [&] { return a->find_link(to_b)->up(); });
  }
  /// Node 2 keeps runs in memory.
  void serve_runs() {
    b->messages().on_request<store_run>(
      [this](const request_context& context, store_run&& m, responder<store_run> answer) {
        seen = context;
        stored = m.data;
        answer(run_stored{
          run_ref{m.drive, 1, static_cast<std::uint32_t>(m.data.size() / 8192), birth{++births}}});
      });
    b->messages().on_request<read_run>(
      [this](const request_context&, read_run&&, responder<read_run> answer) {
        answer(run_data{{1, 2, 3}, stored});
      });
  }
  request_context seen;
  shared_bytes stored;
  std::uint64_t births = 0;
};

template <class T>
struct answer_slot {
  std::optional<expected<answer_of<T>>> value;
  answer_callback<T> taker() {
    return [this](expected<answer_of<T>> x) { value = std::move(x); };
  }
  bool has() const { return value.has_value(); }
  errc code() const { return *value ? errc::none : value->error().code; }
};

} // namespace

TEST_CASE_METHOD(two_nodes, "transport: a request is answered and says who asked",
                 "[actor][transport]") {
  REQUIRE(connect());
  serve_runs();
  trace_scope trace{{trace_id{77}, 5}};
  answer_slot<store_run> got;
  trace_context after;
  a->request(to_b, 9, store_run{some_drive(), {}, lin{1}, {1}, shared_bytes{pattern(8192, 1)}}, {},
             answer_callback<store_run>{[&](expected<run_stored> x) {
               after = current_trace();
               got.value = std::move(x);
             }});
  CHECK_FALSE(got.has()); // never inside the call
  REQUIRE(run_until(loop, [&] { return got.has(); }));
  REQUIRE(*got.value);
  CHECK((*got.value)->run.born == birth{1});
  CHECK(seen.peer == certified_identity{cluster.ca().cluster(), peer_role::node, 1});
  CHECK(seen.target == 9);
  CHECK(seen.trace.id == trace_id{77});
  CHECK(after.id == trace_id{77}); // the answer continues the trace
  CHECK_FALSE(seen.local);
}

TEST_CASE_METHOD(two_nodes, "transport: 1 MiB goes both ways unchanged, clear or encrypted",
                 "[actor][transport]") {
  bool encrypt = GENERATE(false, true);
  auto options = quick_options();
  options.encryption = encrypt ? backend_encryption::always : backend_encryption::never;
  member c{loop, cluster, peer_role::node, 3, options};
  c->open_link(to_b, b->address());
  serve_runs();
  REQUIRE(run_until(loop, [&] { return c->find_link(to_b)->up(); }));
  run_until(
    loop, [] { return false; }, 50); // the data connection is up too
  auto bytes = pattern(1 << 20, 9);
  answer_slot<store_run> stored_answer;
  c->request(to_b, 0, store_run{some_drive(), {}, lin{1}, {}, shared_bytes{bytes}}, {},
             stored_answer.taker());
  REQUIRE(run_until(loop, [&] { return stored_answer.has(); }));
  CHECK(*stored_answer.value);
  REQUIRE(stored.size() == bytes.size());
  CHECK(std::equal(bytes.begin(), bytes.end(), stored.view().begin()));
  CHECK(reinterpret_cast<std::uintptr_t>(stored.data()) % 4096 == 0);
  answer_slot<read_run> read;
  c->request(to_b, 0, read_run{}, {.answer_bytes = 2 << 20}, read.taker());
  REQUIRE(run_until(loop, [&] { return read.has(); }));
  REQUIRE(*read.value);
  CHECK((*read.value)->checksums == std::vector<std::uint32_t>{1, 2, 3});
  CHECK(std::equal(bytes.begin(), bytes.end(), (*read.value)->data.view().begin()));
  CHECK(c->find_link(to_b)->report().encrypted == encrypt);
}

TEST_CASE_METHOD(two_nodes, "transport: many requests of many sizes are each answered by their own",
                 "[actor][transport]") {
  REQUIRE(connect());
  b->messages().on_request<store_run>(
    [](const request_context&, store_run&& m, responder<store_run> answer) {
      // The answer names the size and the first byte of what came.
      auto first = m.data.empty() ? 0u : static_cast<unsigned>(m.data.view()[0]);
      answer(run_stored{run_ref{m.drive, m.data.size(), first, birth{m.key.id.value}}});
    });
  std::size_t right = 0;
  // Together less than window and queue hold.
  constexpr std::size_t count = 400;
  for (std::size_t i = 0; i < count; ++i) {
    auto size = i % 7 == 0 ? 0 : (i * 7919) % (100 * 1024);
    auto data = pattern(size, static_cast<unsigned>(i));
    auto first = data.empty() ? 0u : static_cast<unsigned>(data[0]);
    a->request(to_b, 0,
               store_run{some_drive(), {{}, {}, write_id{i}}, lin{1}, {}, shared_bytes{data}},
               {.timeout_ms = 60'000},
               answer_callback<store_run>{[&, i, size, first](expected<run_stored> x) {
                 right += x && x->run.born == birth{i} && x->run.start_block == size
                          && x->run.block_count == first;
               }});
  }
  CHECK(run_until(
    loop, [&] { return right == count; }, 60'000));
  CHECK(a->find_link(to_b)->in_flight_bytes() == 0);
  CHECK(a->find_link(to_b)->pending_count() == 0);
}

TEST_CASE_METHOD(two_nodes, "transport: a node's requests to itself need no socket",
                 "[actor][transport]") {
  serve_runs();
  answer_slot<store_run> got;
  auto data = shared_bytes{pattern(8192, 1)};
  b->request(to_b, 4, store_run{some_drive(), {}, lin{1}, {1}, data}, {}, got.taker());
  CHECK_FALSE(got.has());
  REQUIRE(run_until(loop, [&] { return got.has(); }));
  CHECK(*got.value);
  CHECK(seen.local);
  CHECK(stored.data() == data.data()); // the same bytes, not a copy
  // Nobody handles this one; nobody answers that one.
  answer_slot<free_runs> none;
  b->request(to_b, 0, free_runs{}, {}, none.taker());
  std::vector<responder<read_run>> kept;
  b->messages().on_request<read_run>([&](const request_context&, read_run&&,
                                         responder<read_run> answer) { kept.push_back(answer); });
  answer_slot<read_run> late;
  b->request(to_b, 0, read_run{}, {.timeout_ms = 30}, late.taker());
  REQUIRE(run_until(loop, [&] { return none.has() && late.has(); }));
  CHECK(none.code() == errc::unavailable);
  CHECK(late.code() == errc::timeout);
}

TEST_CASE_METHOD(two_nodes, "transport: errors of handlers arrive with code, words and id",
                 "[actor][transport]") {
  REQUIRE(connect());
  b->messages().on_request<free_runs>(
    [](const request_context&, free_runs&&, responder<free_runs> answer) {
      answer(error{errc::io_error, "drive 3 block 8812", trp::drive_failed});
    });
  b->messages().on_request<read_run>(
    [](const request_context&, read_run&&, responder<read_run>) {}); // forgets to answer
  answer_slot<free_runs> failed;
  answer_slot<read_run> forgotten;
  answer_slot<meta_request> nobody;
  a->request(to_b, 0, free_runs{}, {}, failed.taker());
  a->request(to_b, 0, read_run{}, {}, forgotten.taker());
  a->request(to_b, 0, meta_request{}, {}, nobody.taker());
  REQUIRE(run_until(loop, [&] { return failed.has() && forgotten.has() && nobody.has(); }));
  CHECK(failed.code() == errc::io_error);
  CHECK(failed.value->error().context == "drive 3 block 8812");
  CHECK(failed.value->error().id == trp::drive_failed);
  CHECK(forgotten.code() == errc::may_have_happened);
  CHECK(nobody.code() == errc::unavailable);
}

TEST_CASE_METHOD(two_nodes, "transport: a request times out, and a late answer does no harm",
                 "[actor][transport]") {
  REQUIRE(connect());
  std::vector<responder<free_runs>> kept;
  b->messages().on_request<free_runs>([&](const request_context&, free_runs&&,
                                          responder<free_runs> answer) { kept.push_back(answer); });
  answer_slot<free_runs> got;
  a->request(to_b, 0, free_runs{}, {.timeout_ms = 40}, got.taker());
  REQUIRE(run_until(loop, [&] { return got.has(); }));
  CHECK(got.code() == errc::timeout);
  // The peer still has the work: its window comes back only with the answer.
  CHECK(a->find_link(to_b)->in_flight_bytes() > 0);
  got.value.reset();
  REQUIRE(kept.size() == 1);
  kept[0](runs_freed{1});
  CHECK(run_until(loop, [&] { return a->find_link(to_b)->in_flight_bytes() == 0; }));
  CHECK_FALSE(got.has());
}

TEST_CASE_METHOD(two_nodes, "transport: roles are checked before the body is read",
                 "[actor][transport]") {
  member client{loop, cluster, peer_role::client, 0};
  int handled = 0;
  b->messages().on_request<admin_request>(
    [&](const request_context&, admin_request&&, responder<admin_request> answer) {
      ++handled;
      answer(admin_response{});
    });
  b->messages().on_one_way<consensus_parcel>(
    [&](const request_context&, consensus_parcel&&) { ++handled; });
  client->open_link(to_b, b->address());
  REQUIRE(run_until(loop, [&] { return client->find_link(to_b)->up(); }));
  answer_slot<admin_request> got;
  client->request(to_b, 0, admin_request{}, {}, got.taker());
  CHECK(client->send(to_b, 0, consensus_parcel{}));
  REQUIRE(run_until(loop, [&] { return got.has(); }));
  CHECK(got.code() == errc::permission_denied);
  CHECK(got.value->error().id == trp::role_not_allowed);
  member admin{loop, cluster, peer_role::admin, 0};
  admin->open_link(to_b, b->address());
  answer_slot<admin_request> allowed;
  REQUIRE(run_until(loop, [&] { return admin->find_link(to_b)->up(); }));
  admin->request(to_b, 0, admin_request{}, {}, allowed.taker());
  REQUIRE(run_until(loop, [&] { return allowed.has(); }));
  CHECK(*allowed.value);
  CHECK(handled == 1);
}

TEST_CASE_METHOD(two_nodes,
                 "transport: one-way messages arrive, and wait for credit when nobody reads",
                 "[actor][transport]") {
  auto options = quick_options();
  options.one_way_window_bytes = 100'000;
  member small{loop, cluster, peer_role::node, 4, options};
  std::uint64_t got = 0;
  b->messages().on_one_way<consensus_parcel>(
    [&](const request_context&, consensus_parcel&& m) { got += m.to.value; });
  small->open_link(to_b, b->address());
  REQUIRE(run_until(loop, [&] { return small->find_link(to_b)->up(); }));
  consensus_parcel parcel;
  parcel.to = replica_id{1};
  append_entries entries;
  entries.entries.push_back({1, entry_kind::command, shared_bytes{pattern(3000, 1)}});
  parcel.message = entries;
  std::uint64_t sent = 0;
  expected<void> ok;
  while ((ok = small->send(to_b, 0, parcel)) && sent < 1000)
    ++sent;
  CHECK(ok.error().code == errc::busy);
  CHECK(sent >= 30);
  CHECK(sent <= 34);
  CHECK(run_until(loop, [&] { return got == sent; }));
}

TEST_CASE_METHOD(two_nodes, "transport: the snapshot epoch travels with every message, first",
                 "[actor][transport]") {
  REQUIRE(connect());
  std::vector<std::string> order;
  b->on_newer_epoch([&](snapshot_epoch e) { order.push_back("epoch " + std::to_string(e.value)); });
  b->messages().on_request<free_runs>(
    [&](const request_context&, free_runs&&, responder<free_runs> answer) {
      order.push_back("handled");
      b->see_epoch(snapshot_epoch{9});
      answer(runs_freed{});
    });
  a->see_epoch(snapshot_epoch{6});
  answer_slot<free_runs> got;
  a->request(to_b, 0, free_runs{}, {}, got.taker());
  REQUIRE(run_until(loop, [&] { return got.has(); }));
  CHECK(order == std::vector<std::string>{"epoch 6", "handled", "epoch 9"});
  CHECK(a->epoch() == snapshot_epoch{9}); // the answer carried it back
}

TEST_CASE_METHOD(two_nodes, "transport: records what it handled, with the operation it belongs to",
                 "[actor][transport]") {
  REQUIRE(connect());
  serve_runs();
  auto id = new_trace_id();
  answer_slot<read_run> got;
  a->request(to_b, 0, read_run{}, {.trace = {id, 11}}, got.taker());
  REQUIRE(run_until(loop, [&] { return got.has(); }));
  auto records = process_trace().snapshot(id);
  REQUIRE(records.size() == 1);
  CHECK(std::string{records[0].type} == "read_run");
  CHECK(std::string{records[0].receiver} == "node/2");
  CHECK(records[0].parent == 11);
  CHECK(records[0].finished >= records[0].dequeued);
}
