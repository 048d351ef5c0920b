#include "messages/error.hpp"
#include "messages/ids.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace troupe;

TEST_CASE("error_ids: every id has a cause and a next step", "[unit][error_ids]") {
  std::set<std::uint16_t> seen;
  for (const auto& e : error_table()) {
    INFO(e.id.value);
    CHECK(seen.insert(e.id.value).second);
    CHECK(std::string{e.title} != "");
    CHECK(std::string{e.cause} != "");
    CHECK(std::string{e.next_step} != "");
    CHECK(find_error(e.id) == &e);
  }
  CHECK(find_error(error_id{1}) == nullptr);
}

TEST_CASE("ids: a LIN is printed as three fields", "[unit][ids]") {
  CHECK(to_string(lin{0x0001000200030004}) == "10002:0003:0004");
  CHECK(to_string(lin{2}) == "0:0000:0002");
}

TEST_CASE("ids: a uuid is read back as printed, and nothing else is", "[unit][ids]") {
  uuid x{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255}};
  uuid y;
  REQUIRE(parse_uuid(to_string(x), y));
  CHECK(x == y);
  CHECK_FALSE(parse_uuid("", y));
  CHECK_FALSE(parse_uuid(to_string(x).substr(1), y));
  CHECK_FALSE(parse_uuid("0001020304050-60708-090a-0b0c0d0e0fff", y));
  CHECK(x == y);
}
