#include "actors/transport/buffer_pool.hpp"

#include <bit>
#include <cstdlib>
#include <new>

namespace troupe {

namespace {

constexpr std::size_t alignment = 4096;

/// Four classes per doubling, so that at most a fifth is wasted.
std::size_t size_class(std::size_t bytes) {
  if (bytes <= alignment)
    return alignment;
  auto step = std::max(alignment, std::bit_floor(bytes - 1) / 4);
  return (bytes + step - 1) / step * step;
}

} // namespace

buffer_pool::buffer_pool(std::size_t kept_bytes_max) : shelf_(std::make_shared<shelf>()) {
  shelf_->kept_bytes_max = kept_bytes_max;
}

buffer_pool::shelf::~shelf() {
  for (auto& [bytes, list] : free)
    for (auto* memory : list)
      std::free(memory);
}

void buffer_pool::shelf::put_back(void* memory, std::size_t bytes) {
  {
    std::lock_guard guard{mutex};
    if (kept_bytes + bytes <= kept_bytes_max) {
      free[bytes].push_back(memory);
      kept_bytes += bytes;
      return;
    }
  }
  std::free(memory);
}

pooled_buffer buffer_pool::allocate(std::size_t bytes) {
  auto size = size_class(bytes);
  void* memory = nullptr;
  {
    std::lock_guard guard{shelf_->mutex};
    auto it = shelf_->free.find(size);
    if (it != shelf_->free.end() && !it->second.empty()) {
      memory = it->second.back();
      it->second.pop_back();
      shelf_->kept_bytes -= size;
    }
  }
  if (!memory)
    memory = std::aligned_alloc(alignment, size);
  if (!memory)
    throw std::bad_alloc{};
  std::shared_ptr<void> owner{memory, [s = shelf_, size](void* m) { s->put_back(m, size); }};
  return {std::move(owner), {static_cast<std::byte*>(memory), bytes}};
}

std::size_t buffer_pool::kept_bytes() const {
  std::lock_guard guard{shelf_->mutex};
  return shelf_->kept_bytes;
}

} // namespace troupe
