#include "storage/block/drive_volume.hpp"

#include <utility>

namespace troupe {

drive_volume::drive_volume(mounted_drive drive, std::shared_ptr<drive_io> io, died on_death)
  : core_(std::make_shared<core>(std::move(drive), std::move(io), std::move(on_death))) {}

drive_volume::~drive_volume() {
  core_->closed = true;
  core_->waiting.clear();
}

request_token drive_volume::core::remember(callback done) {
  request_token token{++requests};
  waiting.emplace(token, std::move(done));
  return token;
}

void drive_volume::store(const store_run& what, callback done) {
  block_store_effects effects;
  core_->drive.state.store(core_->remember(std::move(done)), what, effects);
  core_->run(effects);
}

void drive_volume::read(const read_run& what, callback done) {
  block_store_effects effects;
  core_->drive.state.read(core_->remember(std::move(done)), what, effects);
  core_->run(effects);
}

void drive_volume::free(const free_runs& what, callback done) {
  block_store_effects effects;
  core_->drive.state.free(core_->remember(std::move(done)), what, effects);
  core_->run(effects);
}

void drive_volume::abandon(const abandon_write& what, callback done) {
  block_store_effects effects;
  core_->drive.state.abandon(core_->remember(std::move(done)), what, effects);
  core_->run(effects);
}

void drive_volume::list(std::uint64_t from_block, callback done) {
  block_store_effects effects;
  core_->drive.state.list(core_->remember(std::move(done)), from_block, effects);
  core_->run(effects);
}

void drive_volume::core::run(block_store_effects& effects) {
  auto self = shared_from_this(); // an effect may destroy the volume
  for (auto& effect : effects) {
    if (closed)
      return;
    std::visit([this](auto& x) { execute(x); }, effect);
  }
}

void drive_volume::core::execute(const drive_write& x) {
  io->write(*drive.blocks, x.offset, x.pieces,
            [self = shared_from_this(), token = x.token](const expected<void>& result) {
              self->finish(token, result ? expected<shared_bytes>{shared_bytes{}} : result.error());
            });
}

void drive_volume::core::execute(const drive_sync& x) {
  io->sync(*drive.blocks,
           [self = shared_from_this(), token = x.token](const expected<void>& result) {
             self->finish(token, result ? expected<shared_bytes>{shared_bytes{}} : result.error());
           });
}

void drive_volume::core::execute(const drive_read& x) {
  auto buffer = std::make_shared_for_overwrite<std::byte[]>(x.bytes);
  std::span<std::byte> into{buffer.get(), x.bytes};
  io->read(
    *drive.blocks, x.offset, into,
    [self = shared_from_this(), token = x.token, buffer, into](expected<std::size_t> result) {
      if (!result)
        return self->finish(token, result.error());
      if (*result != into.size())
        return self->finish(token, error{errc::io_error, "block file is shorter than it was"});
      self->finish(token, shared_bytes{buffer, into});
    });
}

void drive_volume::core::execute(drive_reply& x) {
  auto it = waiting.find(x.request);
  if (it == waiting.end())
    return;
  auto answered = std::move(it->second);
  waiting.erase(it);
  answered(std::move(x.result));
}

void drive_volume::core::execute(const drive_died& x) {
  on_death(x.why);
}

void drive_volume::core::finish(io_token token, expected<shared_bytes> result) {
  if (closed)
    return;
  block_store_effects effects;
  drive.state.io_done(token, std::move(result), effects);
  run(effects);
}

} // namespace troupe
