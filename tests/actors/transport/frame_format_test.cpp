#include "actors/transport/buffer_pool.hpp"
#include "actors/transport/frame_cipher.hpp"
#include "actors/transport/frame_format.hpp"
#include "actors/transport/peer_health_state.hpp"

#include <catch2/catch.hpp>

#include <array>

using namespace troupe;

namespace {

std::string hex(byte_view bytes) {
  std::string out;
  for (auto b : bytes) {
    constexpr const char* digits = "0123456789abcdef";
    out += digits[static_cast<unsigned>(b) >> 4];
    out += digits[static_cast<unsigned>(b) & 15];
  }
  return out;
}

frame_header sample() {
  frame_header h;
  h.kind = frame_kind::request;
  h.message = 0x0203;
  h.flags = 0x04050607;
  h.request = 0x1112131415161718;
  h.target = 0x2122232425262728;
  h.trace = 0x3132333435363738;
  h.span = 0x4142434445464748;
  h.epoch = 0x5152535455565758;
  h.body_bytes = 0x00610263;
  h.bulk_bytes = 0x00020000;
  h.answer_bytes = 0x81828384;
  h.timeout_ms = 0x91929394;
  h.sequence = 0xa1a2a3a4a5a6a7a8;
  h.payload_crc = 0xb1b2b3b4;
  return h;
}

} // namespace

TEST_CASE("frame_format: a header is these bytes for ever", "[unit][frame_format]") {
  std::array<std::byte, frame_header_bytes> bytes;
  encode_frame_header(sample(), bytes.data());
  CHECK(hex(bytes)
        == "54525046" // TRPF
           "01"
           "03"
           "0302"
           "07060504"
           "00000000"
           "1817161514131211"
           "2827262524232221"
           "3837363534333231"
           "4847464544434241"
           "5857565554535251"
           "63026100"
           "00000200"
           "84838281"
           "94939291"
           "a8a7a6a5a4a3a2a1"
           "b4b3b2b1"
           "dd75be22");
  auto back = decode_frame_header(bytes.data(), {});
  REQUIRE(back);
  CHECK(*back == sample());
}

TEST_CASE("frame_format: every flipped bit of a header is seen", "[unit][frame_format]") {
  std::array<std::byte, frame_header_bytes> bytes;
  encode_frame_header(sample(), bytes.data());
  for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
    auto damaged = bytes;
    damaged[i / 8] ^= static_cast<std::byte>(1 << (i % 8));
    CHECK_FALSE(decode_frame_header(damaged.data(), {}));
  }
}

TEST_CASE("frame_format: sizes above the limit and unknown kinds are refused",
          "[unit][frame_format]") {
  std::array<std::byte, frame_header_bytes> bytes;
  auto decode = [&](const frame_header& h, frame_limits limits) {
    encode_frame_header(h, bytes.data());
    return decode_frame_header(bytes.data(), limits);
  };
  auto h = sample();
  h.body_bytes = 100;
  h.bulk_bytes = 200;
  CHECK(decode(h, {100, 200}));
  CHECK(decode(h, {99, 200}).error().code == errc::too_large);
  CHECK(decode(h, {100, 199}).error().code == errc::too_large);
  h.kind = frame_kind::none;
  CHECK(decode(h, {}).error().code == errc::corrupt);
  h.kind = static_cast<frame_kind>(200);
  CHECK(decode(h, {}).error().code == errc::corrupt);
}

