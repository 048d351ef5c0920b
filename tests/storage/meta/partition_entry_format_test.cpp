#include "storage/meta/meta_keys.hpp"
#include "storage/meta/partition_entry_format.hpp"
#include "storage/meta/partition_format.hpp"
#include "tests/storage/meta/hex.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

TEST_CASE("partition_entry: the bytes are what they have always been", "[unit][partition_entry]") {
  partition_entry entry{{{"key", "value"}, {"gone", {}}}, config_version{5}, snapshot_epoch{9}};
  auto bytes = encode(entry);
  CHECK(test::to_hex(as_text(bytes))
        == "5452504501000000" + test::to_hex(as_text(byte_view{bytes}.subspan(8, 4)))
             + "04000000"
               "01030000006b65790500000076616c7565"
               "0204000000676f6e65"
               "030500000000000000"
               "040900000000000000");
  CHECK(test::to_hex(as_text(byte_view{bytes}.subspan(8, 4))) == "0f8e2949");
  auto back = decode_partition_entry(bytes);
  REQUIRE(back);
  CHECK(*back == entry);
}

TEST_CASE("partition_entry: any changed byte and any cut is noticed", "[unit][partition_entry]") {
  auto bytes = encode(partition_entry{{{"key", "value"}, {"gone", {}}}, {}, {}});
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto cut = decode_partition_entry(byte_view{bytes}.first(i));
    CHECK_FALSE(cut);
    if (i == 5 || i == 6 || i == 7) // reserved
      continue;
    auto changed = bytes;
    changed[i] ^= std::byte{1};
    auto read = decode_partition_entry(changed);
    REQUIRE_FALSE(read);
    CHECK(
      (read.error().code == errc::corrupt || (i == 4 && read.error().code == errc::wrong_version)));
  }
  bytes[4] = std::byte{2};
  CHECK(decode_partition_entry(bytes).error().code == errc::wrong_version);
}

TEST_CASE("partition_entry: adopted versions become floor rows", "[unit][partition_entry]") {
  auto batch = to_batch({{{"a", "b"}}, config_version{5}, snapshot_epoch{9}});
  REQUIRE(batch.size() == 3);
  CHECK(batch[1].key == floor_config_key());
  CHECK(decode_floor(*batch[1].value)->value == 5);
  CHECK(batch[2].key == floor_epoch_key());
  CHECK(decode_floor(*batch[2].value)->value == 9);
  CHECK(to_batch({}).empty());
}
