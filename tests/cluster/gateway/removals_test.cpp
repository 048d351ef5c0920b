#include "cluster/gateway/removals.hpp"
#include "storage/meta/meta_keys.hpp"
#include "tests/cluster/gateway/gateway_calls.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

/// True if the partition keeps nothing of the file, once it has cleaned up.
bool is_gone(fake_cluster& c, lin id) {
  auto& p = c.partition_of(id);
  p.clean();
  return p.rows.get(inode_key(id)).state == row_state::absent
         && p.rows.get(orphan_key(id)).state == row_state::absent;
}

/// One file of one block or of a stripe, closed; perhaps another one that is open, so that the
/// gateway asks what a name leads to before it removes it.
struct scene {
  scene(std::uint64_t seed, std::size_t bytes, bool any_open) : c({5, 4, 4, 100'000, seed}) {
    c.add_gateway();
    content = noise(bytes, seed);
    auto f = create(c, "f");
    id = f.attributes->id;
    write(c, f.handle, 0, content);
    close(c, f.handle);
    if (any_open)
      other = create(c, "open").handle;
  }
  /// The name goes by unlink, or because another file takes it.
  call_token begin_removal(bool by_rename) {
    if (!by_rename)
      return c.begin(call_unlink{root_lin, "f"});
    return c.begin(call_rename{root_lin, "g", root_lin, "f"});
  }
  fake_cluster c;
  byte_vector content;
  lin id;
  file_handle other;
};

/// Every combination of size, company and kind of removal, at several moments.
template <class Test>
void at_every_moment(Test test) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed)
    for (std::size_t bytes : {100, 50'000})
      for (bool any_open : {false, true})
        for (bool by_rename : {false, true})
          for (std::uint64_t us = 0; us <= 1200; us += 150) {
            INFO("seed " << seed << ", " << bytes << " bytes, any open " << any_open
                         << ", by rename " << by_rename << ", after " << us << " us");
            scene s{seed, bytes, any_open};
            if (by_rename)
              close(s.c, create(s.c, "g").handle);
            test(s, by_rename, us);
          }
}

} // namespace

TEST_CASE("gateway_state: who opens a file while its name goes has all of it, or nothing",
          "[unit][gateway][gateway_state][removals]") {
  at_every_moment([](scene& s, bool by_rename, std::uint64_t us) {
    auto removing = s.begin_removal(by_rename);
    s.c.run_for_us(us);
    auto opening = s.c.begin(call_open{s.id, {}});
    must<done>(s.c.finish(removing));
    auto opened = s.c.finish(opening);
    if (opened) {
      auto h = must<file_opened>(std::move(opened)).handle;
      CHECK((read(s.c, h, 0, 60'000) == s.content));
      s.c.partition_of(s.id).clean(); // takes nothing that is open
      CHECK((read(s.c, h, 0, 60'000) == s.content));
      close(s.c, h);
    } else {
      CHECK(code_of(opened) == errc::stale_handle);
    }
    s.c.run_for(1000);
    CHECK(is_gone(s.c, s.id));
    CHECK(s.c.gateway().report().open_handles == (s.other ? 1 : 0));
  });
}

TEST_CASE("gateway_state: the last close while the name goes leaves no orphan",
          "[unit][gateway][gateway_state][removals]") {
  at_every_moment([](scene& s, bool by_rename, std::uint64_t us) {
    auto h = open(s.c, s.id);
    auto removing = s.begin_removal(by_rename);
    s.c.run_for_us(us);
    auto closing = s.c.begin(call_release{h});
    must<done>(s.c.finish(removing));
    must<done>(s.c.finish(closing));
    s.c.run_for(1000);
    CHECK(is_gone(s.c, s.id));
  });
}

TEST_CASE("gateway_state: an orphan that is opened again while it goes is whole or refused",
          "[unit][gateway][gateway_state][removals]") {
  at_every_moment([](scene& s, bool by_rename, std::uint64_t us) {
    auto h = open(s.c, s.id, true);
    write(s.c, h, 0, s.content); // closing it gives a lease back, too
    must<done>(s.c.finish(s.begin_removal(by_rename)));
    must<done>(s.c.call(call_flush{h}));
    auto closing = s.c.begin(call_release{h});
    s.c.run_for_us(us);
    auto opened = s.c.call(call_open{s.id, {}});
    must<done>(s.c.finish(closing));
    if (opened) {
      auto again = must<file_opened>(std::move(opened)).handle;
      CHECK((read(s.c, again, 0, 60'000) == s.content));
      s.c.partition_of(s.id).clean();
      CHECK((read(s.c, again, 0, 60'000) == s.content));
      must<done>(s.c.call(call_release{again}));
    } else {
      CHECK(code_of(opened) == errc::stale_handle);
    }
    s.c.run_for(1000);
    CHECK(is_gone(s.c, s.id));
  });
}

TEST_CASE("gateway_state: an unlink whose answer is lost leaves no orphan",
          "[unit][gateway][gateway_state][removals]") {
  scene s{1, 100, false};
  auto h = open(s.c, s.id);
  auto requests = s.c.gateway().report().meta_requests;
  auto removing = s.begin_removal(false);
  while (s.c.gateway().report().meta_requests < requests + 2) // what is it, then remove it
    s.c.run_for_us(10);
  s.c.lose_answers = 1;
  s.c.run_for(45'000); // longer than the bounded wait
  s.c.lose_answers = 0;
  REQUIRE(s.c.finished(removing));
  CHECK(code_of(s.c.finish(removing)) == errc::may_have_happened);
  CHECK((read(s.c, h, 0, 1000) == s.content));
  close(s.c, h);
  s.c.run_for(1000);
  CHECK(is_gone(s.c, s.id));
}

TEST_CASE("removals: a removal concerns its file, or all of its partition if it did not ask",
          "[unit][gateway][removals]") {
  gateway_context context{{}, {}};
  removals list{context};
  const lin a{1}, b{2};
  const group_id here{1}, there{2};
  CHECK_FALSE(list.may_take(a, here, list.mark()));
  {
    auto known = list.begin(here, a, false);
    CHECK(list.may_take(a, here, list.mark()));
    CHECK_FALSE(list.may_take(b, here, list.mark()));
    CHECK_FALSE(list.may_take(a, here, list.mark() - 1)); // began later than the mark
    CHECK_FALSE(list.keeps(a));
    auto moved = std::move(known);
    CHECK(list.may_take(a, here, list.mark()));
  }
  CHECK_FALSE(list.may_take(a, here, list.mark()));
  CHECK(list.may_have_taken(a, here)); // a moment ago
  CHECK_FALSE(list.may_have_taken(b, here));
  context.run.advance(context.in_ms(10'000));
  CHECK_FALSE(list.may_have_taken(a, here));
  auto unknown = list.begin(here, std::nullopt, false);
  CHECK(list.may_take(a, here, list.mark()));
  CHECK_FALSE(list.may_take(a, there, list.mark()));
  unknown.end();
  auto kept = list.begin(here, b, true);
  CHECK_FALSE(list.may_take(b, here, list.mark()));
  CHECK(list.keeps(b));
  CHECK(list.may_have_taken(b, here)); // by the one that did not ask
  CHECK_FALSE(list.may_have_taken(b, there));
  CHECK_FALSE(list.keeps(a));
}
