#pragma once

#include "storage/base/assert.hpp"
#include "storage/base/memory_env.hpp"
#include "storage/block/blocking_drive.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <utility>

namespace troupe::test {

inline cluster_uuid some_cluster() {
  cluster_uuid x;
  x.bytes[0] = 0xc1;
  return x;
}
inline drive_uuid some_drive() {
  drive_uuid x;
  for (std::uint8_t i = 0; i < 16; ++i)
    x.bytes[i] = static_cast<std::uint8_t>(0xd0 + i);
  return x;
}
inline write_key key_of(std::uint64_t id, std::uint64_t client = 1, std::uint64_t mount = 1) {
  return {client_id{client}, incarnation{mount}, write_id{id}};
}

/// Bytes that name their seed in every block, so that no two runs look alike.
inline shared_bytes content(std::uint64_t seed, std::uint32_t blocks) {
  byte_vector bytes(std::size_t{blocks} * block_bytes);
  std::mt19937_64 random{seed};
  for (std::size_t at = 0; at < bytes.size(); at += 512) {
    auto value = random();
    for (int i = 0; i < 8; ++i)
      bytes[at + static_cast<std::size_t>(i)] = static_cast<std::byte>(value >> (8 * i));
  }
  return shared_bytes{std::move(bytes)};
}
inline store_run store_of(std::uint64_t id, std::uint32_t blocks, write_key key) {
  return make_store(some_drive(), key, lin{id}, content(id, blocks));
}
inline store_run store_of(std::uint64_t id, std::uint32_t blocks) {
  return store_of(id, blocks, key_of(id));
}
inline bool same(const shared_bytes& a, const shared_bytes& b) {
  return std::equal(a.view().begin(), a.view().end(), b.view().begin(), b.view().end());
}

/// The smallest limits that fit: everything that can overflow does.
inline block_store_options tiny_options() {
  block_store_options o;
  o.requests_max = 64;
  o.tasks_max = 3;
  o.read_bytes_max = 64 * kib;
  o.cache_pages_max = 26;
  o.dirty_pages_max = 8;
  o.batch_bytes_max = 4 * kib;
  o.done_keys_max = 40;
  o.abandoned_keys_max = 40;
  o.reserve_permille = 0;
  return o;
}
inline constexpr std::uint64_t tiny_log_bytes = 64 * kib;

/// A file that holds at least so many data blocks.
inline std::uint64_t file_bytes_for(std::uint64_t blocks, std::uint64_t log_bytes) {
  auto bytes = log_bytes + 1 * mib + blocks * block_bytes;
  return bytes;
}

inline const std::string drive_directory = "/d";

inline expected<void> format(env& files, std::uint64_t file_bytes,
                             std::uint64_t log_bytes = tiny_log_bytes) {
  return format_drive(files, drive_directory,
                      {.cluster = some_cluster(),
                       .drive = some_drive(),
                       .node = node_id{1},
                       .file_bytes = file_bytes,
                       .log_bytes = log_bytes});
}
inline expected<mounted_drive> mount(env& files,
                                     const block_store_options& options = tiny_options()) {
  return mount_drive(files, drive_directory, {some_cluster(), some_drive()}, options);
}

/// A mounted drive whose I/O the test completes in the order it likes.
class drive_rig {
public:
  explicit drive_rig(mounted_drive drive) : drive_(std::move(drive)) {}

  block_store_state& state() { return drive_.state; }
  const mounted_drive& drive() const { return drive_; }

  request_token store(const store_run& what, store_class priority = store_class::ordinary) {
    return ask([&](auto token, auto& out) { state().store(token, what, out, priority); });
  }
  request_token read(const run_ref& run, std::uint32_t first, std::uint32_t count) {
    return ask([&](auto token, auto& out) { state().read(token, {run, first, count}, out); });
  }
  request_token read(const run_ref& run) { return read(run, 0, run.block_count); }
  request_token free(std::vector<run_ref> runs) {
    return ask([&](auto token, auto& out) { state().free(token, {std::move(runs)}, out); });
  }
  request_token abandon(const write_key& key) {
    return ask([&](auto token, auto& out) { state().abandon(token, {some_drive(), key}, out); });
  }
  request_token list(std::uint64_t from) {
    return ask([&](auto token, auto& out) { state().list(token, from, out); });
  }

  /// From now on some syncs make durable only what was written when they were ordered, others also
  /// what was written until they ended: a device may do either.
  void vary_syncs(std::mt19937_64& random) { sync_dice_ = &random; }

