#include "storage/meta/meta_keys.hpp"
#include "storage/meta/session_format.hpp"
#include "tests/storage/meta/meta_harness.hpp"
#include "tests/storage/meta/stripe_maker.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

struct session_harness : meta_harness {
  /// Evaluates under a sequence given by hand and applies.
  evaluation send(std::uint64_t sequence, std::uint64_t low_water, const meta_operation& op) {
    context.sequence = sequence;
    context.low_water = low_water;
    auto out = both_ways([&](const table_view& view) { return evaluate(op, context, view); });
    rows.apply(out.batch);
    return out;
  }
  static errc code_of(const evaluation& out) {
    auto* e = std::get_if<error>(&out.outcome);
    return e ? e->code : errc::none;
  }
  session_row session() {
    return *decode_session(rows.get(session_key(slot_id{0}, context.client)).value);
  }
};

op_create create_op(const std::string& name) {
  return {root_lin, name, {}, false};
}

} // namespace

TEST_CASE("meta_sessions: a change repeated under its sequence is answered, not executed",
          "[unit][meta_sessions]") {
  session_harness m;
  auto first = m.send(1, 0, create_op("a"));
  CHECK(first.recorded);
  auto before = m.rows.rows();
  auto again = m.send(1, 0, create_op("a"));
  CHECK(again.recorded);
  CHECK(again.batch.empty());
  CHECK(outcome_bytes(again.outcome) == outcome_bytes(first.outcome));
  CHECK(m.rows.rows() == before);
  // A refusal is a result like any other: it stays one when its reason is gone.
  auto refused = m.send(2, 0, create_op("a"));
  CHECK(m.code_of(refused) == errc::already_exists);
  CHECK(refused.recorded);
  m.send(3, 0, op_unlink{root_lin, "a", {}});
  CHECK(m.code_of(m.send(2, 0, create_op("a"))) == errc::already_exists);
  CHECK(m.code_of(m.send(3, 0, op_unlink{root_lin, "a", {}})) == errc::none);
}

TEST_CASE("meta_sessions: every kind of answer is rebuilt", "[unit][meta_sessions]") {
  session_harness m;
  m.drives = stripe_maker::drives();
  stripe_maker maker;
  auto file =
    std::get<entry_found>(std::get<meta_result>(m.send(1, 0, create_op("a")).outcome)).child;
  auto commit = commit_of(maker, file, 0, block_bytes);
  auto second = maker.make(1, 2, 1);
  commit.stripes.push_back(second);
  commit.extents.push_back({block_bytes, block_bytes, 1, 0});
  commit.size_at_least = 2 * block_bytes;
  std::vector<meta_operation> ops{
    op_set_attributes{file, 0600, {}, {}, {}, {}}, commit, op_link{root_lin, "b", file},
    op_rename{root_lin, "b", root_lin, "c"}, op_rename{root_lin, "b", root_lin, "d"}};
  std::uint64_t sequence = 10;
  for (const auto& op : ops) {
    auto first = m.send(++sequence, 1, op);
    auto again = m.send(sequence, 1, op);
    INFO(name_of(op));
    CHECK(again.batch.empty());
    auto* words = std::get_if<error>(&first.outcome);
    if (words == nullptr)
      CHECK(outcome_bytes(again.outcome) == outcome_bytes(first.outcome));
    else
      CHECK(m.code_of(again) == words->code);
  }
  // The inode is gone by the time of the retry: the result is still a success.
  m.send(20, 1, op_unlink{root_lin, "a", {}});
  m.send(21, 1, op_unlink{root_lin, "c", {}});
  m.clean_all();
  auto late = m.send(12, 1, commit);
  auto& committed = std::get<write_committed>(std::get<meta_result>(late.outcome));
  CHECK(committed.stripes.size() == 2);
  CHECK(committed.attributes.id == file);
  CHECK(committed.attributes.kind == file_kind::none);
}

TEST_CASE("meta_sessions: below the low-water mark nothing is kept and nothing executed",
          "[unit][meta_sessions]") {
  session_harness m;
  for (std::uint64_t i = 1; i <= 5; ++i)
    m.send(i, 0, create_op("f" + std::to_string(i)));
  CHECK(m.session().results.size() == 5);
  m.send(9, 4, create_op("g"));
  CHECK(m.session().low_water == 4);
  CHECK(m.session().results.size() == 2);
  auto late = m.send(3, 0, create_op("late"));
  CHECK(m.code_of(late) == errc::stale);
  CHECK_FALSE(late.recorded);
  CHECK(m.code_of(m.send(4, 0, create_op("late"))) == errc::stale);
  CHECK(m.code_of(m.send(7, 0, create_op("seven")))
        == errc::none); // sequences may come in any order
  CHECK(m.session().low_water == 4);
  CHECK(m.code_of(m.send(0, 0, create_op("x"))) == errc::invalid_argument);
  CHECK(m.code_of(m.send(12, 12, create_op("x"))) == errc::invalid_argument);
  CHECK(m.findings() == "");
}

TEST_CASE("meta_sessions: unacknowledged results are bounded", "[unit][meta_sessions]") {
  session_harness m;
  m.context.limits.session_results_max = 3;
  for (std::uint64_t i = 1; i <= 3; ++i)
    CHECK(m.code_of(m.send(i, 0, create_op("f" + std::to_string(i)))) == errc::none);
  auto full = m.send(4, 0, create_op("g"));
  CHECK(m.code_of(full) == errc::busy);
  CHECK_FALSE(full.recorded);
  CHECK(m.code_of(m.send(4, 1, create_op("g"))) == errc::none);
}

