#include "storage/consensus/configuration_format.hpp"
#include "storage/consensus/durable_state.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

namespace {

log_entry entry(std::uint64_t term, const char* text) {
  return {term, entry_kind::command, shared_bytes{std::string{text}}};
}

durable_state five_entries() {
  auto state = bootstrap_state({{{replica_id{1}, member_role::voter}}}, 3);
  CHECK(fold(state, append_record{2, {entry(1, "b"), entry(1, "c")}}));
  CHECK(fold(state, append_record{4, {entry(2, "d"), entry(2, "e")}}));
  return state;
}

} // namespace

TEST_CASE("durable_state: records fold into term, vote and log", "[unit][consensus]") {
  auto state = five_entries();
  CHECK(state.term == 1);
  CHECK(state.last_index() == 5);
  CHECK(state.checkpoint.state_id == 3);
  CHECK(fold(state, term_vote_record{4, replica_id{2}}));
  CHECK(state.term == 4);
  CHECK(state.vote == replica_id{2});
  CHECK(fold(state, truncate_record{4}));
  CHECK(state.last_index() == 3);
  CHECK(fold(state, append_record{4, {entry(4, "x")}}));
  CHECK(state.entries.back().term == 4);
}

TEST_CASE("durable_state: a checkpoint drops what it covers, an install drops everything",
          "[unit][consensus]") {
  auto state = five_entries();
  CHECK(fold(state, checkpoint_record{{3, 1, state.checkpoint.configuration, 1, 3}}));
  CHECK(state.entries.size() == 2);
  CHECK(state.last_index() == 5);
  CHECK(fold(state, install_record{{4, 3, state.checkpoint.configuration, 1, 8}}));
  CHECK(state.entries.empty());
  CHECK(state.last_index() == 4);
  CHECK(state.checkpoint.state_id == 8);
}

TEST_CASE("durable_state: records that do not fit are refused and change nothing",
          "[unit][consensus]") {
  auto state = five_entries();
  CHECK(fold(state, term_vote_record{4, {}}));
  CHECK(!fold(state, term_vote_record{3, {}}));
  CHECK(!fold(state, append_record{5, {entry(4, "x")}}));
  CHECK(!fold(state, append_record{7, {entry(4, "x")}}));
  CHECK(!fold(state, truncate_record{1}));
  CHECK(!fold(state, truncate_record{7}));
  CHECK(!fold(state, checkpoint_record{{6, 4, {}, 1, 3}}));
  CHECK(!fold(state, checkpoint_record{{0, 0, {}, 0, 3}}));
  CHECK(state.term == 4);
  CHECK(state.last_index() == 5);
  CHECK(state.checkpoint.index == 1);
}

TEST_CASE("configuration_format: golden bytes", "[unit][consensus]") {
  group_configuration x{{{replica_id{0x0102}, member_role::voter},
                         {replica_id{7}, member_role::learner},
                         {replica_id{8}, member_role::joining}}};
  auto bytes = encode_configuration(x);
  std::vector<int> golden{1, 3, 0, 2, 1, 0, 0, 0, 0, 0, 0, 1, 7, 0, 0,
                          0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2};
  std::vector<int> got;
  for (auto b : bytes)
    got.push_back(static_cast<int>(b));
  CHECK(got == golden);
  auto back = decode_configuration(bytes);
  REQUIRE(back);
  CHECK(*back == x);
}

TEST_CASE("configuration_format: what is not exactly one configuration is refused",
          "[unit][consensus]") {
  group_configuration x{{{replica_id{1}, member_role::voter}, {replica_id{2}, member_role::voter}}};
  auto good = encode_configuration(x);
  for (std::size_t n = 0; n < good.size(); ++n)
    CHECK(!decode_configuration(byte_view{good}.first(n)));
  auto longer = good;
  longer.push_back(std::byte{0});
  CHECK(decode_configuration(longer).error().code == errc::corrupt);
  auto newer = good;
  newer[0] = std::byte{2};
  CHECK(decode_configuration(newer).error().code == errc::wrong_version);
  auto twice = good;
  twice[12] = std::byte{1}; // the second id becomes the first
  CHECK(decode_configuration(twice).error().code == errc::corrupt);
  auto role = good;
  role[11] = std::byte{3};
  CHECK(decode_configuration(role).error().code == errc::corrupt);
  auto nobody = good;
  nobody[3] = std::byte{0};
  CHECK(decode_configuration(nobody).error().code == errc::corrupt);
}
