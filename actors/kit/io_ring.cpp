#include "actors/kit/io_ring.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

namespace troupe {

namespace {

/// The kernel moves at most 2 GiB per operation; longer ones are continued.
constexpr std::size_t operation_bytes_max = std::size_t{1} << 30;

error failed(const char* what, int number) {
  auto code = number == ENOSPC || number == EDQUOT ? errc::no_space : errc::io_error;
  return {code, std::string{what} + ": " + std::strerror(number)};
}

} // namespace

io_ring::io_ring(reactor& loop, const file_io_options& options)
  : loop_(loop), entries_(options.ring_entries) {}

expected<std::unique_ptr<io_ring>> io_ring::make(reactor& loop, const file_io_options& options) {
  std::unique_ptr<io_ring> self{new io_ring(loop, options)};
  int rc = ::io_uring_queue_init(self->entries_, &self->ring_, 0);
  if (rc < 0)
    return error{errc::not_supported, std::string{"io_uring_setup: "} + std::strerror(-rc),
                 trp::no_io_uring};
  self->event_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  TROUPE_ASSERT(self->event_fd_ >= 0);
  rc = ::io_uring_register_eventfd(&self->ring_, self->event_fd_);
  if (rc < 0)
    return error{errc::not_supported, std::string{"io_uring_register: "} + std::strerror(-rc),
                 trp::no_io_uring};
  auto* ring = self.get();
  loop.watch(self->event_fd_, EPOLLIN, [ring](std::uint32_t) {
    std::uint64_t count = 0;
    [[maybe_unused]] auto n = ::read(ring->event_fd_, &count, sizeof(count));
    ring->reap();
  });
  self->hook_ = loop.add_turn_hook([ring] { ring->submit(); });
  return self;
}

io_ring::~io_ring() {
  if (event_fd_ < 0)
    return; // never made
  loop_.remove(hook_);
  loop_.unwatch(event_fd_);
  for (auto* op : waiting_)
    delete op;
  waiting_.clear();
  if (to_submit_)
    ::io_uring_submit(&ring_);
  // The kernel writes into the buffers of reads until it says that it is done.
  while (in_kernel_ > 0) {
    io_uring_cqe* cqe = nullptr;
    if (::io_uring_wait_cqe(&ring_, &cqe) < 0)
      continue;
    delete static_cast<operation*>(::io_uring_cqe_get_data(cqe));
    ::io_uring_cqe_seen(&ring_, cqe);
    --in_kernel_;
  }
  ::io_uring_queue_exit(&ring_);
  ::close(event_fd_);
}

void io_ring::read(int fd, std::uint64_t offset, std::span<std::byte> into, read_done done) {
  auto c = std::make_shared<call>();
  c->fd = fd;
  c->on_read = std::move(done);
  c->operations_left = 1;
  ++calls_;
  start(new operation{c, op_kind::read, into.data(), into.size(), offset});
}

void io_ring::write(int fd, std::vector<io_write> writes, bool sync, write_done done) {
  auto c = std::make_shared<call>();
  c->fd = fd;
  c->on_write = std::move(done);
  c->sync = sync;
  c->writes = std::move(writes);
  c->operations_left = c->writes.size();
  ++calls_;
  auto kind = op_kind::write;
  if (sync && c->writes.size() == 1) { // both in one operation: one thread of the kernel, not two
    kind = op_kind::write_durably;
    c->sync = false;
  }
  for (const auto& piece : c->writes)
    start(new operation{c, kind, const_cast<std::byte*>(piece.bytes.data()), piece.bytes.size(),
                        piece.offset});
  if (c->writes.empty()) {
    c->operations_left = 1; // a sync alone, or nothing: both go through the kernel
    c->sync = false;
    start(new operation{c, op_kind::sync, nullptr, 0, 0});
  }
}

void io_ring::start(operation* op) {
  if (!waiting_.empty() || !push(op))
    waiting_.push_back(op);
}

bool io_ring::push(operation* op) {
  // The completion queue holds twice as many: it cannot overflow.
  if (in_kernel_ >= entries_)
    return false;
  auto* sqe = ::io_uring_get_sqe(&ring_);
  if (!sqe)
    return false;
  auto bytes = static_cast<unsigned>(std::min(op->left, operation_bytes_max));
  switch (op->kind) {
  case op_kind::read: ::io_uring_prep_read(sqe, op->owner->fd, op->at, bytes, op->offset); break;
  case op_kind::write: ::io_uring_prep_write(sqe, op->owner->fd, op->at, bytes, op->offset); break;
  case op_kind::write_durably:
    ::io_uring_prep_write(sqe, op->owner->fd, op->at, bytes, op->offset);
    sqe->rw_flags = RWF_DSYNC;
    break;
  case op_kind::sync: ::io_uring_prep_fsync(sqe, op->owner->fd, IORING_FSYNC_DATASYNC); break;
  }
  ::io_uring_sqe_set_data(sqe, op);
  ++in_kernel_;
  to_submit_ = true;
  return true;
}

void io_ring::submit() {
  while (!waiting_.empty() && push(waiting_.front()))
    waiting_.pop_front();
  if (!to_submit_)
    return;
  int rc = ::io_uring_submit(&ring_);
  to_submit_ = ::io_uring_sq_ready(&ring_) > 0;
  if (to_submit_ && (rc >= 0 || rc == -EAGAIN || rc == -EBUSY || rc == -EINTR))
    loop_.request_turn(); // the kernel is short of memory for a moment
}

void io_ring::reap() {
  io_uring_cqe* cqe = nullptr;
  while (::io_uring_peek_cqe(&ring_, &cqe) == 0) {
    auto* op = static_cast<operation*>(::io_uring_cqe_get_data(cqe));
    int result = cqe->res;
    ::io_uring_cqe_seen(&ring_, cqe);
    --in_kernel_;
    complete(op, result);
  }
}

void io_ring::complete(operation* op, int result) {
  auto& c = *op->owner;
  if (result == -EINTR || result == -EAGAIN)
    return start(op);
  if (result < 0) {
    c.failed_errno = -result;
    c.failed_in = op->kind == op_kind::read   ? "read"
                  : op->kind == op_kind::sync ? "fdatasync"
                                              : "write";
  } else if (op->kind != op_kind::sync) {
    auto n = static_cast<std::size_t>(result);
    op->at += n;
    op->left -= n;
    op->offset += n;
    if (op->kind == op_kind::read)
      c.bytes_read += n;
    if (op->left > 0 && n > 0)
      return start(op);
    if (op->left > 0 && op->kind != op_kind::read) {
      c.failed_errno = EIO; // a write of nothing would go on for ever
      c.failed_in = "write";
    }
  }
  auto owner = std::move(op->owner);
  delete op;
  if (--owner->operations_left > 0)
    return;
  if (owner->sync && owner->failed_errno == 0) {
    owner->sync = false;
    owner->operations_left = 1;
    return start(new operation{std::move(owner), op_kind::sync, nullptr, 0, 0});
  }
  finish(*owner);
}

void io_ring::finish(call& c) {
  --calls_;
  if (c.on_read) {
    if (c.failed_errno != 0)
      c.on_read(failed(c.failed_in, c.failed_errno));
    else
      c.on_read(c.bytes_read);
    return;
  }
  if (c.failed_errno != 0)
    c.on_write(failed(c.failed_in, c.failed_errno));
  else
    c.on_write({});
}

} // namespace troupe
