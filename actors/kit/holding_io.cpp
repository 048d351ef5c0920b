#include "actors/kit/holding_io.hpp"

#include <algorithm>

namespace troupe {

holding_io::holding_io(reactor& loop, std::unique_ptr<file_io> inner, hold_unsynced_env& files)
  : loop_(loop), inner_(std::move(inner)), files_(files),
    kind_(std::string{inner_->kind()} + ", unsynced held") {}

holding_io::~holding_io() {
  *alive_ = false;
  inner_.reset(); // waits for what the kernel has; its completions are dropped
}

void holding_io::answer(task done) {
  loop_.post([this, alive = alive_, done = std::move(done)] {
    if (!*alive)
      return;
    --calls_;
    done();
  });
}

void holding_io::read(int fd, std::uint64_t offset, std::span<std::byte> into, read_done done) {
  ++calls_;
  auto node = files_.held(fd);
  auto how = node ? node->plan_read(offset, into.size()) : held_read{into.size(), into.size(), {}};
  if (how.medium_bytes == 0) {
    how.complete(offset, into, 0);
    return answer([done = std::move(done), bytes = how.bytes] { done(bytes); });
  }
  // The node keeps the descriptor open, its pages are those of this moment.
  auto medium = into.first(how.medium_bytes);
  inner_->read(fd, offset, medium,
               [this, node, offset, into, how = std::move(how),
                done = std::move(done)](expected<std::size_t> got) {
                 --calls_;
                 if (!got || !node)
                   return done(std::move(got));
                 how.complete(offset, into, *got);
                 done(how.bytes);
               });
}

void holding_io::write(int fd, std::vector<io_write> writes, bool sync, write_done done) {
  ++calls_;
  auto node = files_.held(fd);
  if (!node)
    return inner_->write(fd, std::move(writes), sync,
                         [this, done = std::move(done)](expected<void> result) {
                           --calls_;
                           done(std::move(result));
                         });
  ranges what;
  for (const auto& piece : writes) {
    if (auto kept = node->write(piece.offset, piece.bytes.view()); !kept)
      return answer([done = std::move(done), why = kept.error()] { done(why); });
    what.emplace_back(piece.offset, piece.offset + piece.bytes.size());
  }
  if (!sync)
    return answer([done = std::move(done)] { done({}); });
  auto& waiting = flushes_[node.get()];
  waiting.push_back({node, fd, std::move(what), std::move(done)});
  if (waiting.size() == 1)
    start_flush(node.get());
}

void holding_io::start_flush(held_file* node) {
  auto& next = flushes_.at(node).front();
  auto finish = [this, node](expected<void> result) {
    auto it = flushes_.find(node);
    auto ended = std::move(it->second.front());
    it->second.pop_front();
    if (it->second.empty())
      flushes_.erase(it);
    else
      start_flush(node);
    --calls_;
    ended.done(std::move(result));
  };
  auto flush = next.node->begin_flush(next.what);
  if (!flush) {
    loop_.post([alive = alive_, finish, why = flush.error()] {
      if (*alive)
        finish(why);
    });
    return;
  }
  std::vector<io_write> writes;
  for (auto& run : flush->runs)
    writes.push_back({run.offset, run.bytes});
  inner_->write(next.fd, std::move(writes), true,
                [keep = next.node, flush = std::move(*flush), finish](expected<void> result) {
                  keep->end_flush(flush, static_cast<bool>(result));
                  finish(std::move(result));
                });
}

} // namespace troupe
