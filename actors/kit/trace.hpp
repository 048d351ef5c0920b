#pragma once

#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "storage/base/clock.hpp"

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace troupe {

/// Which operation a piece of work belongs to, and which span caused it. Travels with every
/// message, local or not, responses included.
struct trace_context {
  trace_id id;
  std::uint64_t span = 0;
  explicit operator bool() const { return bool{id}; }
};

/// The context of what this thread is doing; messages sent now carry it.
trace_context current_trace();
/// A new operation, or a new span of an operation. Never 0; random, so that processes need not
/// agree on anything.
trace_id new_trace_id();
std::uint64_t new_span_id();

/// Sets the context of this thread as long as it lives.
class trace_scope {
public:
  explicit trace_scope(trace_context context);
  ~trace_scope();
  trace_scope(const trace_scope&) = delete;
  trace_scope& operator=(const trace_scope&) = delete;

private:
  trace_context before_;
};

/// A name that lives for ever, so that records need not copy it. Thread-safe; O(log names).
/// The number of names is bounded by the number of actors and message types that ever were.
const char* trace_name(const std::string& name);

/// One handled message.
struct trace_record {
  trace_id id;
  std::uint64_t span = 0;
  std::uint64_t parent = 0;
  const char* sender = "";
  const char* receiver = "";
  const char* type = "";
  boot_time sent;     ///< 0 if it came from another machine's clock.
  boot_time dequeued; ///< The handler began.
  boot_time finished; ///< It returned, or the answer was given.
  std::uint32_t bytes = 0;
  errc outcome = errc::none;
};

/// The last records of this process, in a fixed ring: tracing is always on and never grows.
/// Thread-safe; recording costs about 50 ns.
class trace_ring {
public:
  explicit trace_ring(std::size_t capacity = 16 * 1024);
  void record(const trace_record& x);
  /// Records in the order in which they were made; `only` (if not 0) picks one operation.
  std::vector<trace_record> snapshot(trace_id only = {}) const;
  /// Records made since the start, those that were overwritten included.
  std::uint64_t total() const;

private:
  mutable std::mutex mutex_;
  std::vector<trace_record> records_;
  std::uint64_t next_ = 0;
};

/// The ring of this process.
trace_ring& process_trace();

} // namespace troupe
