#pragma once

#include "actors/kit/file_io.hpp"
#include "storage/block/drive_volume.hpp"

namespace troupe {

/// A drive's I/O through the reactor's `file_io`, which outlives it. Reactor thread only.
class file_drive_io final : public drive_io {
public:
  explicit file_drive_io(file_io& io) : io_(io) {}

  void read(file& blocks, std::uint64_t offset, std::span<std::byte> into,
            read_done done) override {
    io_.read(blocks.descriptor(), offset, into, std::move(done));
  }
  void write(file& blocks, std::uint64_t offset, std::vector<shared_bytes> pieces,
             write_done done) override {
    std::vector<io_write> writes;
    for (auto& piece : pieces) {
      auto bytes = piece.size();
      writes.push_back({offset, std::move(piece)});
      offset += bytes;
    }
    io_.write(blocks.descriptor(), std::move(writes), false, std::move(done));
  }
  void sync(file& blocks, write_done done) override {
    io_.write(blocks.descriptor(), {}, true, std::move(done));
  }

private:
  file_io& io_;
};

} // namespace troupe
