#pragma once

#include "actors/kit/file_io.hpp"
#include "storage/base/hold_unsynced_env.hpp"

#include <deque>
#include <map>
#include <optional>

namespace troupe {

/// `file_io` for files of a `hold_unsynced_env`: what is written without a sync stays in memory, a
/// sync writes it through by the `file_io` behind and really syncs. Strict: the sync of a call with
/// writes makes those writes durable and nothing else; only a sync alone covers earlier calls.
class holding_io final : public file_io {
public:
  /// @param inner  carries out what reaches the medium.
  /// @param files  must outlive this.
  holding_io(reactor& loop, std::unique_ptr<file_io> inner, hold_unsynced_env& files);
  ~holding_io() override;
  holding_io(const holding_io&) = delete;
  holding_io& operator=(const holding_io&) = delete;

  void read(int fd, std::uint64_t offset, std::span<std::byte> into, read_done done) override;
  void write(int fd, std::vector<io_write> writes, bool sync, write_done done) override;
  const char* kind() const override { return kind_.c_str(); }
  std::size_t in_flight() const override { return calls_; }

private:
  using ranges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
  struct wanted_flush {
    std::shared_ptr<held_file> node;
    int fd = -1;
    ranges what; ///< Empty for everything.
    write_done done;
  };
  /// Ends a call on the reactor, later.
  void answer(task done);
  /// Flushes of one file go one after the other: an older page must not land after a newer one.
  void start_flush(held_file* node);

  reactor& loop_;
  std::unique_ptr<file_io> inner_;
  hold_unsynced_env& files_;
  std::string kind_;
  std::map<held_file*, std::deque<wanted_flush>> flushes_; ///< The first of each is under way.
  std::size_t calls_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace troupe
