#include "storage/consensus/configuration_format.hpp"
#include "storage/consensus/log_mirror.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

namespace {

log_entry entry(std::uint64_t term, std::size_t bytes) {
  return {term, entry_kind::command, shared_bytes{std::string(bytes, 'x')}};
}
log_entry members(std::uint64_t term, std::uint64_t count) {
  group_configuration x;
  for (std::uint64_t i = 1; i <= count; ++i)
    x.members.push_back({replica_id{i}, member_role::voter});
  return {term, entry_kind::configuration, shared_bytes{encode_configuration(x)}};
}

/// Checkpoint at 10 (term 2, one member); 11..13 of term 2, 14 a configuration of term 3, 15.
log_mirror sample() {
  log_mirror out;
  out.reset({10, 2, {{{replica_id{1}, member_role::voter}}}, 4, 0});
  std::vector<log_entry> first{entry(2, 5), entry(2, 6), entry(2, 7)};
  std::vector<log_entry> second{members(3, 2), entry(3, 9)};
  out.append(first);
  out.append(second);
  return out;
}

} // namespace

TEST_CASE("log_mirror: knows terms and configurations by index", "[unit][consensus]") {
  auto log = sample();
  CHECK(log.last_index() == 15);
  CHECK(log.last_term() == 3);
  CHECK(log.term_of(9) == 0);
  CHECK(log.term_of(10) == 2);
  CHECK(log.term_of(13) == 2);
  CHECK(log.term_of(14) == 3);
  CHECK(log.term_of(16) == 0);
  CHECK(log.configuration_at_index(13).index == 4);
  CHECK(log.configuration_at_index(14).configuration.members.size() == 2);
  CHECK(log.newest_configuration_index() == 14);
}

TEST_CASE("log_mirror: a truncation brings the older configuration back", "[unit][consensus]") {
  auto log = sample();
  log.truncate(14);
  CHECK(log.last_index() == 13);
  CHECK(log.last_term() == 2);
  CHECK(log.newest_configuration_index() == 4);
  CHECK(log.find(14) == nullptr);
  CHECK(log.find(13)->payload.size() == 7);
  std::vector<log_entry> more{entry(5, 1)};
  log.append(more);
  CHECK(log.term_of(14) == 5);
}

TEST_CASE("log_mirror: counts the bytes that a journal must keep", "[unit][consensus]") {
  auto log = sample();
  auto configuration = members(3, 2).payload.size();
  CHECK(log.bytes_since_checkpoint() == 18 + 9 + configuration);
  log.checkpointed(13);
  CHECK(log.bytes_since_checkpoint() == 9 + configuration);
  CHECK(log.term_of(12) == 0);
  CHECK(log.configuration_at_index(13).index == 4);
  log.checkpointed(15);
  CHECK(log.bytes_since_checkpoint() == 0);
  CHECK(log.configuration_at_index(15).index == 14);
}

TEST_CASE("log_mirror: payloads are remembered only as long as asked", "[unit][consensus]") {
  auto log = sample();
  log.forget_payloads(11, 1'000);
  CHECK(log.find(11) == nullptr);
  CHECK(log.find(12) != nullptr);
  log.forget_payloads(11, 9);
  CHECK(log.find(14) == nullptr);
  CHECK(log.find(15)->payload.size() == 9);
  CHECK(log.term_of(12) == 2);
}
