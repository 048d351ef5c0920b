#include "cluster/gateway/flush_plan.hpp"
#include "cluster/gateway/write_buffer.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>

using namespace troupe;

namespace {

byte_vector bytes_of(std::size_t count, unsigned value) {
  return byte_vector(count, static_cast<std::byte>(value));
}
byte_vector read(const write_buffer& buffer, std::uint64_t offset, std::size_t count) {
  byte_vector out(count);
  buffer.read(offset, out);
  return out;
}

} // namespace

TEST_CASE("write_buffer: what was written is read, the rest of its block is zeros",
          "[unit][gateway][write_buffer]") {
  write_buffer buffer;
  buffer.write(8192 + 10, bytes_of(5, 7));
  CHECK(buffer.holds(1));
  CHECK_FALSE(buffer.holds(0));
  auto got = read(buffer, 8192, 8192);
  CHECK(got[9] == std::byte{0});
  CHECK(got[10] == std::byte{7});
  CHECK(got[15] == std::byte{0});
  CHECK(buffer.dirty_ranges() == std::vector<block_range>{{1, 1}});
}

TEST_CASE("write_buffer: frozen content stays while the block is written again",
          "[unit][gateway][write_buffer]") {
  write_buffer buffer;
  buffer.write(0, bytes_of(3 * 8192, 1));
  auto frozen = buffer.freeze({0, 3});
  CHECK(buffer.dirty_blocks() == 0);
  buffer.write(8192, bytes_of(8192, 2));
  CHECK(frozen.window(1, 1).view()[0] == std::byte{1});
  CHECK(read(buffer, 8192, 1)[0] == std::byte{2});
  CHECK(buffer.dirty_ranges().empty()); // older content is on its way: not yet
  buffer.settle({0, 3});
  CHECK(buffer.dirty_ranges() == std::vector<block_range>{{1, 1}});
  buffer.drop_all_clean();
  CHECK_FALSE(buffer.holds(0));
  CHECK(buffer.holds(1));
}

TEST_CASE("write_buffer: what could not be committed is dirty again",
          "[unit][gateway][write_buffer]") {
  write_buffer buffer;
  buffer.write(0, bytes_of(2 * 8192, 1));
  static_cast<void>(buffer.freeze({0, 2}));
  CHECK(buffer.unsettled_blocks() == 2);
  buffer.unsettle({0, 2});
  CHECK(buffer.dirty_blocks() == 2);
  CHECK(buffer.lose_everything() == 2 * 8192);
  CHECK(buffer.memory_bytes() == 0);
  CHECK(buffer.unsettled_blocks() == 0);
}

TEST_CASE("write_buffer: a full unit is one window without a copy, a cut one is padded",
          "[unit][gateway][write_buffer]") {
  write_buffer buffer;
  buffer.write(0, bytes_of(20 * 8192, 1));
  auto frozen = buffer.freeze({0, 20});
  CHECK(frozen.window(0, 16).data() == frozen.window(0, 1).data());
  auto across = frozen.window(10, 12); // two chunks and two blocks of padding
  CHECK(across.size() == 12 * 8192);
  CHECK(across.view()[10 * 8192 - 1] == std::byte{1});
  CHECK(across.view()[10 * 8192] == std::byte{0});
}

TEST_CASE("write_buffer: truncating zeroes the rest of the last block",
          "[unit][gateway][write_buffer]") {
  write_buffer buffer;
  buffer.write(0, bytes_of(40 * 8192, 9));
  buffer.truncate(17 * 8192 + 100);
  CHECK(buffer.holds(17));
  CHECK_FALSE(buffer.holds(18));
  CHECK(read(buffer, 17 * 8192 + 99, 2) == byte_vector{std::byte{9}, std::byte{0}});
  CHECK(buffer.dirty_blocks() == 18);
}

