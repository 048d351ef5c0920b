#include "actors/node/descriptor_room.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

TEST_CASE("descriptor_room: whoever comes leaves descriptors for files and links",
          "[unit][descriptor_room]") {
  transport_options as_they_are;
  CHECK_FALSE(fit_descriptors(as_they_are, 1'048'576));
  CHECK(as_they_are.connections_max == transport_options{}.connections_max);
  CHECK(as_they_are.unauthenticated_max == transport_options{}.unauthenticated_max);
  for (std::uint64_t limit : {1024, 2048, 4096, 4863}) {
    transport_options o;
    INFO(limit);
    CHECK(fit_descriptors(o, limit));
    CHECK(o.unauthenticated_max >= 8);
    CHECK(o.connections_max >= 64);
    CHECK(2 * (o.unauthenticated_max + 2 * o.connections_max) + 512 <= limit);
  }
  transport_options tiny;
  CHECK(fit_descriptors(tiny, 0));
  CHECK(tiny.connections_max == 1);
  CHECK(tiny.unauthenticated_max == 1);
}
