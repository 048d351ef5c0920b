#include "storage/block/blocking_drive.hpp"

#include "storage/base/assert.hpp"
#include "storage/codec/unit_checksum.hpp"

#include <optional>

namespace troupe {

expected<shared_bytes> blocking_drive::execute(const drive_read& order) {
  byte_vector bytes(order.bytes);
  auto got = drive_.blocks->read_at(order.offset, bytes);
  if (!got)
    return got.error();
  bytes.resize(*got);
  return shared_bytes{std::move(bytes)};
}

expected<shared_bytes> blocking_drive::execute(const drive_write& order) {
  auto offset = order.offset;
  for (const auto& piece : order.pieces) {
    if (auto done = drive_.blocks->write_at(offset, piece.view()); !done)
      return done.error();
    offset += piece.size();
  }
  return shared_bytes{};
}

expected<shared_bytes> blocking_drive::execute(const drive_sync&) {
  if (auto done = drive_.blocks->sync(); !done)
    return done.error();
  return shared_bytes{};
}

template <class Result, class Ask>
expected<Result> blocking_drive::run(Ask ask) {
  block_store_effects effects;
  request_token request{next_request_++};
  ask(request, effects);
  std::optional<expected<Result>> answer;
  // To the end, also behind the answer: a checkpoint step may go on for a while.
  for (std::size_t i = 0; i < effects.size(); ++i) {
    auto effect = std::move(effects[i]);
    auto did = [&](const auto& order) {
      drive_.state.io_done(order.token, execute(order), effects);
    };
    if (auto* write = std::get_if<drive_write>(&effect)) {
      did(*write);
    } else if (auto* read = std::get_if<drive_read>(&effect)) {
      did(*read);
    } else if (auto* sync = std::get_if<drive_sync>(&effect)) {
      did(*sync);
    } else if (auto* reply = std::get_if<drive_reply>(&effect)) {
      TROUPE_ASSERT(reply->request == request);
      if (auto* why = std::get_if<error>(&reply->result))
        answer.emplace(std::move(*why));
      else
        answer.emplace(std::get<Result>(std::move(reply->result)));
    }
  }
  TROUPE_ASSERT(answer.has_value());
  return std::move(*answer);
}

expected<run_stored> blocking_drive::store(const store_run& what, store_class priority) {
  return run<run_stored>([&](request_token request, block_store_effects& out) {
    drive_.state.store(request, what, out, priority);
  });
}

expected<run_data> blocking_drive::read(const read_run& what) {
  return run<run_data>([&](request_token request, block_store_effects& out) {
    drive_.state.read(request, what, out);
  });
}

expected<runs_freed> blocking_drive::free(const free_runs& what) {
  return run<runs_freed>([&](request_token request, block_store_effects& out) {
    drive_.state.free(request, what, out);
  });
}

expected<runs_freed> blocking_drive::abandon(const abandon_write& what) {
  return run<runs_freed>([&](request_token request, block_store_effects& out) {
    drive_.state.abandon(request, what, out);
  });
}

expected<std::vector<run_entry>> blocking_drive::list() {
  std::vector<run_entry> all;
  for (std::uint64_t from = 0;;) {
    auto window = run<run_list>([&](request_token request, block_store_effects& out) {
      drive_.state.list(request, from, out);
    });
    if (!window)
      return window.error();
    all.insert(all.end(), window->runs.begin(), window->runs.end());
    if (window->done)
      return all;
    from = window->next_block;
  }
}

store_run make_store(const drive_uuid& drive, const write_key& key, lin owner, shared_bytes data) {
  auto checksums = block_checksums(data.view());
  return {drive, key, owner, std::move(checksums), std::move(data)};
}

} // namespace troupe
