#pragma once

#include "tests/cluster/gateway/fake_cluster.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace troupe::test {

// Calls of a test: asked, waited for, and expected to succeed unless said otherwise.

template <class T>
T must(expected<call_result> outcome) {
  if (!outcome)
    FAIL(describe(outcome.error()));
  REQUIRE(std::holds_alternative<T>(*outcome));
  return std::get<T>(std::move(*outcome));
}
inline errc code_of(const expected<call_result>& outcome) {
  return outcome ? errc::none : outcome.error().code;
}
inline new_inode inode_of(file_kind kind) {
  new_inode out;
  out.kind = kind;
  out.mode = 0755;
  return out;
}
inline handle_mode for_writing() {
  handle_mode out;
  out.write = true;
  return out;
}
inline byte_vector noise(std::size_t bytes, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  byte_vector out(bytes);
  for (auto& b : out)
    b = static_cast<std::byte>(random());
  return out;
}
inline file_opened create(fake_cluster& c, const std::string& name, std::size_t client = 0) {
  return must<file_opened>(
    c.call(call_create{root_lin, name, inode_of(file_kind::regular), for_writing()}, client));
}
inline file_handle open(fake_cluster& c, lin id, bool write = false, std::size_t client = 0) {
  handle_mode mode;
  mode.write = write;
  return must<file_opened>(c.call(call_open{id, mode}, client)).handle;
}
inline void write(fake_cluster& c, file_handle h, std::uint64_t offset, byte_vector bytes,
                  std::size_t client = 0) {
  auto count = bytes.size();
  auto done =
    must<bytes_written>(c.call(call_write{h, offset, shared_bytes{std::move(bytes)}}, client));
  CHECK(done.bytes == count);
}
inline byte_vector read(fake_cluster& c, file_handle h, std::uint64_t offset, std::uint32_t bytes,
                        std::size_t client = 0) {
  auto got = must<bytes_read>(c.call(call_read{h, offset, bytes}, client));
  byte_vector out;
  for (const auto& part : got.parts)
    out.insert(out.end(), part.view().begin(), part.view().end());
  return out;
}
/// All of a file, in pieces, by a client that opens it anew.
inline byte_vector read_all(fake_cluster& c, lin id, std::size_t client) {
  auto h = open(c, id, false, client);
  byte_vector out;
  for (;;) {
    auto part = read(c, h, out.size(), 256 * 1024, client);
    if (part.empty())
      break;
    out.insert(out.end(), part.begin(), part.end());
  }
  must<done>(c.call(call_release{h}, client));
  return out;
}
inline void close(fake_cluster& c, file_handle h, std::size_t client = 0) {
  must<done>(c.call(call_flush{h}, client));
  must<done>(c.call(call_release{h}, client));
}
inline std::uint64_t runs_on_drives(fake_cluster& c) {
  std::uint64_t sum = 0;
  for (const auto& [id, drive] : c.drives())
    sum += drive.runs().size();
  return sum;
}

} // namespace troupe::test
