#include "cluster/partition/lease_table_state.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

namespace {

constexpr lin file{0x100};
constexpr lin other_file{0x101};
constexpr client_ref a{client_id{1}, incarnation{1}};
constexpr client_ref b{client_id{2}, incarnation{1}};
constexpr client_ref c{client_id{3}, incarnation{1}};

/// 4 s leases, 400 ms slack, elected at 100 s.
boot_time at_ms(std::uint64_t ms) {
  return {(100'000 + ms) * 1'000'000};
}

lease_table_state fresh_leader(std::uint64_t term = 5) {
  lease_table_state table;
  table.begin(term, at_ms(0), {});
  table.registered(a, at_ms(0));
  table.registered(b, at_ms(0));
  return table;
}

errc code_of(const expected<lease_id>& x) {
  return x ? errc::none : x.error().code;
}
errc code_of(const expected<void>& x) {
  return x ? errc::none : x.error().code;
}

} // namespace

TEST_CASE("lease_table: one writer per file; the holder hears of the recall when he renews",
          "[unit][lease_table]") {
  auto table = fresh_leader();
  auto lease = table.acquire(file, a, false, at_ms(10));
  REQUIRE(lease);
  CHECK(table.holds(file, *lease, a, at_ms(11)));
  CHECK_FALSE(table.holds(file, *lease, b, at_ms(11)));
  CHECK_FALSE(table.holds(file, lease_id{lease->value + 1}, a, at_ms(11)));
  auto quiet = table.renew(a, {{file, *lease}}, at_ms(12));
  REQUIRE(quiet);
  CHECK(quiet->recalled.empty());
  CHECK(quiet->lost.empty());

  CHECK(code_of(table.acquire(file, b, false, at_ms(20))) == errc::busy);
  auto told = table.renew(a, {{file, *lease}}, at_ms(30));
  REQUIRE(told);
  CHECK(told->recalled == std::vector<lin>{file});

  table.release(file, *lease, a, at_ms(40));
  CHECK_FALSE(table.holds(file, *lease, a, at_ms(41)));
  // The one who waited comes before the one who gave it back.
  CHECK(code_of(table.acquire(file, a, false, at_ms(42))) == errc::busy);
  auto next = table.acquire(file, b, false, at_ms(43));
  REQUIRE(next);
  CHECK(next->value > lease->value);
}

TEST_CASE("lease_table: the wait for who was recalled is bounded", "[unit][lease_table]") {
  auto table = fresh_leader();
  auto lease = table.acquire(file, a, false, at_ms(0));
  REQUIRE(lease);
  CHECK(code_of(table.may_read(file, b.id, at_ms(1))) == errc::busy);
  table.release(file, *lease, a, at_ms(2));
  CHECK(code_of(table.acquire(file, a, false, at_ms(900))) == errc::busy);
  CHECK(code_of(table.acquire(file, a, false, at_ms(1002))) == errc::none);
}

TEST_CASE("lease_table: a reader recalls a writer and may read when he is done",
          "[unit][lease_table]") {
  auto table = fresh_leader();
  CHECK(table.may_read(file, b.id, at_ms(0)));
  auto lease = table.acquire(file, a, false, at_ms(0));
  REQUIRE(lease);
  CHECK(table.may_read(file, a.id, at_ms(1)));
  CHECK(code_of(table.may_read(file, b.id, at_ms(1))) == errc::busy);
  CHECK(table.may_read(other_file, b.id, at_ms(1)));
  auto told = table.renew(a, {{file, *lease}}, at_ms(2));
  REQUIRE(told);
  CHECK(told->recalled == std::vector<lin>{file});
  table.release(file, *lease, a, at_ms(3));
  CHECK(table.may_read(file, b.id, at_ms(4)));
  CHECK(table.acquire(file, a, false, at_ms(5))); // the reader was served: no reservation is left
}

TEST_CASE("lease_table: asking again gives the same lease", "[unit][lease_table]") {
  auto table = fresh_leader();
  auto lease = table.acquire(file, a, false, at_ms(0));
  auto again = table.acquire(file, a, false, at_ms(1));
  REQUIRE(lease);
  REQUIRE(again);
  CHECK(*lease == *again);
  CHECK(table.lease_count() == 1);
}

TEST_CASE("lease_table: leases of a silent client run out after lease and slack, not before",
          "[unit][lease_table]") {
  auto table = fresh_leader();
  auto lease = table.acquire(file, a, false, at_ms(0));
  REQUIRE(lease);
  CHECK(code_of(table.acquire(file, b, false, at_ms(4399))) == errc::busy);
  CHECK(table.holds(file, *lease, a, at_ms(4399)));
  CHECK_FALSE(table.holds(file, *lease, a, at_ms(4400)));
  CHECK(code_of(table.acquire(file, b, false, at_ms(4400))) == errc::none);
  auto late = table.renew(a, {{file, *lease}}, at_ms(4500));
  REQUIRE(late);
  CHECK(late->lost == std::vector<lin>{file});
}

TEST_CASE("lease_table: a lease that ran out does not come back by a late renewal",
          "[unit][lease_table]") {
  auto table = fresh_leader();
  auto lease = table.acquire(file, a, false, at_ms(0));
  REQUIRE(lease);
  auto late = table.renew(a, {{file, *lease}}, at_ms(5000));
  REQUIRE(late);
  CHECK(late->lost == std::vector<lin>{file});
  CHECK_FALSE(table.holds(file, *lease, a, at_ms(5001)));
}

TEST_CASE("lease_table: renewing keeps it; a grant that is never named ends",
          "[unit][lease_table]") {
  auto table = fresh_leader();
  auto kept = table.acquire(file, a, false, at_ms(0));
  auto lost_answer = table.acquire(other_file, a, false, at_ms(0));
  REQUIRE(kept);
  REQUIRE(lost_answer);
  for (std::uint64_t ms = 1000; ms <= 10'000; ms += 1000)
    CHECK(table.renew(a, {{file, *kept}}, at_ms(ms)));
  CHECK(table.holds(file, *kept, a, at_ms(10'001)));
  CHECK(table.lease_count() == 1);
}

TEST_CASE("lease_table: nobody else gets a file while a commit under the lease is in flight",
          "[unit][lease_table]") {
  auto table = fresh_leader();
  auto lease = table.acquire(file, a, false, at_ms(0));
  REQUIRE(lease);
  table.commit_started(file);
  table.tick(at_ms(60'000));
  CHECK(code_of(table.acquire(file, b, false, at_ms(60'000))) == errc::busy);
  table.release(file, *lease, a, at_ms(60'001));
  CHECK_FALSE(table.holds(file, *lease, a, at_ms(60'001)));
  CHECK(code_of(table.acquire(file, b, false, at_ms(60'002))) == errc::busy);
  table.forgotten(a.id);
  CHECK(code_of(table.acquire(file, b, false, at_ms(60'002))) == errc::busy);
  table.commit_finished(file, false, at_ms(60'003));
  CHECK(code_of(table.acquire(file, b, false, at_ms(60'004))) == errc::none);
}

TEST_CASE("lease_table: a commit may give the lease back", "[unit][lease_table]") {
  auto table = fresh_leader();
  auto lease = table.acquire(file, a, false, at_ms(0));
  REQUIRE(lease);
  table.commit_started(file);
  table.commit_started(file);
  table.commit_finished(file, true, at_ms(1));
  CHECK(table.lease_count() == 1);
  table.commit_finished(file, false, at_ms(2));
  CHECK(table.lease_count() == 0);
}

TEST_CASE("lease_table: strangers and earlier lives get nothing", "[unit][lease_table]") {
  auto table = fresh_leader();
  CHECK(code_of(table.acquire(file, c, false, at_ms(0))) == errc::unknown_client);
  CHECK_FALSE(table.renew(c, {}, at_ms(0)));
  auto lease = table.acquire(file, a, false, at_ms(0));
  REQUIRE(lease);
  client_ref reborn{a.id, incarnation{2}};
  table.registered(reborn, at_ms(1));
  CHECK_FALSE(table.holds(file, *lease, a, at_ms(2)));
  CHECK_FALSE(table.holds(file, *lease, reborn, at_ms(2)));
  CHECK(code_of(table.acquire(file, a, false, at_ms(2))) == errc::unknown_client);
  CHECK(code_of(table.acquire(file, b, false, at_ms(2))) == errc::none);
}

TEST_CASE("lease_table: a new leader grants nothing until all clients have named their leases",
          "[unit][lease_table]") {
  auto before = fresh_leader(5);
  auto lease = before.acquire(file, a, false, at_ms(0));
  REQUIRE(lease);
  lease_table_state table;
  table.begin(6, at_ms(1000), {{a.id, a.life}, {b.id, b.life}, {c.id, c.life}});
  CHECK(table.reclaiming(at_ms(1001)));
  CHECK(code_of(table.acquire(file, b, false, at_ms(1001))) == errc::busy);
  CHECK(code_of(table.acquire(other_file, b, false, at_ms(1001))) == errc::busy);
  CHECK(code_of(table.acquire(lin{0x999}, b, true, at_ms(1001))) == errc::none); // made just now
  CHECK(code_of(table.may_read(file, b.id, at_ms(1001))) == errc::busy);

  auto kept = table.renew(a, {{file, *lease}}, at_ms(1100));
  REQUIRE(kept);
  CHECK(kept->lost.empty());
  CHECK(table.holds(file, *lease, a, at_ms(1101)));
  CHECK(code_of(table.acquire(other_file, b, false, at_ms(1101))) == errc::busy); // c is silent
  CHECK(table.renew(c, {}, at_ms(1200)));
  CHECK(code_of(table.acquire(other_file, b, false, at_ms(1201))) == errc::none);
  CHECK(code_of(table.acquire(file, b, false, at_ms(1201))) == errc::busy);
  CHECK(table.renew(b, {}, at_ms(1202)));
  CHECK_FALSE(table.reclaiming(at_ms(1203)));
}

TEST_CASE("lease_table: silent clients hold a new leader up for one lease and the slack",
          "[unit][lease_table]") {
  lease_table_state table;
  table.begin(6, at_ms(0), {{a.id, a.life}, {b.id, b.life}});
  lease_id old{std::uint64_t{5} << 32 | 1};
  CHECK(code_of(table.acquire(file, b, false, at_ms(4399))) == errc::busy);
  CHECK(code_of(table.acquire(file, b, false, at_ms(4400))) == errc::none);
  auto late = table.renew(a, {{other_file, old}}, at_ms(4401));
  REQUIRE(late);
  CHECK(late->lost == std::vector<lin>{other_file});
}

TEST_CASE("lease_table: whether a lease of an earlier leader holds is known when it is named",
          "[unit][lease_table]") {
  lease_table_state table;
  lease_id old{std::uint64_t{5} << 32 | 1};
  lease_id younger{std::uint64_t{5} << 32 | 2};
  lease_id future{std::uint64_t{6} << 32 | 1};
  table.begin(6, at_ms(0), {{a.id, a.life}, {b.id, b.life}});
  CHECK_FALSE(table.is_unnamed(file, future, a, at_ms(10)));
  CHECK_FALSE(table.is_unnamed(file, lease_id{}, a, at_ms(10)));
  CHECK(table.is_unnamed(file, old, a, at_ms(10)));
  CHECK_FALSE(table.holds(file, old, a, at_ms(10))); // a late commit does not name it
  CHECK_FALSE(table.is_unnamed(other_file, old, a, at_ms(4400)));
  CHECK(table.renew(a, {{file, old}}, at_ms(11)));
  CHECK_FALSE(table.is_unnamed(file, old, a, at_ms(12)));
  CHECK(table.holds(file, old, a, at_ms(12)));
  CHECK(table.is_unnamed(file, younger, b, at_ms(12)));
  // What a client did not name when it named all it had is not his.
  lease_table_state second;
  second.begin(6, at_ms(0), {{a.id, a.life}});
  CHECK(second.renew(a, {}, at_ms(10)));
  CHECK_FALSE(second.is_unnamed(file, old, a, at_ms(11)));
  CHECK_FALSE(second.holds(file, old, a, at_ms(11)));
}

TEST_CASE("lease_table: of two old leases of one file the younger one counts",
          "[unit][lease_table]") {
  lease_id older{std::uint64_t{5} << 32 | 1};
  lease_id younger{std::uint64_t{5} << 32 | 2};
  for (bool younger_first : {false, true}) {
    lease_table_state table;
    table.begin(6, at_ms(0), {{a.id, a.life}, {b.id, b.life}});
    expected<leases_renewed> first = younger_first ? table.renew(b, {{file, younger}}, at_ms(1))
                                                   : table.renew(a, {{file, older}}, at_ms(1));
    REQUIRE(first);
    CHECK(first->lost.empty());
    auto second = younger_first ? table.renew(a, {{file, older}}, at_ms(2))
                                : table.renew(b, {{file, younger}}, at_ms(2));
    REQUIRE(second);
    CHECK(second->lost.empty() == !younger_first);
    CHECK(table.holds(file, younger, b, at_ms(3)));
    CHECK_FALSE(table.holds(file, older, a, at_ms(3)));
  }
}

TEST_CASE("lease_table: knows who was silent, and is bounded", "[unit][lease_table]") {
  lease_options options;
  options.leases_max = 2;
  lease_table_state table{options};
  table.begin(1, at_ms(0), {});
  table.registered(a, at_ms(0));
  table.registered(b, at_ms(50));
  CHECK(table.silent_since(at_ms(0)).empty());
  CHECK(table.silent_since(at_ms(50)) == std::vector<client_ref>{a});
  CHECK(table.acquire(lin{1}, a, false, at_ms(60)));
  CHECK(table.acquire(lin{2}, a, false, at_ms(60)));
  CHECK(code_of(table.acquire(lin{3}, a, false, at_ms(60))) == errc::busy);
  table.tick(at_ms(10'000));
  CHECK(table.lease_count() == 0);
  table.end();
  CHECK(table.client_count() == 0);
}
