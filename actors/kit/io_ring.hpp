#pragma once

#include "actors/kit/file_io.hpp"

#include <deque>
#include <liburing.h>

namespace troupe {

/// `file_io` by io_uring: submissions of a turn go to the kernel in one call from a turn hook,
/// completions wake the reactor through a registered eventfd and are reaped in batches.
class io_ring : public file_io {
public:
  /// @returns errc::not_supported (trp::no_io_uring) if the kernel refuses a ring.
  static expected<std::unique_ptr<io_ring>> make(reactor& loop, const file_io_options& options);
  ~io_ring() override;
  io_ring(const io_ring&) = delete;
  io_ring& operator=(const io_ring&) = delete;

  void read(int fd, std::uint64_t offset, std::span<std::byte> into, read_done done) override;
  void write(int fd, std::vector<io_write> writes, bool sync, write_done done) override;
  const char* kind() const override { return "io_uring"; }
  std::size_t in_flight() const override { return calls_; }

private:
  /// What all kernel operations of one call have in common.
  struct call {
    int fd = -1;
    read_done on_read;
    write_done on_write;
    std::vector<io_write> writes;
    bool sync = false;
    std::size_t operations_left = 0;
    std::size_t bytes_read = 0;
    int failed_errno = 0;
    const char* failed_in = "";
  };
  enum class op_kind : std::uint8_t { read, write, write_durably, sync };
  /// One operation in the kernel.
  struct operation {
    std::shared_ptr<call> owner;
    op_kind kind = op_kind::read;
    std::byte* at = nullptr;
    std::size_t left = 0;
    std::uint64_t offset = 0;
  };

  io_ring(reactor& loop, const file_io_options& options);
  void start(operation* op);
  bool push(operation* op);
  void submit();
  void reap();
  void complete(operation* op, int result);
  void finish(call& c);

  reactor& loop_;
  std::uint32_t entries_;
  io_uring ring_{};
  int event_fd_ = -1;
  hook_id hook_{};
  std::deque<operation*> waiting_; // for room in the ring
  std::size_t in_kernel_ = 0;      // operations
  std::size_t calls_ = 0;
  bool to_submit_ = false;
};

} // namespace troupe