TEST_CASE("meta_sessions: many later results do not shut out the change that all wait for",
          "[unit][meta_sessions]") {
  session_harness m;
  m.context.limits.session_results_max = 3;
  // The first one is delayed (its rows are being loaded), and the client sends others meanwhile.
  CHECK(m.code_of(m.send(2, 0, create_op("b"))) == errc::none);
  CHECK(m.code_of(m.send(3, 0, create_op("c"))) == errc::none);
  auto beyond = m.send(4, 0, create_op("d"));
  CHECK(m.code_of(beyond) == errc::busy);
  CHECK_FALSE(beyond.recorded);
  CHECK(m.code_of(m.send(1, 0, create_op("a"))) == errc::none);
  CHECK(m.code_of(m.send(4, 3, create_op("d"))) == errc::none);
  CHECK(m.findings() == "");
}

TEST_CASE("meta_sessions: who is not here is never executed", "[unit][meta_sessions]") {
  session_harness m;
  auto before = m.rows.rows();
  m.context.client = client_id{99};
  auto stranger = m.send(1, 0, create_op("a"));
  CHECK(m.code_of(stranger) == errc::unknown_client);
  CHECK_FALSE(stranger.recorded);
  m.context.client = client_id{7};
  m.context.client_incarnation = incarnation{2};
  CHECK(m.code_of(m.send(1, 0, create_op("a"))) == errc::unknown_client);
  CHECK(m.rows.rows() == before);
  CHECK(m.code_of(m.send(0, 0, op_lookup{root_lin, "a"})) == errc::not_found); // reads are free
}

TEST_CASE("meta_sessions: a new incarnation begins anew and fences the old one",
          "[unit][meta_sessions]") {
  session_harness m;
  m.send(1, 0, create_op("a"));
  m.context.client_incarnation = incarnation{2};
  CHECK(m.code_of(m.send(0, 0, op_register_client{})) == errc::none);
  CHECK(m.send(0, 0, op_register_client{}).batch.empty());
  CHECK(m.code_of(m.send(1, 0, create_op("b"))) == errc::none);
  CHECK(m.session().client_incarnation == incarnation{2});
  CHECK(m.session().results.size() == 1);
  m.context.client_incarnation = incarnation{1};
  CHECK(m.code_of(m.send(2, 0, create_op("c"))) == errc::stale);
  CHECK(m.code_of(m.send(0, 0, op_register_client{})) == errc::stale);
  m.context.client = {};
  CHECK(m.code_of(m.send(0, 0, op_register_client{})) == errc::invalid_argument);
}

TEST_CASE("meta_sessions: an expired incarnation never comes back", "[unit][meta_sessions]") {
  session_harness m;
  slot_set few{0xf};
  m.context.slots = &few;
  m.send(1, 0, create_op("a"));
  auto expire = [&](std::uint64_t which) {
    auto out = m.both_ways([&](const table_view& view) {
      return expire_client(client_id{7}, incarnation{which}, m.context, view);
    });
    m.rows.apply(out.batch);
    return out.batch.size();
  };
  CHECK(expire(2) == 0);
  CHECK(expire(1) == 2);
  CHECK(expire(1) == 0);
  CHECK(m.rows.get(session_key(slot_id{0}, client_id{7})).state == row_state::absent);
  CHECK(m.code_of(m.send(1, 0, create_op("a"))) == errc::unknown_client);
  CHECK(m.code_of(m.send(2, 0, create_op("b"))) == errc::unknown_client);
  CHECK(m.code_of(m.send(0, 0, op_register_client{})) == errc::stale);
  m.context.client_incarnation = incarnation{2};
  auto back = m.send(0, 0, op_register_client{});
  auto& registered = std::get<client_registered>(std::get<meta_result>(back.outcome));
  CHECK(registered.lease_ms == m.context.limits.lease_ms);
  CHECK(m.code_of(m.send(1, 0, create_op("b"))) == errc::none);
}

TEST_CASE("meta_sessions: sessions of two slots are apart and a foreign slot is refused",
          "[unit][meta_sessions]") {
  session_harness m;
  m.send(1, 0, create_op("a"));
  auto made =
    m.send(1, 0, op_create_detached_directory{slot_id{3}, root_lin, {file_kind::directory}});
  CHECK(m.code_of(made) == errc::none);
  CHECK(m.rows.get(session_key(slot_id{3}, client_id{7})).state == row_state::found);
  slot_set three;
  three.set(3);
  m.context.slots = &three;
  auto foreign = m.send(2, 0, create_op("b"));
  CHECK(m.code_of(foreign) == errc::stale);
  CHECK_FALSE(foreign.recorded);
  CHECK(m.code_of(m.send(0, 0, op_get_attributes{root_lin})) == errc::stale);
  CHECK(m.code_of(m.send(0, 0, op_get_attributes{lin{~0ull}})) == errc::stale);
}

TEST_CASE("meta_sessions: a damaged row is reported and not recorded", "[unit][meta_sessions]") {
  session_harness m;
  auto root = m.rows.get(inode_key(root_lin)).value;
  m.rows.put(inode_key(root_lin), root.substr(0, 30));
  auto out = m.send(1, 0, create_op("a"));
  CHECK(m.code_of(out) == errc::corrupt);
  CHECK_FALSE(out.recorded);
  CHECK(out.batch.empty());
  root[0] = 9;
  m.rows.put(inode_key(root_lin), root);
  CHECK(m.code_of(m.send(1, 0, create_op("a"))) == errc::wrong_version);
  root[0] = 1;
  m.rows.put(inode_key(root_lin), root);
  CHECK(m.code_of(m.send(1, 0, create_op("a"))) == errc::none);
}