TEST_CASE("frame_cipher: opens what was sealed, in order, and nothing else",
          "[unit][frame_cipher]") {
  bool encrypt = GENERATE(false, true);
  frame_key key;
  key.fill(std::byte{42});
  frame_cipher sealer{frame_cipher::direction::seal, key, encrypt};
  frame_cipher opener{frame_cipher::direction::open, key, encrypt};
  byte_vector head(88, std::byte{1});
  byte_vector body(100, std::byte{2});
  byte_vector bulk(10'000, std::byte{3});
  std::array<byte_view, 2> parts{body, bulk};
  byte_vector wire(body.size() + bulk.size());
  frame_tag tag;
  if (encrypt) {
    tag = sealer.seal(5, head, parts, wire);
    CHECK(std::count(wire.begin(), wire.end(), std::byte{3}) < 200);
  } else {
    tag = sealer.sign(5, head, parts);
    std::copy(body.begin(), body.end(), wire.begin());
    std::copy(bulk.begin(), bulk.end(), wire.begin() + 100);
  }
  auto open = [&](std::uint64_t sequence, byte_vector h, byte_vector w, frame_tag t) {
    std::array<std::span<std::byte>, 2> in{std::span{w}.first(100), std::span{w}.subspan(100)};
    bool ok = opener.open(sequence, h, in, t);
    return ok && std::equal(bulk.begin(), bulk.end(), w.begin() + 100);
  };
  CHECK(open(5, head, wire, tag));
  CHECK(open(5, head, wire, tag)); // the cipher keeps no state; the channel counts
  CHECK_FALSE(open(6, head, wire, tag));
  auto bad_head = head;
  bad_head[7] = std::byte{9};
  CHECK_FALSE(open(5, bad_head, wire, tag));
  auto bad_wire = wire;
  bad_wire[5000] ^= std::byte{1};
  CHECK_FALSE(open(5, head, bad_wire, tag));
  auto bad_tag = tag;
  bad_tag[15] ^= std::byte{1};
  CHECK_FALSE(open(5, head, wire, bad_tag));
  frame_key other = key;
  other[0] = std::byte{0};
  frame_cipher stranger{frame_cipher::direction::seal, other, false};
  CHECK_FALSE(open(5, head, wire, stranger.sign(5, head, parts)));
}

TEST_CASE("buffer_pool: memory comes back aligned and is used again", "[unit][buffer_pool]") {
  buffer_pool pool{1 << 20};
  void* first = nullptr;
  {
    auto a = pool.allocate(132'000);
    first = a.owner.get();
    CHECK(reinterpret_cast<std::uintptr_t>(a.bytes.data()) % 4096 == 0);
    CHECK(a.bytes.size() == 132'000);
  }
  CHECK(pool.kept_bytes() >= 132'000);
  CHECK(pool.allocate(132'500).owner.get() == first);
  std::vector<pooled_buffer> many;
  for (int i = 0; i < 20; ++i)
    many.push_back(pool.allocate(100'000));
  many.clear();
  CHECK(pool.kept_bytes() <= 1 << 20);
  // A window outlives the pool.
  shared_bytes window;
  {
    buffer_pool gone;
    auto b = gone.allocate(5000);
    b.bytes[4999] = std::byte{7};
    window = b.window(4999, 1);
  }
  CHECK(window.view()[0] == std::byte{7});
}

TEST_CASE("peer_health: more damage than allowed within the window isolates for a time",
          "[unit][peer_health]") {
  transport_options o;
  o.checksum_errors_max = 2;
  o.checksum_window_ms = 1000;
  o.isolation_ms = 5000;
  peer_health_state health{o};
  auto a = health_subject::node({{}, peer_role::node, 1});
  auto b = health_subject::node({{}, peer_role::node, 2});
  auto at = [](std::uint64_t ms) { return boot_time{ms * 1'000'000}; };
  CHECK_FALSE(health.damaged(a, at(0)));
  CHECK_FALSE(health.damaged(a, at(100)));
  CHECK_FALSE(health.damaged(a, at(1050))); // the first is forgotten
  CHECK(health.damaged(a, at(1060)));
  CHECK(health.isolated(a, at(1060)));
  CHECK(health.isolated(a, at(6059)));
  CHECK_FALSE(health.isolated(a, at(6060)));
  CHECK_FALSE(health.isolated(b, at(1060)));
  CHECK(health.errors(a) == 4);
  CHECK(health.errors(b) == 0);
  CHECK_FALSE(health.damaged(a, at(6070))); // starts anew
}

TEST_CASE("peer_health: nodes are counted by identity, others by process, and those are forgotten",
          "[unit][peer_health]") {
  transport_options o;
  o.checksum_errors_max = 0;
  o.damaged_clients_max = 3;
  peer_health_state health{o};
  certificate_info shown;
  shown.serial.hex = "aa";
  shown.who = {{}, peer_role::node, 1};
  auto node = health_subject::of(shown, "10.0.0.1", incarnation{5});
  CHECK(node == health_subject::node(shown.who));
  shown.who = {{}, peer_role::client, 1};
  auto client = [&](std::uint64_t process, const char* host = "10.0.0.1") {
    return health_subject::of(shown, host, incarnation{process});
  };
  auto at = [](std::uint64_t ms) { return boot_time{ms * 1'000'000}; };
  CHECK(health.damaged(node, at(1)));
  CHECK(health.damaged(client(1), at(1)));
  CHECK(health.isolated(client(1), at(2)));
  CHECK_FALSE(health.isolated(client(2), at(2)));
  CHECK_FALSE(health.isolated(client(1, "10.0.0.2"), at(2)));
  for (std::uint64_t i = 2; i < 100; ++i) {
    CHECK(health.damaged(client(i), at(i)));
    CHECK(health.isolated(client(i), at(i)));
  }
  CHECK(health.size() == 4);
  CHECK(health.isolated(node, at(100)));
  CHECK_FALSE(health.isolated(client(1), at(100)));
  CHECK(health.isolated(client(99), at(100)));
}