TEST_CASE("write_buffer: agrees with a plain array under random use",
          "[unit][gateway][write_buffer]") {
  constexpr std::size_t size = 60 * 8192;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    std::mt19937_64 random{seed};
    write_buffer buffer;
    byte_vector model(size);
    std::vector<std::pair<frozen_blocks, byte_vector>> frozen;
    for (int step = 0; step < 200; ++step) {
      auto what = random() % 10;
      if (what < 6) {
        auto at = random() % size;
        auto count = std::min<std::size_t>(random() % 40'000 + 1, size - at);
        for (auto b = at / 8192; b <= (at + count - 1) / 8192; ++b)
          if (!buffer.holds(b))
            buffer.fill(b, byte_view{model}.subspan(b * 8192, 8192));
        auto piece = bytes_of(count, static_cast<unsigned>(random() % 256));
        buffer.write(at, piece);
        std::copy(piece.begin(), piece.end(), model.begin() + static_cast<long>(at));
      } else if (what == 6 && frozen.size() < 4) {
        auto ranges = buffer.dirty_ranges();
        if (!ranges.empty()) {
          auto r = ranges[random() % ranges.size()];
          byte_vector content(model.begin() + static_cast<long>(r.first * 8192),
                              model.begin() + static_cast<long>(r.end() * 8192));
          frozen.emplace_back(buffer.freeze(r), std::move(content));
        }
      } else if (what == 7 && !frozen.empty()) {
        auto& [blocks, content] = frozen.front();
        auto all = blocks.window(0, blocks.range().count);
        REQUIRE(std::equal(content.begin(), content.end(), all.view().begin()));
        if (random() % 2)
          buffer.settle(blocks.range());
        else
          buffer.unsettle(blocks.range());
        frozen.erase(frozen.begin());
      } else if (what == 8) {
        // clean blocks may go at any time: the model stands for the committed content
        buffer.drop_clean(random() % 60);
      }
      for (std::uint64_t b = 0; b < 60; ++b)
        if (buffer.holds(b))
          REQUIRE(read(buffer, b * 8192, 8192)
                  == byte_vector(model.begin() + static_cast<long>(b * 8192),
                                 model.begin() + static_cast<long>(b * 8192 + 8192)));
    }
    for (auto& [blocks, content] : frozen)
      buffer.settle(blocks.range());
    std::uint64_t dirty = 0;
    for (auto r : buffer.dirty_ranges())
      dirty += r.count;
    CHECK(dirty == buffer.dirty_blocks());
    CHECK(buffer.unsettled_blocks() == dirty);
  }
}

TEST_CASE("flush_plan: full stripes begin at units, the rest waits or goes",
          "[unit][gateway][flush_plan]") {
  using ranges = std::vector<block_range>;
  ranges run{{0, 300}};
  CHECK(plan_flush(run, 128, flush_mode::full_stripes) == ranges{{0, 128}, {128, 128}});
  CHECK(plan_flush(run, 128, flush_mode::everything) == ranges{{0, 128}, {128, 128}, {256, 44}});
  ranges late{{5, 200}};
  CHECK(plan_flush(late, 128, flush_mode::full_stripes) == ranges{{5, 11}, {16, 128}});
  CHECK(plan_flush(late, 128, flush_mode::everything) == ranges{{5, 11}, {16, 128}, {144, 61}});
  ranges small{{3, 4}, {20, 1}};
  CHECK(plan_flush(small, 128, flush_mode::full_stripes).empty());
  CHECK(plan_flush(small, 128, flush_mode::everything) == small);
  CHECK(plan_flush({}, 128, flush_mode::everything).empty());
  ranges mirror{{0, 40}};
  CHECK(plan_flush(mirror, 16, flush_mode::full_stripes) == ranges{{0, 16}, {16, 16}});
}

TEST_CASE("write_buffer: blocks that are written while they are under way are not forgotten",
          "[unit][gateway][write_buffer]") {
  write_buffer buffer;
  byte_vector bytes(3 * block_bytes);
  buffer.write(0, bytes);
  (void)buffer.freeze({0, 3});
  CHECK(buffer.rewritten_blocks() == 0);
  buffer.write(block_bytes, byte_view{bytes}.first(10));
  CHECK(buffer.dirty_blocks() == 0); // nothing that could be taken now
  CHECK(buffer.rewritten_blocks() == 1);
  buffer.settle({0, 3});
  CHECK(buffer.rewritten_blocks() == 0);
  CHECK(buffer.dirty_blocks() == 1);
}
