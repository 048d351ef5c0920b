#include "messages/ids.hpp"
#include "storage/base/wire.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

namespace {

struct inner {
  node_id node;
  std::optional<std::string> name;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, inner& x) {
  return f(x.node, x.name);
}

enum class colour : std::uint8_t { red = 1, blue = 2 };

struct sample {
  bool flag = false;
  std::int64_t number = 0;
  colour paint = colour::red;
  std::vector<inner> parts;
  std::map<std::uint32_t, std::string> names;
  std::variant<node_id, std::string> choice;
  drive_uuid drive;
  byte_vector small;
  shared_bytes first;
  shared_bytes second;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, sample& x) {
  return f(x.flag, x.number, x.paint, x.parts, x.names, x.choice, x.drive, x.small, x.first,
           x.second);
}

sample example() {
  sample x;
  x.flag = true;
  x.number = -5;
  x.paint = colour::blue;
  x.parts = {{node_id{3}, "three"}, {node_id{4}, std::nullopt}};
  x.names = {{1, "a"}, {2, "b"}};
  x.choice = std::string{"text"};
  x.drive.bytes[5] = 9;
  x.small = byte_vector(3, std::byte{7});
  x.first = shared_bytes{std::string{"hello"}};
  x.second = shared_bytes{std::string{"world!"}};
  return x;
}

shared_bytes join(const wire_message& m) {
  byte_vector all;
  for (const auto& b : m.bulk)
    all.insert(all.end(), b.view().begin(), b.view().end());
  return shared_bytes{std::move(all)};
}

} // namespace

TEST_CASE("wire: a message is read as it was written, bulk bytes outside the body",
          "[unit][wire]") {
  auto m = wire_encode(example());
  CHECK(m.bulk_bytes() == 11);
  auto back = wire_decode<sample>(m.body, join(m));
  REQUIRE(back);
  CHECK(back->flag);
  CHECK(back->number == -5);
  CHECK(back->paint == colour::blue);
  REQUIRE(back->parts.size() == 2);
  CHECK(back->parts[0].name == "three");
  CHECK_FALSE(back->parts[1].name);
  CHECK(back->names.at(2) == "b");
  CHECK(std::get<std::string>(back->choice) == "text");
  CHECK(back->drive == example().drive);
  CHECK(back->small.size() == 3);
  CHECK(as_text(back->first.view()) == "hello");
  CHECK(as_text(back->second.view()) == "world!");
}

TEST_CASE("wire: every truncation and every left-over byte is refused", "[unit][wire]") {
  auto m = wire_encode(example());
  auto bulk = join(m);
  for (std::size_t n = 0; n < m.body.size(); ++n)
    CHECK_FALSE(wire_decode<sample>(byte_view{m.body}.first(n), bulk));
  CHECK_FALSE(wire_decode<sample>(m.body, bulk.slice(0, 10)));
  m.body.push_back(std::byte{0});
  CHECK_FALSE(wire_decode<sample>(m.body, bulk));
}

TEST_CASE("wire: a count that the input cannot hold allocates nothing", "[unit][wire]") {
  byte_vector body;
  byte_writer{body}.put(std::uint32_t{0xffffffff});
  CHECK_FALSE(wire_decode<std::vector<std::uint64_t>>(body));
  CHECK_FALSE(wire_decode<std::string>(body));
}
