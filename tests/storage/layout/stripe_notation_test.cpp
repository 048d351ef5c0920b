#include "storage/layout/stripe_notation.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

TEST_CASE("stripe_notation: parts equal to 1 are left out", "[unit][stripe_notation]") {
  CHECK(to_string(stripe_notation{8, 2, 2, 3}) == "8+2/2@3");
  CHECK(to_string(stripe_notation{8, 2, 2, 1}) == "8+2/2");
  CHECK(to_string(stripe_notation{8, 2, 1, 3}) == "8+2@3");
  CHECK(to_string(stripe_notation{8, 2, 1, 1}) == "8+2");
  CHECK(to_string(stripe_notation{1, 1, 1, 1}) == "1+1");
}

TEST_CASE("stripe_notation: reads what it prints", "[unit][stripe_notation]") {
  for (std::uint32_t n : {1u, 2u, 9u, 16u, 100u, 254u})
    for (std::uint32_t m : {1u, 2u, 4u, 7u, 154u})
      for (std::uint32_t b : {1u, 2u, 4u, n + m})
        for (std::uint32_t r : {1u, 2u, 10u, 65535u}) {
          stripe_notation x{n, m, b, r};
          auto again = parse_stripe_notation(to_string(x));
          if (n + m > stripe_units_max || b > n + m) {
            CHECK_FALSE(again);
            continue;
          }
          INFO(to_string(x));
          REQUIRE(again);
          CHECK(*again == x);
        }
}

TEST_CASE("stripe_notation: an explicit 1 is read", "[unit][stripe_notation]") {
  CHECK(*parse_stripe_notation("8+2/1@1") == stripe_notation{8, 2, 1, 1});
}

TEST_CASE("stripe_notation: bad input is refused and the place named", "[unit][stripe_notation]") {
  struct bad {
    const char* text;
    const char* problem;
  };
  for (auto x : std::initializer_list<bad>{
         {"", "a number for n (data units) expected at position 1"},
         {"+2", "a number for n (data units) expected at position 1"},
         {"8", "'+' expected at position 2"},
         {"8-2", "'+' expected at position 2"},
         {"8+", "a number for m (parity units) expected at position 3"},
         {"8+/2", "a number for m (parity units) expected at position 3"},
         {"8+2/", "a number for b (units per node) expected at position 5"},
         {"8+2@", "a number for r (drives in the layout) expected at position 5"},
         {"8+2@3/2", "'/', '@' or the end expected at position 6"},
         {"8+2/2/2", "'/', '@' or the end expected at position 6"},
         {"8+2 ", "'/', '@' or the end expected at position 4"},
         {" 8+2", "a number for n (data units) expected at position 1"},
         {"8 + 2", "'+' expected at position 2"},
         {"8+2x", "'/', '@' or the end expected at position 4"},
         {"0+2", "n (data units) starts with 0"},
         {"8+0", "m (parity units) starts with 0"},
         {"08+2", "n (data units) starts with 0"},
         {"8+2/0", "b (units per node) starts with 0"},
         {"8+2@0", "r (drives in the layout) starts with 0"},
         {"-8+2", "a number for n (data units) expected at position 1"},
         {"256+2", "n (data units) is above 255"},
         {"254+2", "n+m is 256, above 255"},
         {"99999999999999999999+2", "n (data units) is above 255"},
         {"8+99999999999999999999", "m (parity units) is above 255"},
         {"8+2/11", "b is above n+m"},
         {"8+2@65536", "r (drives in the layout) is above 65535"},
       }) {
    auto got = parse_stripe_notation(x.text);
    INFO(x.text);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == errc::invalid_argument);
    CHECK(got.error().context
          == "layout \"" + std::string{x.text} + "\": " + x.problem
               + "; the form is n+m/b@r, e.g. 8+2/2");
  }
}
