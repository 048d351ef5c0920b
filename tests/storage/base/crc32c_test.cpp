#include "messages/bytes.hpp"
#include "storage/base/crc32c.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

TEST_CASE("crc32c: the check value of the polynomial", "[unit][crc32c]") {
  CHECK(crc32c(as_bytes("123456789")) == 0xe3069283u);
}

TEST_CASE("crc32c: continues over pieces", "[unit][crc32c]") {
  CHECK(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))) == crc32c(as_bytes("123456789")));
  CHECK(crc32c({}, 7) == 7);
}
