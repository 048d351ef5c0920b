#include "actors/kit/trace.hpp"

#include <random>
#include <set>

namespace troupe {

namespace {

thread_local trace_context current;

/// SplitMix64 from a seed that the kernel gives: unique enough for names, and cheap.
std::uint64_t next_random() {
  static thread_local std::uint64_t state = [] {
    std::random_device device;
    return (std::uint64_t{device()} << 32) ^ device();
  }();
  state += 0x9e3779b97f4a7c15;
  auto x = state;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  x ^= x >> 31;
  return x != 0 ? x : 1;
}

} // namespace

trace_context current_trace() {
  return current;
}

trace_id new_trace_id() {
  return trace_id{next_random()};
}

std::uint64_t new_span_id() {
  return next_random();
}

trace_scope::trace_scope(trace_context context) : before_(std::exchange(current, context)) {}

trace_scope::~trace_scope() {
  current = before_;
}

const char* trace_name(const std::string& name) {
  static std::mutex mutex;
  static std::set<std::string> names;
  std::lock_guard guard{mutex};
  return names.insert(name).first->c_str();
}

trace_ring::trace_ring(std::size_t capacity) : records_(capacity) {}

void trace_ring::record(const trace_record& x) {
  std::lock_guard guard{mutex_};
  records_[next_++ % records_.size()] = x;
}

std::vector<trace_record> trace_ring::snapshot(trace_id only) const {
  std::lock_guard guard{mutex_};
  std::vector<trace_record> out;
  auto first = next_ > records_.size() ? next_ - records_.size() : 0;
  for (auto i = first; i < next_; ++i) {
    const auto& x = records_[i % records_.size()];
    if (!only || x.id == only)
      out.push_back(x);
  }
  return out;
}

std::uint64_t trace_ring::total() const {
  std::lock_guard guard{mutex_};
  return next_;
}

trace_ring& process_trace() {
  static trace_ring ring;
  return ring;
}

} // namespace troupe
