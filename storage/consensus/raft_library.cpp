#include "storage/consensus/raft_library.hpp"

#include "storage/base/assert.hpp"
#include "storage/base/coding.hpp"
#include "storage/consensus/consensus.hpp"

#include <array>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <string>

namespace troupe {

void to_library(const group_configuration& from, struct ::raft_configuration& to) {
  raft_configuration_init(&to);
  for (const auto& member : from.members) {
    auto address = std::to_string(member.replica.value);
    int rv = raft_configuration_add(&to, member.replica.value, address.c_str(),
                                    static_cast<int>(member.role));
    TROUPE_ASSERT(rv == 0); // distinct ids, and memory: the library cannot go on without
  }
}

group_configuration from_library(const struct ::raft_configuration& from) {
  group_configuration out;
  for (unsigned i = 0; i < from.n; ++i)
    out.members.push_back(
      {replica_id{from.servers[i].id}, static_cast<member_role>(from.servers[i].role)});
  return out;
}

struct ::raft_buffer encode_for_library(const group_configuration& x) {
  struct ::raft_configuration configuration;
  to_library(x, configuration);
  struct ::raft_buffer buffer = {};
  int rv = raft_configuration_encode(&configuration, &buffer);
  TROUPE_ASSERT(rv == 0);
  raft_configuration_close(&configuration);
  return buffer;
}

group_configuration decode_from_library(const struct ::raft_buffer& buffer) {
  // u8 format = 1, u64 count, per server: u64 id, address with its 0, u8 role; then padding.
  byte_reader reader{{static_cast<const std::byte*>(buffer.base), buffer.len}};
  auto format = reader.get<std::uint8_t>();
  TROUPE_ASSERT(format == 1);
  auto count = reader.get<std::uint64_t>();
  group_configuration out;
  for (std::uint64_t i = 0; i < count; ++i) {
    replica_id id{reader.get<std::uint64_t>()};
    while (reader.ok() && reader.get<std::uint8_t>() != 0) {
    }
    out.members.push_back({id, static_cast<member_role>(reader.get<std::uint8_t>())});
  }
  TROUPE_ASSERT(reader.ok());
  return out;
}

namespace {

// Just enough of a backend for raft_init.
int refuse_init(struct ::raft_io*, ::raft_id, const char*) {
  return 0;
}

std::string library_file() {
  Dl_info info = {};
  if (dladdr(reinterpret_cast<void*>(&raft_init), &info) == 0 || info.dli_fname == nullptr)
    return "unknown file";
  char* real = realpath(info.dli_fname, nullptr);
  std::string name = real != nullptr ? real : info.dli_fname;
  std::free(real);
  return name;
}

} // namespace

expected<void> check_consensus_library() {
  auto file = library_file();
  if (file.find("libraft.so.2.0.0") == std::string::npos)
    return error{errc::wrong_version, "consensus library " + file + " instead of libraft.so.2.0.0"};
  // A library whose structure is larger writes past ours; one with other rules has other defaults.
  struct padded {
    struct ::raft raft;
    std::array<unsigned char, 4096> beyond;
  };
  auto probe = std::make_unique<padded>();
  std::memset(static_cast<void*>(probe.get()), 0xa5, sizeof(padded));
  struct ::raft_io io = {};
  io.version = 1;
  io.init = refuse_init;
  struct ::raft_fsm fsm = {};
  fsm.version = 1;
  if (raft_init(&probe->raft, &io, &fsm, 7, "7") != 0)
    return error{errc::wrong_version, "consensus library " + file + " does not initialize"};
  bool same = probe->raft.election_timeout == 1000 && probe->raft.heartbeat_timeout == 100
              && probe->raft.install_snapshot_timeout == 30000 && probe->raft.id == 7
              && probe->raft.max_catch_up_rounds == 10
              && probe->raft.max_catch_up_round_duration == 5000 && !probe->raft.pre_vote
              && probe->raft.state == RAFT_UNAVAILABLE;
  for (auto byte : probe->beyond)
    same = same && byte == 0xa5;
  raft_free(probe->raft.address);
  if (!same)
    return error{errc::wrong_version, "consensus library " + file + " has another layout"};
  return {};
}

} // namespace troupe