  // What was ordered and is not done.
  std::size_t io_count() const { return writes.size() + reads.size() + syncs.size(); }
  std::vector<drive_write> writes;
  std::vector<drive_read> reads;
  std::vector<drive_sync> syncs;
  bool died = false;
  /// Every reply so far; a second one to the same request is a bug.
  std::map<request_token, decltype(drive_reply::result)> replies;

  template <class T>
  const T* reply(request_token request) const {
    auto it = replies.find(request);
    return it == replies.end() ? nullptr : std::get_if<T>(&it->second);
  }
  errc code(request_token request) const {
    auto* e = reply<error>(request);
    return e ? e->code : errc::none;
  }
  bool answered(request_token request) const { return replies.contains(request); }

  /// Executes and completes one I/O.
  void do_write(std::size_t i = 0) {
    auto order = take(writes, i);
    finish(order.token, execute(order));
  }
  /// Completes one that the device's cache will lose.
  void lose_write(std::size_t i = 0) { finish(take(writes, i).token, shared_bytes{}); }
  void do_read(std::size_t i = 0) {
    auto order = take(reads, i);
    byte_vector bytes(order.bytes);
    auto got = drive_.blocks->read_at(order.offset, bytes);
    TROUPE_ASSERT(got && *got == order.bytes);
    finish(order.token, shared_bytes{std::move(bytes)});
  }
  void do_sync() {
    auto order = take(syncs, 0);
    if (!std::exchange(flushed_, false))
      TROUPE_ASSERT(static_cast<bool>(drive_.blocks->sync()));
    finish(order.token, shared_bytes{});
  }
  /// Completes one without doing it: it failed.
  template <class Order>
  void fail(std::vector<Order>& orders, std::size_t i = 0) {
    finish(take(orders, i).token, error{errc::io_error, "broken"});
  }
  /// All writes and reads, but no sync.
  void do_all_but_sync() {
    while (!writes.empty() || !reads.empty())
      reads.empty() ? do_write() : do_read();
  }
  void run() {
    while (io_count() != 0) {
      do_all_but_sync();
      if (!syncs.empty())
        do_sync();
    }
  }
  /// Completes an I/O that the seed picks.
  void do_random(std::mt19937_64& random) {
    auto n = random() % io_count();
    if (n < writes.size())
      return do_write(n);
    n -= writes.size();
    n < reads.size() ? do_read(n) : do_sync();
  }
  /// A power cut is coming: some of the writes under way have reached the cache.
  void drop(std::mt19937_64& random) {
    for (const auto& order : writes)
      if (random() % 2 == 0)
        static_cast<void>(execute(order));
  }

private:
  template <class Ask>
  request_token ask(Ask call) {
    request_token token{next_++};
    block_store_effects out;
    call(token, out);
    collect(out);
    return token;
  }
  template <class Order>
  Order take(std::vector<Order>& orders, std::size_t i) {
    auto order = std::move(orders.at(i));
    orders.erase(orders.begin() + static_cast<std::ptrdiff_t>(i));
    return order;
  }
  expected<shared_bytes> execute(const drive_write& order) {
    auto offset = order.offset;
    for (const auto& piece : order.pieces) {
      TROUPE_ASSERT(offset % 4096 == 0);
      if (auto done = drive_.blocks->write_at(offset, piece.view()); !done)
        return done.error();
      offset += piece.size();
    }
    return shared_bytes{};
  }
  void finish(io_token token, expected<shared_bytes> result) {
    block_store_effects out;
    state().io_done(token, std::move(result), out);
    collect(out);
  }
  void collect(block_store_effects& out) {
    for (auto& effect : out) {
      if (auto* write = std::get_if<drive_write>(&effect)) {
        writes.push_back(std::move(*write));
      } else if (auto* read = std::get_if<drive_read>(&effect)) {
        reads.push_back(*read);
      } else if (auto* sync = std::get_if<drive_sync>(&effect)) {
        syncs.push_back(*sync);
        TROUPE_ASSERT(syncs.size() == 1);
        flushed_ = sync_dice_ && (*sync_dice_)() % 2 == 0;
        if (flushed_)
          TROUPE_ASSERT(static_cast<bool>(drive_.blocks->sync()));
      } else if (auto* answer = std::get_if<drive_reply>(&effect)) {
        auto fresh = replies.emplace(answer->request, std::move(answer->result)).second;
        TROUPE_ASSERT(fresh);
      } else {
        died = true;
      }
    }
  }

  mounted_drive drive_;
  std::uint64_t next_ = 1;
  std::mt19937_64* sync_dice_ = nullptr;
  bool flushed_ = false;
};

} // namespace troupe::test
